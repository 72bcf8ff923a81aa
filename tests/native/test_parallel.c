/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that the caller's own function brings: whatever it does with them, the same bits, and none of the pool's.
 */
#define _GNU_SOURCE
#include "cmocka_all.h"

#include "check.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

enum { MOST = 8 };

/* What the library's own pool would start; the helpers below start theirs under `ours`. */
static __thread int ours;
static int strangers;

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real, &symbol, sizeof real);
    if (!ours) strangers++;
    return real(thread, attributes, start, argument);
}

typedef struct visit {
    void (*body)(void *data);
    void *data;
} visit;

static void *visit_main(void *argument)
{
    const visit *v = argument;
    v->body(v->data);
    return NULL;
}

static int called; /* how often the function under test was, and with what */
static unsigned most_threads, any_flags;

static void note(unsigned threads, unsigned flags)
{
    called++;
    if (threads > most_threads) most_threads = threads;
    any_flags |= flags;
}

/* body on `count` new threads, and here or not. */
static void spread(void (*body)(void *data), void *data, unsigned count, int here)
{
    pthread_t threads[MOST];
    visit v = {body, data};
    assert_true(count <= MOST);
    ours = 1;
    for (unsigned i = 0; i < count; i++) assert_int_equal(pthread_create(&threads[i], NULL, visit_main, &v), 0);
    ours = 0;
    if (here) body(data);
    for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static void as_asked(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    note(threads, flags);
    spread(body, data, threads - 1, 1);
}

static void one_after_another(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    note(threads, flags);
    for (unsigned i = 0; i < threads; i++) body(data);
}

static void once(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    note(threads, flags);
    body(data);
}

static void never(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    (void)body;
    (void)data;
    note(threads, flags);
}

static void others_alone(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    note(threads, flags);
    spread(body, data, threads, 0);
}

static void too_many(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    note(threads, flags);
    spread(body, data, threads + 1, 1);
}

static const struct {
    const char *name;
    floyd_parallel_fn function;
} kinds[] = {{"as asked", as_asked}, {"one after another", one_after_another}, {"once", once},
             {"never", never},       {"others alone", others_alone},           {"too many", too_many}};

/* The workspace ends where the query says (run_*_args guard it), so one thread too many would be seen. */
static void run_with(problem *p, const floyd_options *options)
{
    const floyd_forward_args forward = forward_args(p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(p, GRADIENTS);
    assert_int_equal(run_forward_args(&forward, options), FLOYD_OK);
    assert_int_equal(run_backward_args(&backward, options), FLOYD_OK);
}

static void test_kinds(void **state)
{
    (void)state;
    spec s = spec_of(2, 2, 70, 65, 66, 12);
    problem plain = computed(&s);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int threads = 1; threads <= 4; threads++) {
            s.threads = threads;
            problem p = problem_new(&s);
            floyd_options options = FLOYD_OPTIONS_INIT;
            options.threads = threads;
            options.parallel = kinds[i].function;
            called = strangers = 0;
            most_threads = any_flags = 0;
            run_with(&p, &options);
            assert_int_equal(called, threads > 1 ? 2 : 0);
            assert_int_equal(most_threads, threads > 1 ? threads : 0);
            assert_int_equal(any_flags, 0);
            assert_int_equal(strangers, 0);
            expect_same_bits(&plain, &p, FORWARD_OUTPUTS | GRADIENTS, kinds[i].name);
            problem_free(&p);
        }
    problem_free(&plain);
}

typedef struct record {
    pthread_t caller;
    int elsewhere;
    int64_t done, total;
} record;

static int hear(void *user, int64_t done, int64_t total)
{
    record *r = user;
    r->elsewhere |= !pthread_equal(pthread_self(), r->caller);
    r->done = done;
    r->total = total;
    return 0;
}

static void test_progress(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const spec s = spec_of(2, 2, 70, 65, 66, 12);
        problem p = problem_new(&s);
        record r = {.caller = pthread_self()};
        floyd_options options = FLOYD_OPTIONS_INIT;
        options.threads = 3;
        options.parallel = kinds[i].function;
        options.progress = hear;
        options.progress_user = &r;
        run_with(&p, &options);
        assert_false(r.elsewhere);
        assert_true(r.total > 0 && r.done == r.total);
        problem_free(&p);
    }
}

/* Options of the header before the function was there: what follows them is not looked at. */
static void test_shorter_struct(void **state)
{
    (void)state;
    spec s = spec_of(2, 2, 70, 65, 66, 12);
    problem p = problem_new(&s);
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.struct_size = offsetof(floyd_options, parallel);
    options.threads = 2;
    options.parallel = as_asked;
    called = 0;
    run_with(&p, &options);
    assert_int_equal(called, 0);
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_progress),
                                       cmocka_unit_test(test_shorter_struct)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
