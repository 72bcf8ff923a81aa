/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program whose timer interrupts every system call of its own thread: waits wait on, no shorter and with no
 * status that is not theirs; and the streams' threads take none of its signals.
 */
#include <signal.h>
#include <unistd.h>

#include "../support/storm.h"
#include "support.h"

static int begin(void **state)
{
    const int status = set_device(state);
    storm_begin();
    return status;
}

static int end(void **state)
{
    storm_end();
    return storm_strangers() != 0 || storm_hits() == 0 || reset_device(state) != 0;
}

static void add_later(void *user)
{
    sleep_ms(20);
    add_one(user);
}

static void waits_wait_on(void **state)
{
    (void)state;
    int n = 0;
    aclrtEvent event;
    aclrtStream stream;
    OK(aclrtCreateEvent(&event));
    OK(aclrtCreateStream(&stream));
    OK(aclrtLaunchHostFunc(NULL, add_later, &n));
    OK(aclrtSynchronizeStream(NULL));
    assert_int_equal(n, 1);
    OK(aclrtLaunchHostFunc(NULL, add_later, &n));
    OK(aclrtRecordEvent(event, NULL));
    OK(aclrtSynchronizeEvent(event));
    assert_int_equal(n, 2);
    OK(aclrtLaunchHostFunc(stream, add_later, &n));
    OK(aclrtSynchronizeDevice());
    assert_int_equal(n, 3);
    OK(aclrtLaunchHostFunc(stream, add_later, &n));
    OK(aclrtSynchronizeStreamWithTimeout(stream, 60000));
    assert_int_equal(n, 4);
    OK(aclrtLaunchHostFunc(stream, add_later, &n));
    OK(aclrtDestroyStream(stream));
    assert_int_equal(n, 5);
    OK(aclrtDestroyEvent(event));
    assert_true(storm_hits() > 0);
}

static void a_blocking_copy_waits(void **state)
{
    (void)state;
    int n = 0, seen = 0, *device;
    OK(aclrtMalloc((void **)&device, sizeof *device, ACL_MEM_MALLOC_HUGE_FIRST));
    *device = 7;
    for (int i = 0; i < 5; i++) {
        seen = 0;
        OK(aclrtLaunchHostFunc(NULL, add_later, &n));
        OK(aclrtMemcpyAsync(&seen, sizeof seen, device, sizeof seen, ACL_MEMCPY_DEVICE_TO_HOST, NULL));
        assert_int_equal(seen, 7);
        assert_int_equal(n, i + 1);
    }
    OK(aclrtFree(device));
}

static void no_wait_is_short(void **state)
{
    (void)state;
    gate held = GATE;
    aclrtEvent event;
    uint64_t self = (uint64_t)pthread_self();
    OK(aclrtCreateEvent(&event));
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &held));
    OK(aclrtRecordEvent(event, NULL));
    OK(aclrtSubscribeReport(self, NULL));
    double before = now_ms();
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeStreamWithTimeout(NULL, 40));
    assert_true(now_ms() - before >= 39);
    before = now_ms();
    FAILS(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, aclrtSynchronizeEventWithTimeout(event, 40));
    assert_true(now_ms() - before >= 39);
    before = now_ms();
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeDeviceWithTimeout(40));
    assert_true(now_ms() - before >= 39);
    before = now_ms();
    FAILS(ACL_ERROR_RT_REPORT_TIMEOUT, aclrtProcessReport(40));
    assert_true(now_ms() - before >= 39);
    OK(aclrtUnSubscribeReport(self, NULL));
    gate_open(&held);
    OK(aclrtSynchronizeStream(NULL));
    OK(aclrtDestroyEvent(event));
}

/* Of files, too. */
static void beginning_and_memory(void **state)
{
    (void)state;
    char path[] = "/tmp/floyd_signals_XXXXXX";
    const char *text = "{\"err_msg_mode\": \"0\"}";
    size_t available, total;
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
    const long hits = storm_hits();
    for (int i = 0; i < 200 || storm_hits() < hits + 20; i++) {
        OK(aclInit(path));
        OK(aclrtGetMemInfo(ACL_HBM_MEM, &available, &total));
        OK(aclFinalize());
    }
    assert_int_equal(unlink(path), 0);
}

static void look_at_mask(void *user)
{
    sigset_t set;
    *(int *)user = pthread_sigmask(SIG_BLOCK, NULL, &set) == 0 && blocks_all_but_faults(&set);
}

static void streams_take_none(void **state)
{
    (void)state;
    aclrtStream stream;
    int first = 0, second = 0;
    sigset_t mine;
    OK(aclrtCreateStream(&stream));
    OK(aclrtLaunchHostFunc(NULL, look_at_mask, &first));
    OK(aclrtLaunchHostFunc(stream, look_at_mask, &second));
    OK(aclrtSynchronizeDevice());
    assert_true(first && second);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mine), 0);
    for (int number = 1; number < 32; number++) assert_int_equal(sigismember(&mine, number), 0);
    while (storm_hits() < 50) sleep_ms(1);
    OK(aclrtDestroyStream(stream));
}

#define IN_A_STORM(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_STORM(waits_wait_on),        IN_A_STORM(a_blocking_copy_waits), IN_A_STORM(no_wait_is_short),
        IN_A_STORM(beginning_and_memory), IN_A_STORM(streams_take_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
