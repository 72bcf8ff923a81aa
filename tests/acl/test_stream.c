/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: order, waiting, asking, destroying while running, handles that are none. */
#include <signal.h>

#include "support.h"

#define COUNT 10000

typedef struct sequence {
    int next;
    bool broken;
} sequence;

typedef struct step {
    sequence *sequence;
    int index;
} step;

static void take_step(void *user)
{
    step *s = user;
    s->sequence->broken |= s->sequence->next != s->index;
    s->sequence->next = s->index + 1;
}

static void first_in_first_out(void **state)
{
    (void)state;
    aclrtStream stream;
    sequence seen = {0};
    step *steps = calloc(COUNT, sizeof *steps);
    assert_non_null(steps);
    OK(aclrtCreateStream(&stream));
    for (int i = 0; i < COUNT; i++) {
        steps[i] = (step){&seen, i};
        OK(aclrtLaunchHostFunc(stream, take_step, &steps[i]));
    }
    OK(aclrtSynchronizeStream(stream));
    assert_int_equal(seen.next, COUNT);
    assert_false(seen.broken);
    OK(aclrtDestroyStream(stream));
    free(steps);
}

static void submission_returns_at_once(void **state)
{
    (void)state;
    gate g = GATE;
    int n = 0;
    aclrtStreamStatus status;
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtLaunchHostFunc(NULL, add_one, &n));
    OK(aclrtStreamQuery(NULL, &status));
    assert_int_equal(status, ACL_STREAM_STATUS_NOT_READY);
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtStreamQuery(NULL, NULL));
    gate_until_reached(&g);
    OK(aclrtStreamQuery(NULL, &status));
    assert_int_equal(status, ACL_STREAM_STATUS_NOT_READY);
    gate_open(&g);
    OK(aclrtSynchronizeStream(NULL));
    assert_int_equal(n, 1);
    OK(aclrtStreamQuery(NULL, &status));
    assert_int_equal(status, ACL_STREAM_STATUS_COMPLETE);
}

static void timeouts(void **state)
{
    (void)state;
    gate g = GATE;
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtSynchronizeStreamWithTimeout(NULL, -2));
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeStreamWithTimeout(NULL, 0));
    double before = now_ms();
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeStreamWithTimeout(NULL, 1050));
    double waited = now_ms() - before;
    assert_true(waited >= 1049 && waited < 5000);
    pthread_t opener;
    assert_int_equal(pthread_create(&opener, NULL, gate_open_later, &g), 0);
    OK(aclrtSynchronizeStreamWithTimeout(NULL, -1));
    assert_int_equal(pthread_join(opener, NULL), 0);
    OK(aclrtSynchronizeStreamWithTimeout(NULL, 0));
    OK(aclrtSynchronizeStreamWithTimeout(NULL, INT32_MAX));
}

static void streams_do_not_wait_for_each_other(void **state)
{
    (void)state;
    gate g = GATE;
    int n = 0;
    aclrtStream held, free_one;
    OK(aclrtCreateStream(&held));
    OK(aclrtCreateStreamWithConfig(&free_one, 7,
                                   ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC | ACL_STREAM_PERSISTENT));
    OK(aclrtLaunchHostFunc(held, gate_wait, &g));
    OK(aclrtLaunchHostFunc(free_one, add_one, &n));
    OK(aclrtSynchronizeStream(free_one));
    assert_int_equal(n, 1);
    OK(aclrtSynchronizeStream(NULL));
    gate_open(&g);
    OK(aclrtDestroyStream(held));
    OK(aclrtDestroyStream(free_one));
}

static void destroy_waits(void **state)
{
    (void)state;
    gate g = GATE;
    int n = 0;
    aclrtStream stream;
    pthread_t opener;
    OK(aclrtCreateStream(&stream));
    OK(aclrtLaunchHostFunc(stream, gate_wait, &g));
    for (int i = 0; i < 100; i++) OK(aclrtLaunchHostFunc(stream, add_one, &n));
    assert_int_equal(pthread_create(&opener, NULL, gate_open_later, &g), 0);
    OK(aclrtDestroyStream(stream));
    assert_int_equal(n, 100);
    assert_int_equal(pthread_join(opener, NULL), 0);
}

static void read_mask(void *user)
{
    pthread_sigmask(SIG_SETMASK, NULL, user);
}

typedef struct ending {
    aclrtContext context;
    aclrtStream stream;
    aclError status;
} ending;

static void *end_stream(void *user)
{
    ending *e = user;
    e->status = aclrtSetCurrentContext(e->context);
    if (e->status == ACL_SUCCESS) e->status = aclrtDestroyStream(e->stream);
    return NULL;
}

static void *end_context(void *user)
{
    ending *e = user;
    e->status = aclrtDestroyContext(e->context);
    return NULL;
}

/* While one thread destroys a stream that works, others find it no more, but who waits for all work waits for this.
 */
static void others_wait_for_a_stream_that_ends(void **state)
{
    (void)state;
    gate g = GATE;
    ending e = {.status = -1}, all;
    pthread_t one, two;
    aclError asked;
    OK(aclrtCreateContext(&e.context, 0));
    OK(aclrtCreateStream(&e.stream));
    OK(aclrtLaunchHostFunc(e.stream, gate_wait, &g));
    gate_until_reached(&g);
    assert_int_equal(pthread_create(&one, NULL, end_stream, &e), 0);
    do {
        aclrtStreamStatus status;
        asked = aclrtStreamQuery(e.stream, &status);
        (void)aclGetRecentErrMsg();
    } while (asked == ACL_SUCCESS);
    assert_int_equal(asked, ACL_ERROR_RT_INVALID_HANDLE);
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeDeviceWithTimeout(1));
    all = (ending){.context = e.context, .status = -1};
    assert_int_equal(pthread_create(&two, NULL, end_context, &all), 0);
    sleep_ms(30);
    assert_int_equal(all.status, -1); /* it waits */
    gate_open(&g);
    assert_int_equal(pthread_join(one, NULL), 0);
    assert_int_equal(pthread_join(two, NULL), 0);
    assert_int_equal(e.status, ACL_SUCCESS);
    assert_int_equal(all.status, ACL_SUCCESS);
}

/* Signals are for the program's threads; a fault is of the thread that commits it. */
static void streams_block_signals(void **state)
{
    static const int theirs[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGCHLD};
    static const int own[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    (void)state;
    sigset_t before, after, blocked;
    aclrtStream stream;
    read_mask(&before);
    OK(aclrtCreateStream(&stream));
    read_mask(&after);
    OK(aclrtLaunchHostFunc(stream, read_mask, &blocked));
    OK(aclrtDestroyStream(stream));
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
        assert_int_equal(sigismember(&blocked, theirs[i]), 1);
        assert_int_equal(sigismember(&after, theirs[i]), sigismember(&before, theirs[i]));
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) assert_int_equal(sigismember(&blocked, own[i]), 0);
}

/* Unknown, stale, of another kind: always a status. */
static void handles(void **state)
{
    (void)state;
    aclrtStream stream, kept;
    aclrtEvent event;
    aclrtStreamStatus status;
    int n = 0;
    OK(aclrtCreateStream(&kept));
    OK(aclrtCreateStream(&stream));
    OK(aclrtCreateEvent(&event));
    OK(aclrtDestroyStream(stream));
    aclrtStream again;
    OK(aclrtCreateStream(&again));
    assert_ptr_not_equal(stream, again);
    aclrtStream none[] = {stream,
                          event,
                          &n,
                          (aclrtStream)(uintptr_t)1,
                          (aclrtStream)(uintptr_t)2,
                          (aclrtStream)(uintptr_t)-1,
                          (char *)kept + 1,
                          (char *)kept + 16};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (none[i] == again) continue;
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeStream(none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeStreamWithTimeout(none[i], 0));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtStreamQuery(none[i], &status));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyStream(none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtLaunchHostFunc(none[i], add_one, &n));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtRecordEvent(event, none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtStreamWaitEvent(none[i], event));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtResetEvent(event, none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtMemsetAsync(&n, sizeof n, 0, sizeof n, none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtMemcpyAsync(&n, 4, &n, 4, ACL_MEMCPY_HOST_TO_DEVICE, none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSubscribeReport(0, none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtUnSubscribeReport(0, none[i]));
        FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, none[i]));
    }
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtDestroyStream(NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtCreateStream(NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtCreateStreamWithConfig(NULL, 0, 0));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtCreateStreamWithConfig(&stream, 0, 0x80));
    OK(aclrtDestroyEvent(event));
    OK(aclrtDestroyStream(kept));
    OK(aclrtDestroyStream(again));
}

/* Slots are used again, handles are not; and the table grows. */
static void many_streams_and_events(void **state)
{
    (void)state;
    enum { STREAMS = 40, EVENTS = 300 };
    aclrtStream streams[STREAMS];
    aclrtEvent events[EVENTS];
    int n = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < STREAMS; i++) OK(aclrtCreateStream(&streams[i]));
        for (int i = 0; i < EVENTS; i++) {
            OK(aclrtCreateEvent(&events[i]));
            OK(aclrtRecordEvent(events[i], streams[i % STREAMS]));
        }
        for (int i = 0; i < STREAMS; i++) OK(aclrtStreamWaitEvent(NULL, events[i]));
        OK(aclrtLaunchHostFunc(NULL, add_one, &n));
        for (int i = 0; i < EVENTS; i++) OK(aclrtDestroyEvent(events[i]));
        for (int i = 0; i < STREAMS; i++) OK(aclrtDestroyStream(streams[i]));
        for (int i = 0; i < EVENTS; i++) FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyEvent(events[i]));
        for (int i = 0; i < STREAMS; i++) FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyStream(streams[i]));
    }
    OK(aclrtSynchronizeStream(NULL));
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DEVICE(first_in_first_out),
        ON_DEVICE(submission_returns_at_once),
        ON_DEVICE(timeouts),
        ON_DEVICE(streams_do_not_wait_for_each_other),
        ON_DEVICE(destroy_waits),
        ON_DEVICE(others_wait_for_a_stream_that_ends),
        ON_DEVICE(streams_block_signals),
        ON_DEVICE(handles),
        ON_DEVICE(many_streams_and_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
