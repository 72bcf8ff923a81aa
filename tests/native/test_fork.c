/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that fork at bad moments: in the middle of a call, from its own callback; again and again, from many
 * threads that all compute; and from a child. Parent and child both get right bits or a status, and nobody hangs.
 */
#define _DEFAULT_SOURCE
#include "cmocka_all.h"

#include "check.h"
#include "watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE = 120, FORKERS = 4, CHILDREN = 8 };

static spec usual(int threads)
{
    spec s = spec_of(2, 2, 70, 65, 34, 8);
    s.threads = threads;
    return s;
}

static floyd_status run_whole(problem *p, const floyd_options *options, bool backward)
{
    const floyd_forward_args forward = forward_args(p, FORWARD_OUTPUTS);
    const floyd_backward_args args = backward_args(p, GRADIENTS);
    return backward ? run_backward_args(&args, options) : run_forward_args(&forward, options);
}

static bool same(const problem *a, const problem *b, unsigned roles)
{
    for (int r = 0; r < ROLES; r++)
        if (roles & 1u << r && a->t[r].block != NULL && memcmp(a->t[r].block, b->t[r].block, a->t[r].bytes) != 0)
            return false;
    return true;
}

static void expect_exit(pid_t child, int wanted)
{
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) print_error("the child died of signal %d\n", WTERMSIG(status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), wanted);
}

/* ---- Before there are workers -------------------------------------------------------------------------- */

static atomic_bool enough;

static floyd_status compute_least(void)
{
    float value = 1, largest, total, got;
    const floyd_tensor in = {&value, FLOYD_F32, {1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}};
    floyd_tensor y = in, max = in, sum = in;
    unsigned char workspace[1 << 16];
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    floyd_options options = FLOYD_OPTIONS_INIT;
    y.data = &got, max.data = &largest, sum.data = &total;
    args.scale = 1, args.q = args.k1 = args.v1 = args.k2 = args.v2 = &in;
    args.y = &y, args.max = &max, args.sum = &sum;
    options.threads = 1;
    return floyd_forward(&args, &options, workspace, sizeof workspace);
}

static void *compute_on(void *unused)
{
    while (!atomic_load(&enough)) (void)compute_least();
    return unused;
}

/* A process that computes with one thread a call, on two of its own: the child can compute, and end in order. */
static void test_before_workers(void **state)
{
    pthread_t others[2];
    const int count = sanitized() ? 0 : 2, children = sanitized() ? 1 : 300;
    (void)state;
    assert_int_equal(compute_least(), FLOYD_OK);
    for (int i = 0; i < count; i++) assert_int_equal(pthread_create(&others[i], NULL, compute_on, NULL), 0);
    fflush(NULL);
    for (int i = 0; i < children; i++) {
        const pid_t child = fork();
        if (child == 0) {
            (void)alarm(PATIENCE);
            if (compute_least() != FLOYD_OK) _exit(1);
            if (sanitized()) _exit(0); /* as in test_child_exits_in_order() */
            exit(0);
        }
        expect_exit(child, 0);
    }
    atomic_store(&enough, true);
    for (int i = 0; i < count; i++) assert_int_equal(pthread_join(others[i], NULL), 0);
}

/* ---- From the callback -------------------------------------------------------------------------------- */

typedef struct forking {
    int calls, fork_at; /* which call of the callback forks */
    pid_t child;        /* -1: not yet; 0: this is it */
} forking;

static int fork_in_turn(void *user, int64_t done, int64_t total)
{
    forking *f = user;
    (void)done;
    (void)total;
    if (++f->calls != f->fork_at) return 0;
    fflush(NULL);
    f->child = fork();
    if (f->child == 0) (void)alarm(PATIENCE);
    return 0;
}

/* The exit status of the child, in which the call has returned: right bits, or cancelled with why. Then the next
 * call. */
static int judge_child(problem *p, const problem *want, floyd_status status, int threads, bool backward)
{
    const unsigned roles = backward ? GRADIENTS : FORWARD_OUTPUTS;
    const bool explained = strstr(floyd_last_message(), "forked") != NULL;
    if (status == FLOYD_OK ? !same(p, want, roles) : status != FLOYD_ERROR_CANCELLED || !explained) return 1;
    if (threads == 1 && status != FLOYD_OK) return 2; /* who computes alone has all that it needs */
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = sanitized() ? 1 : threads; /* ThreadSanitizer knows no threads in a child */
    if (run_whole(p, &options, backward) != FLOYD_OK || !same(p, want, roles)) return 3;
    return status == FLOYD_OK ? 10 : 11;
}

/* 10: the child's call was whole; 11: it was cancelled; 0: the callback was not asked that often. */
static int fork_from_callback(const problem *want, int threads, int fork_at, bool backward)
{
    const spec s = usual(threads);
    problem p = problem_new(&s);
    forking f = {.fork_at = fork_at, .child = -1};
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = threads;
    options.progress = fork_in_turn;
    options.progress_user = &f;
    for (enum role r = T_Y; r <= T_SUM; r++) memcpy(p.t[r].block, want->t[r].block, p.t[r].bytes);
    const floyd_status status = run_whole(&p, &options, backward);
    if (f.child == 0) _exit(judge_child(&p, want, status, threads, backward));
    assert_int_equal(status, FLOYD_OK);
    assert_true(same(&p, want, backward ? GRADIENTS : FORWARD_OUTPUTS));
    problem_free(&p);
    int how = 0;
    if (f.child < 0) return 0;
    assert_int_equal(waitpid(f.child, &how, 0), f.child);
    if (WIFSIGNALED(how)) print_error("the child died of signal %d\n", WTERMSIG(how));
    assert_true(WIFEXITED(how));
    if (WEXITSTATUS(how) < 10)
        print_error("threads %d, call %d: the child says %d\n", threads, fork_at, WEXITSTATUS(how));
    assert_true(WEXITSTATUS(how) >= 10);
    return WEXITSTATUS(how);
}

static void test_from_callback(void **state)
{
    (void)state;
    const spec s = usual(1);
    problem want = computed(&s);
    int whole = 0, cancelled = 0;
    for (int backward = 0; backward <= 1; backward++)
        for (int threads = 1; threads <= 4; threads++)
            for (int at = 1; at <= 6; at++) {
                const int how = fork_from_callback(&want, threads, at, backward);
                whole += how == 10;
                cancelled += how == 11;
            }
    problem_free(&want);
    assert_true(whole > 0 && cancelled > 0);
}

/* ---- From many threads, again and again ---------------------------------------------------------------- */

typedef struct forker {
    pthread_t thread;
    problem p;
    const problem *want;
    int wrong;
} forker;

static bool computes(problem *p, const problem *want, int threads)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = threads;
    for (enum role r = T_Y; r < ROLES; r++)
        if ((ALL_OUTPUTS & 1 << r) && p->t[r].block != NULL) tensor_poison(&p->t[r]);
    return run_whole(p, &options, false) == FLOYD_OK && run_whole(p, &options, true) == FLOYD_OK &&
           same(p, want, ALL_OUTPUTS);
}

/* A child computes with threads, and so does its own. */
static int child_main(forker *f)
{
    (void)alarm(PATIENCE);
    if (!computes(&f->p, f->want, sanitized() ? 1 : 3)) return 1;
    const pid_t grandchild = fork();
    if (grandchild == 0) {
        (void)alarm(PATIENCE);
        _exit(computes(&f->p, f->want, sanitized() ? 1 : 2) ? 0 : 2);
    }
    int status = -1;
    return waitpid(grandchild, &status, 0) == grandchild && status == 0 ? 0 : 3;
}

static void *forker_main(void *argument)
{
    forker *f = argument;
    for (int i = 0; i < CHILDREN; i++) {
        f->wrong += !computes(&f->p, f->want, 1 + i % 4);
        const pid_t child = fork();
        if (child == 0) _exit(child_main(f));
        int status = -1;
        f->wrong += waitpid(child, &status, 0) != child || status != 0;
    }
    return NULL;
}

/*
 * A sanitizer's own locks may be held by another thread when one forks, and its allocator then hangs in the child:
 * under one a single thread forks.
 */
static void test_from_many_threads(void **state)
{
    (void)state;
    forker forkers[FORKERS];
    const spec s = usual(1);
    problem want = computed(&s);
    const int count = sanitized() ? 1 : FORKERS;
    for (int i = 0; i < count; i++) {
        forkers[i] = (forker){.p = problem_new(&s), .want = &want};
        assert_int_equal(pthread_create(&forkers[i].thread, NULL, forker_main, &forkers[i]), 0);
    }
    for (int i = 0; i < count; i++) {
        assert_int_equal(pthread_join(forkers[i].thread, NULL), 0);
        assert_int_equal(forkers[i].wrong, 0);
        problem_free(&forkers[i].p);
    }
    problem_free(&want);
}

/* exit(), with its destructors, in a child that computed and in one that did not. */
static void test_child_exits_in_order(void **state)
{
    (void)state;
    const spec s = usual(3);
    problem want = computed(&s), p = problem_new(&s);
    for (int i = 0; i < 4; i++) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            (void)alarm(PATIENCE);
            if (i % 2 == 1 && !computes(&p, &want, sanitized() ? 1 : 3)) _exit(1);
            if (sanitized()) _exit(0); /* what the parent's threads point to would be called a leak */
            exit(0);
        }
        expect_exit(child, 0);
    }
    problem_free(&p);
    problem_free(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_before_workers), cmocka_unit_test(test_from_callback),
                                       cmocka_unit_test(test_from_many_threads),
                                       cmocka_unit_test(test_child_exits_in_order)};
    watchdog_start(20 * PATIENCE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
