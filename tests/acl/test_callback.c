/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of the host on a stream: where they run, what they may call, and the thread that reports. */
#include "support.h"

typedef struct probe {
    aclrtStream stream;
    aclrtEvent event;
    aclrtContext context, seen;
    char *pinned, *device;
    pthread_t thread;
    aclError submit, record, wait, stream_sync, default_sync, device_sync, event_sync, destroy_stream,
        destroy_context, reset, pageable, create, report;
    int n;
} probe;

/* Calls everything that waits, and some that do not. */
static void call_back(void *user)
{
    probe *p = user;
    char pageable = 0;
    p->thread = pthread_self();
    aclrtGetCurrentContext(&p->seen);
    p->submit = aclrtLaunchHostFunc(p->stream, add_one, &p->n);
    p->record = aclrtRecordEvent(p->event, p->stream);
    p->wait = aclrtStreamWaitEvent(p->stream, p->event);
    p->stream_sync = aclrtSynchronizeStream(p->stream);
    p->default_sync = aclrtSynchronizeStreamWithTimeout(NULL, 1000);
    p->device_sync = aclrtSynchronizeDevice();
    p->event_sync = aclrtSynchronizeEvent(p->event);
    p->destroy_stream = aclrtDestroyStream(p->stream);
    p->destroy_context = aclrtDestroyContext(p->context);
    p->reset = aclrtResetDevice(0);
    p->report = aclrtProcessReport(-1);
    p->pageable = aclrtMemcpyAsync(&pageable, 1, p->device, 1, ACL_MEMCPY_DEVICE_TO_HOST, p->stream);
    p->create = aclrtMemcpyAsync(p->pinned, 1, p->device, 1, ACL_MEMCPY_DEVICE_TO_HOST, p->stream);
}

static void make_probe(probe *p)
{
    *p = (probe){0};
    OK(aclrtCreateStream(&p->stream));
    OK(aclrtCreateEvent(&p->event));
    OK(aclrtGetCurrentContext(&p->context));
    OK(aclrtMalloc((void **)&p->device, 1, ACL_MEM_MALLOC_HUGE_FIRST));
    OK(aclrtMallocHost((void **)&p->pinned, 1));
    p->device[0] = 'd';
    p->pinned[0] = 'p';
}

static void check_probe(probe *p)
{
    assert_int_equal(p->submit, ACL_SUCCESS);
    assert_int_equal(p->record, ACL_SUCCESS);
    assert_int_equal(p->wait, ACL_SUCCESS);
    assert_int_equal(p->create, ACL_SUCCESS);
    aclError waits[] = {p->stream_sync,     p->default_sync, p->device_sync, p->event_sync, p->destroy_stream,
                        p->destroy_context, p->reset,        p->report,      p->pageable};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        assert_int_equal(waits[i], ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    assert_int_equal(p->n, 1);
    assert_int_equal(p->pinned[0], 'd');
    OK(aclrtDestroyEvent(p->event));
    OK(aclrtDestroyStream(p->stream));
    OK(aclrtFree(p->device));
    OK(aclrtFreeHost(p->pinned));
}

static void change_context(void *user)
{
    probe *p = user;
    p->create = aclrtCreateContext(&p->context, 0);
}

static void look_at_context(void *user)
{
    probe *p = user;
    aclrtGetCurrentContext(&p->seen);
    p->submit = aclrtLaunchHostFunc(p->stream, add_one, &p->n);
}

/* A host function may take another context: the next one has the stream's again. */
static void each_host_function_has_the_context_of_its_stream(void **state)
{
    (void)state;
    probe p = {0};
    aclrtContext own;
    OK(aclrtGetCurrentContext(&own));
    OK(aclrtCreateStream(&p.stream));
    OK(aclrtLaunchHostFunc(p.stream, change_context, &p));
    OK(aclrtLaunchHostFunc(p.stream, look_at_context, &p));
    OK(aclrtSynchronizeStream(p.stream));
    OK(aclrtSynchronizeStream(p.stream)); /* for what the last one submitted */
    OK(p.create);
    OK(p.submit);
    assert_ptr_equal(p.seen, own);
    assert_ptr_not_equal(p.context, own);
    assert_int_equal(p.n, 1);
    OK(aclrtDestroyStream(p.stream));
    OK(aclrtDestroyContext(p.context));
}

static void host_functions_may_submit_and_not_wait(void **state)
{
    (void)state;
    probe p;
    make_probe(&p);
    OK(aclrtLaunchHostFunc(p.stream, call_back, &p));
    OK(aclrtSynchronizeStream(p.stream)); /* may come before what call_back submitted */
    OK(aclrtSynchronizeStream(p.stream));
    assert_ptr_equal(p.seen, p.context);
    assert_false(pthread_equal(p.thread, pthread_self()));
    check_probe(&p);
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtLaunchHostFunc(NULL, NULL, NULL));
}

typedef struct reporter {
    pthread_t thread;
    pthread_mutex_t lock;
    bool stop;
    int calls;
    aclError last;
} reporter;

static void *report(void *user)
{
    reporter *r = user;
    for (bool stop = false; !stop;) {
        aclError status = aclrtProcessReport(10);
        pthread_mutex_lock(&r->lock);
        r->calls += status == ACL_SUCCESS;
        stop = r->stop;
        pthread_mutex_unlock(&r->lock);
        if (status == ACL_ERROR_RT_THREAD_SUBSCRIBE) sleep_ms(1);
    }
    r->last = aclrtProcessReport(0);
    return NULL;
}

static void start(reporter *r)
{
    *r = (reporter){.lock = PTHREAD_MUTEX_INITIALIZER};
    assert_int_equal(pthread_create(&r->thread, NULL, report, r), 0);
}

static void stop(reporter *r)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_mutex_unlock(&r->lock);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
}

static void callbacks_run_on_the_subscribed_thread(void **state)
{
    (void)state;
    probe p;
    reporter r;
    make_probe(&p);
    start(&r);
    OK(aclrtSubscribeReport((uint64_t)r.thread, p.stream));
    OK(aclrtLaunchCallback(call_back, &p, ACL_CALLBACK_BLOCK, p.stream));
    OK(aclrtSynchronizeStream(p.stream));
    assert_true(pthread_equal(p.thread, r.thread));
    /* That thread has no context: what needs one said so, what waits was refused before. */
    assert_int_equal(p.submit, ACL_ERROR_RT_CONTEXT_NULL);
    assert_int_equal(p.stream_sync, ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    assert_int_equal(p.device_sync, ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    assert_int_equal(p.event_sync, ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    assert_int_equal(p.report, ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    OK(aclrtUnSubscribeReport((uint64_t)r.thread, p.stream));
    stop(&r);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.last, ACL_ERROR_RT_THREAD_SUBSCRIBE);
    OK(aclrtDestroyEvent(p.event));
    OK(aclrtDestroyStream(p.stream));
    OK(aclrtFree(p.device));
    OK(aclrtFreeHost(p.pinned));
}

static void add_slowly(void *user)
{
    sleep_ms(20);
    add_one(user);
}

static void a_blocking_callback_holds_the_stream(void **state)
{
    (void)state;
    reporter r;
    aclrtStream a, b;
    int pair[2] = {0}, n = 0;
    OK(aclrtCreateStream(&a));
    OK(aclrtCreateStream(&b));
    start(&r);
    OK(aclrtSubscribeReport((uint64_t)r.thread, a));
    OK(aclrtSubscribeReport((uint64_t)r.thread, b)); /* one thread for several streams */
    for (int i = 0; i < 3; i++) {
        OK(aclrtLaunchCallback(add_slowly, &pair[0], ACL_CALLBACK_BLOCK, a));
        OK(aclrtMemcpyAsync(&pair[1], 4, &pair[0], 4, ACL_MEMCPY_DEVICE_TO_HOST, a));
        assert_int_equal(pair[1], i + 1);
    }
    for (int i = 0; i < 10; i++) OK(aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_NO_BLOCK, b));
    OK(aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, b)); /* the last, so all came before */
    OK(aclrtSynchronizeStream(b));
    assert_int_equal(n, 11);
    OK(aclrtUnSubscribeReport((uint64_t)r.thread, a));
    OK(aclrtDestroyStream(a));
    OK(aclrtDestroyStream(b)); /* its subscription goes with it */
    stop(&r);
    assert_int_equal(r.calls, 14);
    assert_int_equal(r.last, ACL_ERROR_RT_THREAD_SUBSCRIBE);
}

static void a_free_callback_does_not_hold_the_stream(void **state)
{
    (void)state;
    uint64_t self = (uint64_t)pthread_self();
    int n = 0, m = 0;
    OK(aclrtSubscribeReport(self, NULL));
    OK(aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_NO_BLOCK, NULL));
    OK(aclrtLaunchHostFunc(NULL, add_one, &m));
    OK(aclrtSynchronizeStream(NULL));
    assert_int_equal(m, 1);
    assert_int_equal(n, 0); /* waits for us */
    OK(aclrtProcessReport(-1));
    assert_int_equal(n, 1);
    FAILS(ACL_ERROR_RT_REPORT_TIMEOUT, aclrtProcessReport(0));
    double before = now_ms();
    FAILS(ACL_ERROR_RT_REPORT_TIMEOUT, aclrtProcessReport(30));
    assert_true(now_ms() - before >= 29);
    OK(aclrtUnSubscribeReport(self, NULL));
    FAILS(ACL_ERROR_RT_THREAD_SUBSCRIBE, aclrtProcessReport(0));
}

static void subscription_is_checked(void **state)
{
    (void)state;
    uint64_t self = (uint64_t)pthread_self();
    int n = 0;
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtProcessReport(-2));
    FAILS(ACL_ERROR_RT_THREAD_SUBSCRIBE, aclrtProcessReport(-1));
    FAILS(ACL_ERROR_RT_STREAM_NO_CB_REG, aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, NULL));
    FAILS(ACL_ERROR_INVALID_PARAM, aclrtLaunchCallback(NULL, &n, ACL_CALLBACK_BLOCK, NULL));
    FAILS(ACL_ERROR_RT_PARAM_INVALID, aclrtLaunchCallback(add_one, &n, (aclrtCallbackBlockType)2, NULL));
    FAILS(ACL_ERROR_RT_THREAD_SUBSCRIBE, aclrtUnSubscribeReport(self, NULL));
    OK(aclrtSubscribeReport(self, NULL));
    FAILS(ACL_ERROR_RT_STREAM_SUBSCRIBE, aclrtSubscribeReport(self, NULL));
    FAILS(ACL_ERROR_RT_STREAM_SUBSCRIBE, aclrtSubscribeReport(self + 1, NULL));
    FAILS(ACL_ERROR_RT_THREAD_SUBSCRIBE, aclrtUnSubscribeReport(self + 1, NULL));
    OK(aclrtUnSubscribeReport(self, NULL));
}

static void each_thread_takes_its_own(void **state)
{
    (void)state;
    uint64_t self = (uint64_t)pthread_self(), other = self + 1;
    int mine = 0, theirs = 0;
    aclrtStream stream;
    OK(aclrtCreateStream(&stream));
    OK(aclrtSubscribeReport(other, stream));
    OK(aclrtSubscribeReport(self, NULL));
    OK(aclrtLaunchCallback(add_one, &theirs, ACL_CALLBACK_NO_BLOCK, stream));
    OK(aclrtSynchronizeStream(stream));
    FAILS(ACL_ERROR_RT_REPORT_TIMEOUT, aclrtProcessReport(0));
    OK(aclrtLaunchCallback(add_one, &mine, ACL_CALLBACK_NO_BLOCK, NULL));
    OK(aclrtProcessReport(-1));
    assert_int_equal(mine, 1);
    assert_int_equal(theirs, 0);
    OK(aclrtDestroyStream(stream));
}

static void unsubscribing_leaves_other_streams(void **state)
{
    (void)state;
    uint64_t self = (uint64_t)pthread_self();
    int gone = 0, left = 0;
    aclrtStream streams[2];
    for (int i = 0; i < 2; i++) {
        OK(aclrtCreateStream(&streams[i]));
        OK(aclrtSubscribeReport(self, streams[i]));
        OK(aclrtLaunchCallback(add_one, i == 0 ? &gone : &left, ACL_CALLBACK_NO_BLOCK, streams[i]));
        OK(aclrtSynchronizeStream(streams[i]));
    }
    OK(aclrtUnSubscribeReport(self, streams[0]));
    OK(aclrtProcessReport(-1));
    FAILS(ACL_ERROR_RT_REPORT_TIMEOUT, aclrtProcessReport(0));
    assert_int_equal(gone, 0);
    assert_int_equal(left, 1);
    for (int i = 0; i < 2; i++) OK(aclrtDestroyStream(streams[i]));
}

/* Nobody will run them: the stream goes on, and says so at the next synchronize. */
static void unsubscribing_releases_the_stream(void **state)
{
    (void)state;
    uint64_t self = (uint64_t)pthread_self();
    gate g = GATE;
    int n = 0, m = 0;
    aclrtStreamStatus status;
    OK(aclrtSubscribeReport(self, NULL));
    OK(aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_NO_BLOCK, NULL));
    OK(aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, NULL));
    OK(aclrtLaunchHostFunc(NULL, add_one, &m));
    FAILS(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, aclrtSynchronizeStreamWithTimeout(NULL, 20));
    OK(aclrtUnSubscribeReport(self, NULL));
    FAILS(ACL_ERROR_RT_INTERNAL_ERROR, aclrtSynchronizeStream(NULL));
    OK(aclrtSynchronizeStream(NULL));
    assert_int_equal(m, 1);
    OK(aclrtSubscribeReport(self, NULL));
    OK(aclrtLaunchHostFunc(NULL, gate_wait, &g));
    OK(aclrtLaunchCallback(add_one, &n, ACL_CALLBACK_BLOCK, NULL));
    OK(aclrtUnSubscribeReport(self, NULL)); /* before the stream came to it */
    gate_open(&g);
    FAILS(ACL_ERROR_RT_INTERNAL_ERROR, aclrtSynchronizeDevice());
    OK(aclrtStreamQuery(NULL, &status));
    assert_int_equal(status, ACL_STREAM_STATUS_COMPLETE);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DEVICE(host_functions_may_submit_and_not_wait),
        ON_DEVICE(each_host_function_has_the_context_of_its_stream),
        ON_DEVICE(callbacks_run_on_the_subscribed_thread),
        ON_DEVICE(a_blocking_callback_holds_the_stream),
        ON_DEVICE(a_free_callback_does_not_hold_the_stream),
        ON_DEVICE(subscription_is_checked),
        ON_DEVICE(each_thread_takes_its_own),
        ON_DEVICE(unsubscribing_leaves_other_streams),
        ON_DEVICE(unsubscribing_releases_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
