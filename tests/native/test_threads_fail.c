/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A system that starts no more threads: the call says so and writes nothing. pthread_create() is ours
 * here (the library finds the program's before the system's), fails when told to, and sees what threads begin with.
 * So is glibc's part of pthread_atfork().
 */
#define _GNU_SOURCE
#include "cmocka_all.h"

#include "check.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static int starts_left = -1; /* -1: no limit */
static int started;
static sigset_t inherited; /* signals that the newest thread blocks */

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real, &symbol, sizeof real);
    if (starts_left == 0) return EAGAIN;
    if (starts_left > 0) starts_left--;
    started++;
    pthread_sigmask(SIG_SETMASK, NULL, &inherited);
    return real(thread, attributes, start, argument);
}

/* A sanitizer's runtime watches forks, too, and cannot do without. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__GLIBC__) && !defined(SANITIZED) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define WATCHES_FORKS
static int forks_unwatched = 2; /* calls that are still to fail: the one at the library's loading is the first */

int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *);

__attribute__((visibility("default"))) int __register_atfork(void (*prepare)(void), void (*parent)(void),
                                                             void (*child)(void), void *library)
{
    int (*real)(void (*)(void), void (*)(void), void (*)(void), void *);
    void *symbol = dlsym(RTLD_NEXT, "__register_atfork");
    memcpy(&real, &symbol, sizeof real);
    if (forks_unwatched > 0) return forks_unwatched--, ENOMEM;
    return real(prepare, parent, child, library);
}
#endif

static int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;
    assert_non_null(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count;
}

static void *come_and_go(void *nothing)
{
    return nothing;
}

/* ThreadSanitizer's own thread comes with the first of the program. Neither counts. */
static void start_and_join_one(void)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, come_and_go, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    started = 0;
}

static void expect_refused(problem *p, int allowed)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_forward_args forward = forward_args(p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(p, GRADIENTS);
    options.threads = p->s.threads;
    starts_left = allowed;
    assert_int_equal(run_forward_args(&forward, &options), FLOYD_ERROR_SYSTEM);
    assert_non_null(strstr(floyd_last_message(), "thread"));
    starts_left = 0;
    assert_int_equal(run_backward_args(&backward, &options), FLOYD_ERROR_SYSTEM);
    for (enum role r = T_Y; r < ROLES; r++)
        if (r != T_DY && !tensor_untouched(&p->t[r])) fail_msg("%s was written", role_names[r]);
    starts_left = -1;
}

/*
 * Each thread of a call is refused in turn, until there are enough. A call that failed keeps those that it did
 * start for the next one: threads and descriptors are never more than that.
 */
static void test_each_refused(void **state)
{
    (void)state;
    enum { THREADS = 9 };
    spec s = spec_of(2, 2, 70, 65, 66, 12);
    s.threads = THREADS;
    start_and_join_one();
    const int threads = count_entries("/proc/self/task"), descriptors = count_entries("/proc/self/fd");
    for (int others = 1; others < THREADS; others++) {
        problem p = problem_new(&s);
        expect_refused(&p, others == 1 ? 0 : 1);
        problem_free(&p);
        assert_int_equal(count_entries("/proc/self/task"), threads + others - 1);
        assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    }
    starts_left = 1; /* the last one that lacks */
    run_and_check(&s);
    assert_int_equal(starts_left, 0);
    run_and_check(&s); /* no more are needed */
    starts_left = -1;
}

/*
 * None can be started, then one of many; afterwards everything works, with that many and with one. The one that was
 * started is kept for later calls.
 */
static void test_refused_then_fine(void **state)
{
    enum { THREADS = 12 };
    spec s = spec_of(2, 2, 70, 65, 66, 12); /* work for all of them */
    (void)state;
    s.threads = THREADS;
    for (int allowed = 0; allowed <= 1; allowed++) {
        problem p = problem_new(&s);
        expect_refused(&p, allowed);
        problem_free(&p);
    }
    s.threads = 1;
    starts_left = 0;
    run_and_check(&s);
    starts_left = -1;
    s.threads = THREADS;
    run_and_check(&s);
    assert_int_equal(started, THREADS - 1);
}

/* Signals are for the program's threads; a fault is of the thread that commits it. */
static void test_workers_block_signals(void **state)
{
    static const int theirs[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGCHLD};
    static const int own[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    sigset_t before, after;
    spec s = spec_of(4, 4, 70, 65, 66, 12);
    (void)state;
    s.threads = 16; /* more than there are */
    const int earlier = started;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    run_and_check(&s);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_true(started > earlier);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        assert_true(sigismember(&inherited, theirs[i]) == 1);
        assert_int_equal(sigismember(&after, theirs[i]), sigismember(&before, theirs[i]));
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) assert_true(sigismember(&inherited, own[i]) == 0);
}

/* Without memory to hear of forks by there are no workers; the next call asks again. */
static void test_forks_unwatched(void **state)
{
    (void)state;
#ifdef WATCHES_FORKS
    spec s = spec_of(2, 2, 70, 65, 66, 12);
    problem p = problem_new(&s);
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    options.threads = 2;
    assert_int_equal(forks_unwatched, 1);
    assert_int_equal(run_forward_args(&forward, &options), FLOYD_ERROR_SYSTEM);
    assert_non_null(strstr(floyd_last_message(), strerror(ENOMEM)));
    assert_int_equal(forks_unwatched, 0);
    for (enum role r = T_Y; r <= T_SUM; r++) assert_true(tensor_untouched(&p.t[r]));
    starts_left = 0;
    assert_int_equal(run_forward_args(&forward, &options), FLOYD_ERROR_SYSTEM);
    assert_non_null(strstr(floyd_last_message(), strerror(EAGAIN))); /* it has come as far as the worker */
    starts_left = -1;
    problem_free(&p);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forks_unwatched), cmocka_unit_test(test_each_refused),
                                       cmocka_unit_test(test_refused_then_fine),
                                       cmocka_unit_test(test_workers_block_signals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
