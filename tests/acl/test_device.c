/* SPDX-License-Identifier: Apache-2.0 */
/* Device and contexts: counted uses, what each thread has, what goes with what. */
#include "support.h"

static void without_a_device(void **state)
{
    (void)state;
    int32_t device = 9;
    aclrtContext context = &device;
    aclrtStream stream = &device;
    aclrtEvent event = &device;
    aclrtStreamStatus status;
    void *memory = &device;
    size_t a, b;
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtGetDevice(&device));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtGetCurrentContext(&context));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtCreateStream(&stream));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtCreateStreamWithConfig(&stream, 0, 0));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSynchronizeStream(NULL));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSynchronizeStreamWithTimeout(NULL, 0));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtStreamQuery(NULL, &status));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSynchronizeDevice());
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSynchronizeDeviceWithTimeout(0));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtCreateEvent(&event));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtMalloc(&memory, 1, ACL_MEM_MALLOC_HUGE_FIRST));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtMallocHost(&memory, 1));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtMemcpy(&a, sizeof a, &b, sizeof b, ACL_MEMCPY_DEFAULT));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtMemset(&a, sizeof a, 0, sizeof a));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtMemsetAsync(&a, sizeof a, 0, sizeof a, NULL));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtMemcpyAsync(&a, 8, &b, 8, ACL_MEMCPY_HOST_TO_DEVICE, NULL));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtGetMemInfo(ACL_HBM_MEM, &a, &b));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtLaunchHostFunc(NULL, add_one, NULL));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtLaunchCallback(add_one, NULL, ACL_CALLBACK_BLOCK, NULL));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSubscribeReport(0, NULL));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtUnSubscribeReport(0, NULL));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtResetDevice(0));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtResetDeviceForce(0));
    assert_int_equal(device, 9); /* outputs as they were */
    assert_ptr_equal(context, &device);
    assert_ptr_equal(stream, &device);
    assert_ptr_equal(event, &device);
    assert_ptr_equal(memory, &device);
}

static void what_the_machine_is(void **state)
{
    (void)state;
    uint32_t count = 0;
    aclrtRunMode mode = ACL_DEVICE;
    OK(aclrtGetDeviceCount(&count));
    assert_int_equal(count, 1);
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetDeviceCount(NULL));
    OK(aclrtGetRunMode(&mode));
    assert_int_equal(mode, ACL_HOST);
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetRunMode(NULL));
    assert_true(strlen(aclrtGetSocName()) > 0);
    static const int32_t none[] = {-1, 1, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        aclrtContext context;
        FAILS(ACL_ERROR_RT_INVALID_DEVICEID, aclrtSetDevice(none[i]));
        FAILS(ACL_ERROR_RT_INVALID_DEVICEID, aclrtResetDevice(none[i]));
        FAILS(ACL_ERROR_RT_INVALID_DEVICEID, aclrtResetDeviceForce(none[i]));
        FAILS(ACL_ERROR_RT_INVALID_DEVICEID, aclrtCreateContext(&context, none[i]));
    }
}

static void uses_are_counted(void **state)
{
    (void)state;
    aclrtContext first, second;
    aclrtStream stream;
    int32_t device = -1;
    OK(aclrtSetDevice(0));
    OK(aclrtSetDevice(0));
    OK(aclrtGetDevice(&device));
    assert_int_equal(device, 0);
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetDevice(NULL));
    OK(aclrtGetCurrentContext(&first));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtGetCurrentContext(NULL));
    OK(aclrtCreateStream(&stream));
    OK(aclrtResetDevice(0));
    OK(aclrtSynchronizeStream(stream)); /* one use is left */
    OK(aclrtResetDevice(0));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSynchronizeStream(stream));
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtResetDevice(0));
    OK(aclrtSetDevice(0));
    OK(aclrtGetCurrentContext(&second));
    assert_ptr_not_equal(first, second);
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeStream(stream)); /* went with the first context */
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSetCurrentContext(first));
    OK(aclrtSetDevice(0));
    OK(aclrtResetDeviceForce(0)); /* both uses */
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtResetDeviceForce(0));
}

static void *get_current(void *user)
{
    aclrtContext *context = user;
    if (aclrtGetCurrentContext(context) != ACL_ERROR_RT_CONTEXT_NULL) return NULL;
    if (aclrtSetDevice(0) != ACL_SUCCESS || aclrtGetCurrentContext(context) != ACL_SUCCESS) return NULL;
    return aclrtResetDevice(0) == ACL_SUCCESS ? user : NULL;
}

static void threads_share_the_default_context(void **state)
{
    (void)state;
    aclrtContext mine, theirs = NULL;
    OK(aclrtSetDevice(0));
    OK(aclrtGetCurrentContext(&mine));
    pthread_t thread;
    void *fine;
    assert_int_equal(pthread_create(&thread, NULL, get_current, &theirs), 0);
    assert_int_equal(pthread_join(thread, &fine), 0);
    assert_ptr_equal(fine, &theirs);
    assert_ptr_equal(mine, theirs);
    OK(aclrtSynchronizeDevice());
    OK(aclrtResetDevice(0));
}

static void contexts(void **state)
{
    (void)state;
    aclrtContext device, a, b, now;
    aclrtStream of_a, of_b;
    aclrtStreamStatus status;
    OK(aclrtGetCurrentContext(&device));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtDestroyContext(device));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtCreateContext(NULL, 0));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtDestroyContext(NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtSetCurrentContext(NULL));
    OK(aclrtCreateContext(&a, 0));
    OK(aclrtGetCurrentContext(&now));
    assert_ptr_equal(now, a);
    OK(aclrtCreateStream(&of_a));
    OK(aclrtCreateContext(&b, 0));
    OK(aclrtCreateStream(&of_b));
    int n = 0, m = 0;
    FAILS(ACL_ERROR_RT_STREAM_CONTEXT, aclrtSynchronizeStream(of_a));
    FAILS(ACL_ERROR_RT_STREAM_CONTEXT, aclrtStreamQuery(of_a, &status));
    FAILS(ACL_ERROR_RT_STREAM_CONTEXT, aclrtDestroyStream(of_a));
    FAILS(ACL_ERROR_RT_STREAM_CONTEXT, aclrtLaunchHostFunc(of_a, add_one, &n));
    OK(aclrtSetCurrentContext(a));
    OK(aclrtLaunchHostFunc(of_a, add_one, &n));
    OK(aclrtLaunchHostFunc(NULL, add_one, &m)); /* a's own default stream */
    OK(aclrtDestroyContext(a));
    assert_int_equal(n + m, 2);
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSynchronizeStream(NULL));
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtDestroyContext(a));
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSetCurrentContext(a));
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSetCurrentContext(of_b)); /* a handle of another kind */
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSetCurrentContext(&n));
    OK(aclrtSetCurrentContext(b));
    FAILS(ACL_ERROR_RT_INVALID_HANDLE, aclrtSynchronizeStream(of_a)); /* went with a */
    OK(aclrtSynchronizeStream(of_b));
    OK(aclrtResetDevice(0)); /* takes the default context, not b */
    OK(aclrtSynchronizeStream(of_b));
    OK(aclrtDestroyContext(b));
    OK(aclrtSetDevice(0));
}

static void *destroy(void *user)
{
    return aclrtDestroyContext(user) == ACL_SUCCESS ? user : NULL;
}

static void destroyed_by_another_thread(void **state)
{
    (void)state;
    aclrtContext context;
    pthread_t thread;
    void *fine;
    OK(aclrtCreateContext(&context, 0));
    assert_int_equal(pthread_create(&thread, NULL, destroy, context), 0);
    assert_int_equal(pthread_join(thread, &fine), 0);
    assert_ptr_equal(fine, context);
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtSynchronizeStream(NULL));
}

static void reset_waits_for_work(void **state)
{
    (void)state;
    gate g = GATE;
    int n = 0;
    aclrtStream stream;
    pthread_t opener;
    OK(aclrtCreateStream(&stream));
    OK(aclrtLaunchHostFunc(stream, gate_wait, &g));
    for (int i = 0; i < 100; i++) OK(aclrtLaunchHostFunc(stream, add_one, &n));
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    assert_int_equal(pthread_create(&opener, NULL, gate_open_later, &g), 0);
    OK(aclrtResetDevice(0));
    assert_int_equal(n, 100);
    assert_true(g.open);
    assert_int_equal(pthread_join(opener, NULL), 0);
    OK(aclrtSetDevice(0));
}

static void synchronize_all_streams(void **state)
{
    (void)state;
    gate g = GATE;
    int n[3] = {0};
    aclrtContext device, other;
    aclrtStream stream;
    OK(aclrtGetCurrentContext(&device));
    OK(aclrtCreateContext(&other, 0));
    OK(aclrtCreateStream(&stream));
    OK(aclrtLaunchHostFunc(stream, gate_wait, &g));
    OK(aclrtLaunchHostFunc(stream, add_one, &n[0]));
    OK(aclrtLaunchHostFunc(NULL, add_one, &n[1]));
    OK(aclrtSetCurrentContext(device));
    OK(aclrtLaunchHostFunc(NULL, add_one, &n[2]));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtSynchronizeDeviceWithTimeout(-2));
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeDeviceWithTimeout(0));
    double before = now_ms();
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeDeviceWithTimeout(40));
    assert_true(now_ms() - before >= 39);
    gate_open(&g);
    OK(aclrtSynchronizeDevice());
    assert_int_equal(n[0] + n[1] + n[2], 3);
    OK(aclrtSynchronizeDeviceWithTimeout(0));
    OK(aclrtSynchronizeDeviceWithTimeout(-1));
    OK(aclrtDestroyContext(other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_device),
        cmocka_unit_test(what_the_machine_is),
        cmocka_unit_test(uses_are_counted),
        cmocka_unit_test(threads_share_the_default_context),
        ON_DEVICE(contexts),
        ON_DEVICE(destroyed_by_another_thread),
        ON_DEVICE(reset_waits_for_work),
        ON_DEVICE(synchronize_all_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
