/* SPDX-License-Identifier: Apache-2.0 */
/* A child after fork: what was the parent's is a status and never a hang, and it can begin for itself. */
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

/*
 * A sanitizer has locks of its own, in the allocator and round threads, that a fork may catch held by another
 * thread. So under one nothing else runs while the process forks, and the child starts no threads.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

typedef struct inherited {
    aclrtContext context, own;
    aclrtStream stream;
    aclrtEvent event;
    void *memory;
} inherited;

/* 0, or the line of the first surprise: a child reports by its exit status. */
#define EXPECT(expected, call)                                                                                     \
    do {                                                                                                           \
        if ((call) != (expected)) return __LINE__;                                                                 \
    } while (0)

static int use_what_was_inherited(const inherited *i)
{
    int n = 0;
    aclrtContext context;
    aclrtStreamStatus status;
    aclrtEventRecordedStatus recorded;
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeStream(i->stream));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeStream(NULL));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeDevice());
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtStreamQuery(i->stream, &status));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtLaunchHostFunc(i->stream, add_one, &n));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyStream(i->stream));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtGetCurrentContext(&context));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtSetCurrentContext(i->context));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtSetCurrentContext(i->own));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyContext(i->own));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtQueryEventStatus(i->event, &recorded));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeEvent(i->event));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyEvent(i->event));
    EXPECT(ACL_ERROR_RT_CONTEXT_NULL, aclrtResetDevice(0));
    return strstr(aclGetRecentErrMsg(), "not set") != NULL ? 0 : __LINE__;
}

static int begin_afresh(const inherited *i)
{
    int n = 0;
    aclrtStream stream;
    aclrtEvent event;
    uint64_t self = (uint64_t)pthread_self();
    EXPECT(ACL_SUCCESS, aclrtSetDevice(0));
    EXPECT(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeStream(i->stream));
    EXPECT(ACL_SUCCESS, aclrtCreateStream(&stream));
    EXPECT(ACL_SUCCESS, aclrtCreateEvent(&event));
    EXPECT(ACL_SUCCESS, aclrtLaunchHostFunc(stream, add_one, &n));
    EXPECT(ACL_SUCCESS, aclrtRecordEvent(event, stream));
    EXPECT(ACL_SUCCESS, aclrtSubscribeReport(self, stream));
    EXPECT(ACL_SUCCESS, aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, stream));
    EXPECT(ACL_SUCCESS, aclrtProcessReport(-1));
    EXPECT(ACL_SUCCESS, aclrtSynchronizeDevice());
    EXPECT(ACL_SUCCESS, aclrtFree(i->memory)); /* the child has a copy of memory, and of the list */
    EXPECT(ACL_SUCCESS, aclrtResetDevice(0));
    EXPECT(2, n);
    EXPECT(ACL_SUCCESS, aclrtDestroyEvent(event));
    return 0;
}

static int in_child(const inherited *i)
{
    alarm(20);
    int line = use_what_was_inherited(i);
    return line != 0 || SANITIZED ? line : begin_afresh(i);
}

static void check_child(pid_t child)
{
    int status;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status)) print_error("the child died of signal %d\n", WTERMSIG(status));
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 0) print_error("the child failed at line %d (modulo 256)\n", WEXITSTATUS(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void make(inherited *i)
{
    OK(aclrtGetCurrentContext(&i->context));
    OK(aclrtCreateContext(&i->own, 0));
    OK(aclrtSetCurrentContext(i->context));
    OK(aclrtCreateStream(&i->stream));
    OK(aclrtCreateEvent(&i->event));
    OK(aclrtMalloc(&i->memory, 100, ACL_MEM_MALLOC_HUGE_FIRST));
}

static void destroy(const inherited *i)
{
    OK(aclrtSynchronizeDevice());
    OK(aclrtDestroyStream(i->stream));
    OK(aclrtDestroyEvent(i->event));
    OK(aclrtDestroyContext(i->own));
    OK(aclrtFree(i->memory));
}

/* At the locks all the time. */
static void *hammer(void *user)
{
    gate *g = user;
    for (bool open = false; !open;) {
        aclrtEvent event;
        void *memory;
        if (aclrtSetDevice(0) != ACL_SUCCESS || aclrtCreateEvent(&event) != ACL_SUCCESS) return NULL;
        if (aclrtMalloc(&memory, 10, ACL_MEM_MALLOC_HUGE_FIRST) != ACL_SUCCESS) return NULL;
        if (aclrtDestroyEvent(event) != ACL_SUCCESS || aclrtFree(memory) != ACL_SUCCESS) return NULL;
        if (aclrtProcessReport(0) != ACL_ERROR_RT_THREAD_SUBSCRIBE || aclrtResetDevice(0) != ACL_SUCCESS)
            return NULL;
        pthread_mutex_lock(&g->lock);
        open = g->open;
        pthread_mutex_unlock(&g->lock);
    }
    return user;
}

static void a_child_begins_afresh(void **state)
{
    (void)state;
    inherited i;
    gate held = GATE, stop = GATE;
    pthread_t thread;
    void *fine;
    make(&i);
    OK(aclrtLaunchHostFunc(i.stream, gate_wait, &held));
    OK(aclrtRecordEvent(i.event, i.stream));
    gate_until_reached(&held);
    if (!SANITIZED) assert_int_equal(pthread_create(&thread, NULL, hammer, &stop), 0);
    for (int k = 0; k < 10; k++) {
        pid_t child = fork();
        if (child == 0) _exit(in_child(&i));
        check_child(child);
    }
    gate_open(&held);
    gate_open(&stop);
    if (!SANITIZED) {
        assert_int_equal(pthread_join(thread, &fine), 0);
        assert_ptr_equal(fine, &stop);
    }
    destroy(&i); /* the parent has lost nothing */
}

static void grandchildren(void **state)
{
    (void)state;
    inherited i;
    make(&i);
    pid_t child = fork();
    if (child == 0) {
        int n = 0;
        if (!SANITIZED && aclrtSetDevice(0) != ACL_SUCCESS) _exit(1);
        if (!SANITIZED && aclrtLaunchHostFunc(NULL, add_one, &n) != ACL_SUCCESS) _exit(1);
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(in_child(&i));
        int status;
        if (waitpid(grandchild, &status, 0) != grandchild || status != 0) _exit(2);
        if (!SANITIZED && (aclrtResetDevice(0) != ACL_SUCCESS || n != 1)) _exit(3);
        _exit(0);
    }
    check_child(child);
    destroy(&i);
}

static void fork_here(void *user)
{
    pid_t *child = user;
    pid_t made = fork();
    if (made == 0) {
        if (SANITIZED) _exit(0); /* what only the parent's other stacks point to would be called a leak */
        alarm(20);
        return; /* the copy of the stream's thread is all there is of the child */
    }
    *child = made;
}

/* The child of a host function ends with its only thread, and leaves the parent's queue alone. */
static void fork_in_a_host_function(void **state)
{
    (void)state;
    pid_t child = -1;
    int n = 0;
    OK(aclrtLaunchHostFunc(NULL, fork_here, &child));
    OK(aclrtLaunchHostFunc(NULL, add_one, &n));
    OK(aclrtSynchronizeStream(NULL));
    assert_int_equal(n, 1);
    check_child(child);
}

/* Streams end with the process, whatever they hold: exit does not wait for them. */
static void a_process_ends_with_work_queued(void **state)
{
    (void)state;
    static gate never = GATE;
    fflush(NULL); /* or the child would print it again */
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        if (SANITIZED) _exit(0);
        if (aclrtSetDevice(0) != ACL_SUCCESS || aclrtLaunchHostFunc(NULL, gate_wait, &never) != ACL_SUCCESS)
            exit(1);
        gate_until_reached(&never);
        exit(0);
    }
    check_child(child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DEVICE(a_child_begins_afresh),
        ON_DEVICE(grandchildren),
        ON_DEVICE(fork_in_a_host_function),
        ON_DEVICE(a_process_ends_with_work_queued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
