/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forks of a process that uses the operators: a child finds that what was on streams stayed behind, by a status,
 * and may begin for itself, whatever the parent's threads were at, and from a host function, too.
 */
#define _DEFAULT_SOURCE
#include "support.h"
#include "watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE = 120, THREADS = 4, CHILDREN = 12, LOST = ACL_ERROR_RT_INVALID_HANDLE };

typedef struct inheritance {
    aclrtContext context;
    aclrtStream stream;
    aclrtEvent event;
    call kept, mine, alone; /* an executor of the parent's; the child's own; what both shall compute */
} inheritance;

/* 0, or the line of the first surprise: a child reports by its exit status. */
#define EXPECT(expected, call)                                                                                     \
    do {                                                                                                           \
        if ((call) != (expected)) return __LINE__ % 200 + 1;                                                       \
    } while (0)

static bool says(const char *word)
{
    const char *message = aclGetRecentErrMsg();
    return message != NULL && strstr(message, word) != NULL;
}

/* What was the parent's is there no more, and says so. */
static int find_it_lost(inheritance *i)
{
    aclrtContext context;
    EXPECT(LOST, aclrtGetCurrentContext(&context));
    EXPECT(true, says("fork"));
    EXPECT(LOST, aclrtSynchronizeStream(i->stream));
    EXPECT(LOST, aclrtSetCurrentContext(i->context));
    EXPECT(LOST, aclrtSynchronizeEvent(i->event));
    EXPECT(ACLNN_SUCCESS, call_phase_one(&i->mine));
    EXPECT(ACLNN_ERR_RUNTIME_ERROR, call_phase_two(&i->mine, i->stream));
    EXPECT(true, says("107017"));
    EXPECT(ACLNN_SUCCESS, aclDestroyAclOpExecutor(i->mine.executor));
    return 0;
}

/* A child sets the device, runs its own executor and one of the parent's, and ends all of it. */
static int begin_for_oneself(inheritance *i)
{
    aclrtStream stream;
    const aclError init = aclInit(NULL); /* counted since before the fork */
    EXPECT(true, init == ACL_SUCCESS || init == ACL_ERROR_REPEAT_INITIALIZE);
    EXPECT(ACL_SUCCESS, aclrtSetDevice(0));
    EXPECT(ACL_SUCCESS, aclrtCreateStream(&stream));
    EXPECT(LOST, aclrtSynchronizeStream(i->stream));
    EXPECT(ACLNN_SUCCESS, call_phase_one(&i->mine));
    EXPECT(ACLNN_SUCCESS, call_phase_two(&i->mine, stream));
    EXPECT(ACLNN_SUCCESS, call_phase_two(&i->kept, NULL));
    EXPECT(ACL_SUCCESS, aclrtSynchronizeDevice());
    expect_same_outputs(&i->mine, &i->alone);
    expect_same_outputs(&i->kept, &i->alone);
    EXPECT(ACL_SUCCESS, aclrtDestroyStream(stream));
    EXPECT(ACL_SUCCESS, aclrtResetDevice(0));
    EXPECT(ACL_SUCCESS, aclFinalize());
    return 0;
}

static int in_child(inheritance *i)
{
    (void)alarm(PATIENCE);
    const int line = find_it_lost(i);
    return line != 0 || sanitized() ? line : begin_for_oneself(i); /* sanitizers want no threads in a child */
}

static void check_child(pid_t child)
{
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) print_error("the child died of signal %d\n", WTERMSIG(status));
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0)
        print_error("the child failed at line %d (modulo 200)\n", WEXITSTATUS(status) - 1);
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void make(inheritance *i)
{
    const spec s = smallest();
    call_open(&i->kept, &FORWARD, &s);
    call_open(&i->mine, &FORWARD, &s);
    call_open(&i->alone, &FORWARD, &s);
    call_run(&i->alone);
    assert_int_equal(call_phase_one(&i->kept), ACLNN_SUCCESS);
    assert_int_equal(aclrtGetCurrentContext(&i->context), ACL_SUCCESS);
    assert_int_equal(aclrtCreateStream(&i->stream), ACL_SUCCESS);
    assert_int_equal(aclrtCreateEvent(&i->event), ACL_SUCCESS);
    assert_int_equal(aclrtRecordEvent(i->event, i->stream), ACL_SUCCESS);
}

static void destroy(inheritance *i)
{
    assert_int_equal(aclDestroyAclOpExecutor(i->kept.executor), ACLNN_SUCCESS);
    assert_int_equal(aclrtDestroyStream(i->stream), ACL_SUCCESS);
    assert_int_equal(aclrtDestroyEvent(i->event), ACL_SUCCESS);
    call_close(&i->kept);
    call_close(&i->mine);
    call_close(&i->alone);
}

/* ---- While others compute ------------------------------------------------------------------------------ */

static atomic_bool stop;

typedef struct worker {
    pthread_t thread;
    call c;
    bool fine;
} worker;

static void *compute(void *user)
{
    worker *w = user;
    aclrtStream stream;
    w->fine = aclrtSetDevice(0) == ACL_SUCCESS && aclrtCreateStream(&stream) == ACL_SUCCESS;
    while (w->fine && !atomic_load(&stop))
        w->fine = call_phase_one(&w->c) == ACLNN_SUCCESS && call_phase_two(&w->c, stream) == ACLNN_SUCCESS &&
                  aclrtSynchronizeStream(stream) == ACL_SUCCESS;
    w->fine = w->fine && aclrtDestroyStream(stream) == ACL_SUCCESS && aclrtResetDevice(0) == ACL_SUCCESS;
    return NULL;
}

static void test_while_others_compute(void **state)
{
    (void)state;
    const spec s = smallest();
    worker workers[THREADS];
    inheritance i;
    const int count = sanitized() ? 0 : THREADS; /* whose own locks another thread may hold when this one forks */
    make(&i);
    atomic_store(&stop, false);
    for (int t = 0; t < count; t++) {
        call_open(&workers[t].c, &FORWARD, &s);
        assert_int_equal(pthread_create(&workers[t].thread, NULL, compute, &workers[t]), 0);
    }
    for (int k = 0; k < CHILDREN; k++) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) _exit(in_child(&i));
        check_child(child);
    }
    atomic_store(&stop, true);
    for (int t = 0; t < count; t++) {
        assert_int_equal(pthread_join(workers[t].thread, NULL), 0);
        assert_true(workers[t].fine);
        expect_same_outputs(&workers[t].c, &i.alone);
        call_close(&workers[t].c);
    }
    destroy(&i);
}

static bool make_and_destroy(call *c)
{
    return call_phase_one(c) == ACLNN_SUCCESS && aclDestroyAclOpExecutor(c->executor) == ACLNN_SUCCESS;
}

static void *churn(void *user)
{
    worker *w = user;
    do w->fine = make_and_destroy(&w->c);
    while (w->fine && !atomic_load(&stop));
    return NULL;
}

/* Whatever its parent's threads were at, the child makes executors, and has those of its parent. */
static void test_while_others_make(void **state)
{
    (void)state;
    const spec s = smallest();
    worker others[THREADS];
    call c, kept;
    call_open_unfilled(&c, &FORWARD, &s);
    call_open_unfilled(&kept, &FORWARD, &s);
    assert_int_equal(call_phase_one(&kept), ACLNN_SUCCESS);
    atomic_store(&stop, false);
    for (int t = 0; t < THREADS; t++) {
        call_open_unfilled(&others[t].c, &FORWARD, &s);
        assert_int_equal(pthread_create(&others[t].thread, NULL, churn, &others[t]), 0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            (void)alarm(60);
            _exit(make_and_destroy(&c) && aclDestroyAclOpExecutor(kept.executor) == ACLNN_SUCCESS ? 0 : 1);
        }
        check_child(child);
    }
    atomic_store(&stop, true);
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_join(others[t].thread, NULL), 0);
        assert_true(others[t].fine);
        call_close(&others[t].c);
    }
    assert_int_equal(aclDestroyAclOpExecutor(kept.executor), ACLNN_SUCCESS);
    call_close(&kept);
    call_close(&c);
}

/* ---- From a function of the host ------------------------------------------------------------------------- */

typedef struct forking {
    inheritance *i;
    pid_t child;
} forking;

static void fork_here(void *user)
{
    forking *f = user;
    const pid_t child = fork();
    if (child == 0) _exit(in_child(f->i));
    f->child = child;
}

/* The copy of the stream's thread serves no stream: it may wait for its own. */
static void test_from_a_host_function(void **state)
{
    (void)state;
    inheritance i;
    make(&i);
    for (int k = 0; k < 3; k++) {
        forking f = {&i, -1};
        fflush(NULL);
        assert_int_equal(aclrtLaunchHostFunc(i.stream, fork_here, &f), ACL_SUCCESS);
        assert_int_equal(aclrtSynchronizeStream(i.stream), ACL_SUCCESS);
        check_child(f.child);
    }
    destroy(&i);
}

/* And the thread that a stream reports to. */
static void test_from_a_callback(void **state)
{
    (void)state;
    inheritance i;
    forking f = {&i, -1};
    make(&i);
    fflush(NULL);
    assert_int_equal(aclrtSubscribeReport((uint64_t)pthread_self(), i.stream), ACL_SUCCESS);
    assert_int_equal(aclrtLaunchCallback(fork_here, &f, ACL_CALLBACK_BLOCK, i.stream), ACL_SUCCESS);
    assert_int_equal(aclrtProcessReport(-1), ACL_SUCCESS);
    check_child(f.child);
    assert_int_equal(aclrtSynchronizeStream(i.stream), ACL_SUCCESS);
    destroy(&i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_others_compute),
        cmocka_unit_test(test_while_others_make),
        cmocka_unit_test(test_from_a_host_function),
        cmocka_unit_test(test_from_a_callback),
    };
    watchdog_start(10 * PATIENCE);
    return cmocka_run_group_tests_name("aclnn fork", tests, runtime_start, runtime_stop);
}
