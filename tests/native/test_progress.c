/* SPDX-License-Identifier: Apache-2.0 */
/* The progress callback: what it is told, on which thread, and what a refusal does. */
#include "cmocka_all.h"

#include "check.h"

#include <pthread.h>
#include <string.h>

typedef struct record {
    pthread_t caller;
    int calls, bad, stop_after; /* 0: never */
    int64_t done, total;
} record;

static int note(void *user, int64_t done, int64_t total)
{
    record *r = user;
    if (!pthread_equal(pthread_self(), r->caller)) r->bad = 1;
    if (r->calls > 0 && (total != r->total || done < r->done)) r->bad = 1;
    if (done < 0 || done > total) r->bad = 1;
    r->calls++;
    r->done = done;
    r->total = total;
    return r->stop_after && r->calls >= r->stop_after;
}

static spec progress_spec(int threads)
{
    spec s = spec_of(2, 3, 70, 65, 66, 12);
    s.threads = threads;
    return s;
}

static floyd_options options_for(record *r, int threads, int stop_after)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    memset(r, 0, sizeof *r);
    r->caller = pthread_self();
    r->stop_after = stop_after;
    options.threads = threads;
    options.progress = note;
    options.progress_user = r;
    return options;
}

static void expect_complete(const record *r)
{
    assert_false(r->bad);
    assert_true(r->total > 0);
    assert_true(r->done == r->total);
}

static void test_told(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        const spec s = progress_spec(threads);
        problem p = problem_new(&s), plain = problem_new(&s);
        record r;
        floyd_options options = options_for(&r, threads, 0);
        const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
        const floyd_backward_args backward = backward_args(&p, GRADIENTS);
        assert_int_equal(run_forward_args(&forward, &options), FLOYD_OK);
        expect_complete(&r);
        options = options_for(&r, threads, 0);
        assert_int_equal(run_backward_args(&backward, &options), FLOYD_OK);
        expect_complete(&r);
        run_forward(&plain);
        run_backward(&plain);
        expect_same_bits(&plain, &p, FORWARD_OUTPUTS | GRADIENTS, "with progress");
        problem_free(&p);
        problem_free(&plain);
    }
}

/*
 * With more threads the caller may be left too few pieces to be asked that often; alone it is asked after
 * each. Once it said stop it is not asked again.
 */
static void expect_cancel(floyd_status status, const record *r, int threads)
{
    const int asked_enough = r->calls >= r->stop_after;
    if (threads == 1) assert_true(asked_enough);
    assert_int_equal(status, asked_enough ? FLOYD_ERROR_CANCELLED : FLOYD_OK);
    assert_true(r->calls <= r->stop_after);
    assert_false(r->bad);
    if (asked_enough) assert_true(strlen(floyd_last_message()) > 0);
}

/* After a cancel the status says so, and the next call is whole. */
static void test_cancel(void **state)
{
    (void)state;
    const spec one = progress_spec(1);
    problem plain = computed(&one);
    for (int threads = 1; threads <= 3; threads++)
        for (int stop = 1; stop <= 3; stop++) {
            const spec s = progress_spec(threads);
            problem p = problem_new(&s);
            record r;
            const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
            const floyd_backward_args backward = backward_args(&p, GRADIENTS);
            floyd_options options = options_for(&r, threads, stop);
            expect_cancel(run_forward_args(&forward, &options), &r, threads);
            run_forward(&p);
            options = options_for(&r, threads, stop);
            expect_cancel(run_backward_args(&backward, &options), &r, threads);
            run_backward(&p);
            expect_same_bits(&plain, &p, FORWARD_OUTPUTS | GRADIENTS, "after a cancel");
            problem_free(&p);
        }
    problem_free(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_told), cmocka_unit_test(test_cancel)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
