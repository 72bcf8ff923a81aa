/* SPDX-License-Identifier: Apache-2.0 */
/* Many host threads at once, more threads than processors, idle threads, and a child after fork. */
#define _DEFAULT_SOURCE
#include "cmocka_all.h"

#include "check.h"
#include "watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HOSTS = 6, ROUNDS = 5 };

typedef struct host {
    problem p;
    floyd_status status;
} host;

/* No assertion here: cmocka's belong to the main thread. */
static floyd_status run_once(problem *p)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_forward_args forward = forward_args(p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(p, GRADIENTS);
    options.threads = p->s.threads;
    const floyd_status status = run_forward_args(&forward, &options);
    return status != FLOYD_OK ? status : run_backward_args(&backward, &options);
}

static void *host_main(void *argument)
{
    host *h = argument;
    for (int i = 0; i < ROUNDS && h->status == FLOYD_OK; i++) h->status = run_once(&h->p);
    return NULL;
}

static spec host_spec(int i)
{
    spec s = spec_of(1, 2, 40 + i, 35, 67, 16);
    s.dtype = (floyd_dtype)(i % 4);
    s.threads = 1 + i % 4;
    s.seed = (uint64_t)i;
    return s;
}

static void test_many_callers(void **state)
{
    host hosts[HOSTS];
    pthread_t threads[HOSTS];
    (void)state;
    for (int i = 0; i < HOSTS; i++) {
        const spec s = host_spec(i);
        hosts[i] = (host){problem_new(&s), FLOYD_OK};
    }
    for (int i = 0; i < HOSTS; i++) assert_int_equal(pthread_create(&threads[i], NULL, host_main, &hosts[i]), 0);
    for (int i = 0; i < HOSTS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < HOSTS; i++) {
        const spec s = host_spec(i);
        problem alone = problem_new(&s);
        assert_int_equal(hosts[i].status, FLOYD_OK);
        assert_int_equal(run_once(&alone), FLOYD_OK);
        expect_same_bits(&alone, &hosts[i].p, FORWARD_OUTPUTS | GRADIENTS, "one caller among many");
        problem_free(&alone);
        problem_free(&hosts[i].p);
    }
}

static void test_more_threads_than_work(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 1, 1, 1, 1);
    s.threads = 100;
    run_and_check(&s);
    s = spec_of(1, 2, 20, 33, 17, 8);
    s.threads = 64;
    run_and_check(&s);
}

/* 0 in the child when it computed the parent's bits. */
static int child_agrees(const problem *parent)
{
    spec s = parent->s;
    if (thread_sanitized()) s.threads = 1;
    problem p = problem_new(&s);
    if (run_once(&p) != FLOYD_OK) return 1;
    expect_same_bits(parent, &p, FORWARD_OUTPUTS | GRADIENTS, "a child after fork");
    problem_free(&p);
    return 0;
}

static double processor_seconds(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Between calls nobody spins: a tenth of one processor, for what a sanitizer's own thread does. */
static void test_idle_threads(void **state)
{
    (void)state;
    spec s = spec_of(2, 2, 40, 35, 34, 8);
    s.threads = 8;
    run_and_check(&s);
    const double before = processor_seconds();
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    const double used = processor_seconds() - before;
    if (used > 0.03) fail_msg("idle threads took %g s of 0.3", used);
}

/* Threads of the parent are not in the child: it must not wait for them. */
static void test_fork(void **state)
{
    const spec s = host_spec(3);
    problem p = problem_new(&s);
    int status = -1;
    (void)state;
    assert_int_equal(run_once(&p), FLOYD_OK);
    for (int i = 0; i < 3; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(60);
            _exit(child_agrees(&p));
        }
        assert_true(waitpid(child, &status, 0) == child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(run_once(&p), FLOYD_OK);
    }
    problem_free(&p);
}

typedef struct busy {
    problem p;
    atomic_int stop;
} busy;

static void *busy_main(void *argument)
{
    busy *b = argument;
    while (!atomic_load(&b->stop)) run_once(&b->p);
    return NULL;
}

/* A fork while another thread computes: no lock of the library may stay held in the child. */
static void test_fork_while_computing(void **state)
{
    const spec s = host_spec(3);
    problem p = problem_new(&s);
    busy other = {problem_new(&s), 0};
    pthread_t thread;
    int status = -1;
    (void)state;
    assert_int_equal(run_once(&p), FLOYD_OK);
    assert_int_equal(pthread_create(&thread, NULL, busy_main, &other), 0);
    for (int i = 0; i < 10; i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(60);
            _exit(child_agrees(&p));
        }
        assert_true(waitpid(child, &status, 0) == child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&other.stop, 1);
    pthread_join(thread, NULL);
    problem_free(&p);
    problem_free(&other.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_callers),
                                       cmocka_unit_test(test_more_threads_than_work),
                                       cmocka_unit_test(test_idle_threads), cmocka_unit_test(test_fork),
                                       cmocka_unit_test(test_fork_while_computing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
