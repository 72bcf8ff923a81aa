/* SPDX-License-Identifier: Apache-2.0 */
/* Events: what they capture, how they order streams and time them, and what each kind may do. */
#include "support.h"

static aclrtEventRecordedStatus status_of(aclrtEvent event)
{
    aclrtEventRecordedStatus status = (aclrtEventRecordedStatus)7;
    OK(aclrtQueryEventStatus(event, &status));
    return status;
}

static aclrtEventStatus old_status_of(aclrtEvent event)
{
    aclrtEventStatus status = ACL_EVENT_STATUS_RESERVED;
    OK(aclrtQueryEvent(event, &status));
    return status;
}

static void from_nothing_to_complete(void **state)
{
    (void)state;
    gate g = GATE;
    aclrtEvent plain, ex;
    OK(aclrtCreateEvent(&plain));
    OK(aclrtCreateEventExWithFlag(&ex, ACL_EVENT_SYNC));
    assert_int_equal(status_of(plain), ACL_EVENT_RECORDED_STATUS_NOT_READY);
    assert_int_equal(old_status_of(plain), ACL_EVENT_STATUS_COMPLETE);
    assert_int_equal(status_of(ex), ACL_EVENT_RECORDED_STATUS_COMPLETE);
    OK(aclrtSynchronizeEvent(plain)); /* nothing to wait for */
    OK(aclrtSynchronizeEvent(ex));
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtRecordEvent(plain, NULL));
    OK(aclrtRecordEvent(ex, NULL));
    assert_int_equal(status_of(plain), ACL_EVENT_RECORDED_STATUS_NOT_READY);
    assert_int_equal(old_status_of(plain), ACL_EVENT_STATUS_NOT_READY);
    assert_int_equal(status_of(ex), ACL_EVENT_RECORDED_STATUS_NOT_READY);
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtSynchronizeEventWithTimeout(plain, -2));
    FAILS(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, aclrtSynchronizeEventWithTimeout(plain, 0));
    double before = now_ms();
    FAILS(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, aclrtSynchronizeEventWithTimeout(ex, 30));
    assert_true(now_ms() - before >= 29);
    gate_open(&g);
    OK(aclrtSynchronizeEvent(plain));
    OK(aclrtSynchronizeEventWithTimeout(ex, -1));
    assert_int_equal(status_of(plain), ACL_EVENT_RECORDED_STATUS_COMPLETE);
    assert_int_equal(old_status_of(plain), ACL_EVENT_STATUS_COMPLETE);
    assert_int_equal(status_of(ex), ACL_EVENT_RECORDED_STATUS_COMPLETE);
    OK(aclrtResetEvent(plain, NULL));
    assert_int_equal(status_of(plain), ACL_EVENT_RECORDED_STATUS_NOT_READY);
    OK(aclrtDestroyEvent(plain));
    OK(aclrtDestroyEvent(ex));
}

static void copy_int(void *user)
{
    int *pair = user;
    pair[1] = pair[0];
}

static void set_after_a_while(void *user)
{
    sleep_ms(20);
    *(int *)user = 42;
}

static void orders_streams(void **state)
{
    (void)state;
    aclrtStream producer, consumer;
    aclrtEvent event;
    OK(aclrtCreateStream(&producer));
    OK(aclrtCreateStream(&consumer));
    OK(aclrtCreateEventWithFlag(&event, ACL_EVENT_SYNC));
    for (int round = 0; round < 5; round++) {
        int pair[2] = {0, 0};
        OK(aclrtLaunchHostFunc(producer, set_after_a_while, &pair[0]));
        OK(aclrtRecordEvent(event, producer));
        OK(aclrtStreamWaitEvent(consumer, event));
        OK(aclrtResetEvent(event, consumer)); /* as the vendor's samples do; the wait above keeps its record */
        OK(aclrtLaunchHostFunc(consumer, copy_int, pair));
        OK(aclrtSynchronizeStream(consumer));
        assert_int_equal(pair[1], 42);
    }
    OK(aclrtDestroyEvent(event));
    OK(aclrtDestroyStream(producer));
    OK(aclrtDestroyStream(consumer));
}

/* A wait is for the record that was there, not for a later one. */
static void a_later_record_changes_no_wait(void **state)
{
    (void)state;
    gate first = GATE, second = GATE;
    int n = 0;
    aclrtStream a, b;
    aclrtEvent event;
    OK(aclrtCreateStream(&a));
    OK(aclrtCreateStream(&b));
    OK(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC));
    OK(aclrtLaunchHostFunc(a, gate_wait, &first));
    OK(aclrtRecordEvent(event, a));
    OK(aclrtStreamWaitEvent(b, event));
    OK(aclrtLaunchHostFunc(b, add_one, &n));
    OK(aclrtLaunchHostFunc(a, gate_wait, &second));
    OK(aclrtRecordEvent(event, a));
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeStreamWithTimeout(b, 20));
    gate_open(&first);
    OK(aclrtSynchronizeStream(b));
    assert_int_equal(n, 1);
    assert_int_equal(status_of(event), ACL_EVENT_RECORDED_STATUS_NOT_READY);
    OK(aclrtDestroyEvent(event)); /* does not wait */
    gate_open(&second);
    OK(aclrtDestroyStream(a));
    OK(aclrtDestroyStream(b));
}

static void destroyed_while_waited_for(void **state)
{
    (void)state;
    gate g = GATE;
    int n = 0;
    aclrtStream stream;
    aclrtEvent event;
    aclrtEventRecordedStatus status;
    OK(aclrtCreateStream(&stream));
    OK(aclrtCreateEvent(&event));
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtRecordEvent(event, NULL));
    OK(aclrtStreamWaitEvent(stream, event));
    OK(aclrtLaunchHostFunc(stream, add_one, &n));
    OK(aclrtDestroyEvent(event));
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyEvent(event));
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtQueryEventStatus(event, &status));
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeStreamWithTimeout(stream, 20));
    gate_open(&g);
    OK(aclrtSynchronizeStream(stream));
    assert_int_equal(n, 1);
    OK(aclrtDestroyStream(stream));
}

static void sleep_a_while(void *user)
{
    sleep_ms(*(long *)user);
}

static void times(void **state)
{
    (void)state;
    long ms = 30;
    float elapsed = -7, back;
    gate g = GATE;
    aclrtEvent start, end, untimed, blank;
    OK(aclrtCreateEvent(&start));
    OK(aclrtCreateEventWithFlag(&end, ACL_EVENT_TIME_LINE));
    OK(aclrtCreateEventWithFlag(&untimed, ACL_EVENT_SYNC));
    OK(aclrtCreateEventExWithFlag(&blank, ACL_EVENT_TIME_LINE));
    double before = now_ms();
    OK(aclrtRecordEvent(start, NULL));
    OK(aclrtLaunchHostFunc(NULL, sleep_a_while, &ms));
    OK(aclrtRecordEvent(end, NULL));
    OK(aclrtRecordEvent(untimed, NULL));
    FAILS(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, aclrtEventElapsedTime(&elapsed, blank, end));
    OK(aclrtSynchronizeStream(NULL));
    double all = now_ms() - before;
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtEventElapsedTime(NULL, start, end));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtEventElapsedTime(&elapsed, start, untimed));
    assert_true(elapsed == -7);
    OK(aclrtEventElapsedTime(&elapsed, start, end));
    assert_true(elapsed >= 29.9f && elapsed <= all);
    OK(aclrtEventElapsedTime(&back, end, start));
    assert_true(back == -elapsed);
    OK(aclrtEventElapsedTime(&elapsed, end, end));
    assert_true(elapsed == 0);
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtRecordEvent(end, NULL));
    FAILS(ACL_ERROR_RT_EVENT_NOT_COMPLETE, aclrtEventElapsedTime(&elapsed, start, end));
    FAILS(ACL_ERROR_RT_EVENT_NOT_COMPLETE, aclrtEventElapsedTime(&elapsed, end, start));
    gate_open(&g);
    OK(aclrtSynchronizeStream(NULL));
    OK(aclrtDestroyEvent(start));
    OK(aclrtDestroyEvent(end));
    OK(aclrtDestroyEvent(untimed));
    OK(aclrtDestroyEvent(blank));
}

static void what_each_may(void **state)
{
    (void)state;
    float ms;
    aclrtEventStatus old;
    aclrtEventRecordedStatus status;
    aclrtEvent plain, progress, ex;
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtCreateEvent(NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtCreateEventWithFlag(NULL, ACL_EVENT_SYNC));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtCreateEventExWithFlag(NULL, ACL_EVENT_SYNC));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtCreateEventWithFlag(&plain, 0));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtCreateEventWithFlag(&plain, 0x1000));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtCreateEventExWithFlag(&plain, ACL_EVENT_SYNC | 0x40));
    OK(aclrtCreateEvent(&plain));
    OK(aclrtCreateEventWithFlag(&progress, ACL_EVENT_CAPTURE_STREAM_PROGRESS));
    OK(aclrtCreateEventExWithFlag(&ex, ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtStreamWaitEvent(NULL, plain)); /* never recorded */
    OK(aclrtStreamWaitEvent(NULL, ex));                                   /* nothing to wait for */
    OK(aclrtRecordEvent(progress, NULL));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtStreamWaitEvent(NULL, progress));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtResetEvent(progress, NULL));
    FAILS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, aclrtResetEvent(ex, NULL));
    FAILS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, aclrtQueryEvent(ex, &old));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtQueryEvent(plain, NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtQueryEventStatus(plain, NULL));
    aclrtEvent none[] = {NULL, &ms, (aclrtEvent)(uintptr_t)3, (char *)plain + 1};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        aclError code = none[i] == NULL ? ACL_ERROR_INVALID_PARAM : ACL_ERROR_RT_INVALID_HANDLE;
        FAILS(code, aclrtDestroyEvent(none[i]));
        FAILS(code, aclrtRecordEvent(none[i], NULL));
        FAILS(code, aclrtResetEvent(none[i], NULL));
        FAILS(code, aclrtStreamWaitEvent(NULL, none[i]));
        FAILS(code, aclrtQueryEvent(none[i], &old));
        FAILS(code, aclrtQueryEventStatus(none[i], &status));
        FAILS(code, aclrtSynchronizeEvent(none[i]));
        FAILS(code, aclrtSynchronizeEventWithTimeout(none[i], 0));
        FAILS(code, aclrtEventElapsedTime(&ms, none[i], plain));
        OK(aclrtRecordEvent(plain, NULL));
        OK(aclrtSynchronizeEvent(plain));
        FAILS(code, aclrtEventElapsedTime(&ms, plain, none[i]));
    }
    OK(aclrtDestroyEvent(plain));
    OK(aclrtDestroyEvent(progress));
    OK(aclrtDestroyEvent(ex));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DEVICE(from_nothing_to_complete),   ON_DEVICE(orders_streams), ON_DEVICE(a_later_record_changes_no_wait),
        ON_DEVICE(destroyed_while_waited_for), ON_DEVICE(times),          ON_DEVICE(what_each_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
