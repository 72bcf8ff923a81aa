/* SPDX-License-Identifier: Apache-2.0 */
/* Several host threads at everything at once. Run it under ThreadSanitizer too. */
#include "support.h"

enum { THREADS = 6, ROUNDS = 60, STREAMS = 3 };

typedef struct worker {
    pthread_t thread;
    int index;
    aclrtContext shared;
    aclError failure;
    int line;
} worker;

#define TRY(call)                                                                                                  \
    do {                                                                                                           \
        aclError status_ = (call);                                                                                 \
        if (status_ != ACL_SUCCESS) {                                                                              \
            w->failure = status_;                                                                                  \
            w->line = __LINE__;                                                                                    \
            return NULL;                                                                                           \
        }                                                                                                          \
    } while (0)

/* A chain of additions that passes from stream to stream: right only if every event holds. */
static void *chain(void *user)
{
    worker *w = user;
    TRY(aclrtSetDevice(0));
    if (w->index % 2 == 1) TRY(aclrtSetCurrentContext(w->shared));
    for (int round = 0; round < ROUNDS; round++) {
        aclrtStream streams[STREAMS];
        aclrtEvent event;
        int *n;
        TRY(aclrtMallocHost((void **)&n, sizeof *n));
        TRY(aclrtCreateEventExWithFlag(&event, ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE));
        for (int i = 0; i < STREAMS; i++) TRY(aclrtCreateStream(&streams[i]));
        TRY(aclrtMemsetAsync(n, sizeof *n, 0, sizeof *n, streams[0]));
        for (int i = 0; i < 4 * STREAMS; i++) {
            TRY(aclrtLaunchHostFunc(streams[i % STREAMS], add_one, n));
            TRY(aclrtRecordEvent(event, streams[i % STREAMS]));
            TRY(aclrtStreamWaitEvent(streams[(i + 1) % STREAMS], event));
        }
        if (round % 2 == 0) TRY(aclrtSynchronizeEvent(event));
        if (round % 3 == 0) TRY(aclrtDestroyEvent(event));
        for (int i = 0; i < STREAMS; i++) TRY(aclrtDestroyStream(streams[i]));
        if (*n != 4 * STREAMS) {
            w->failure = -1;
            return NULL;
        }
        if (round % 3 != 0) TRY(aclrtDestroyEvent(event));
        TRY(aclrtFreeHost(n));
    }
    TRY(aclrtResetDevice(0));
    return NULL;
}

static void chains(void **state)
{
    (void)state;
    worker workers[THREADS];
    aclrtContext shared;
    OK(aclrtCreateContext(&shared, 0));
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.index = i, .shared = shared};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, chain, &workers[i]), 0);
    }
    for (int i = 0; i < 20; i++) OK(aclrtSynchronizeDevice());
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        if (workers[i].failure != ACL_SUCCESS) print_error("thread %d, line %d\n", i, workers[i].line);
        assert_int_equal(workers[i].failure, ACL_SUCCESS);
    }
    OK(aclrtDestroyContext(shared));
}

typedef struct target {
    aclrtStream stream;
    aclrtEvent event;
    aclrtContext context;
    pthread_barrier_t *barrier;
    int n;
} target;

static bool is_expected(aclError status)
{
    return status == ACL_SUCCESS || status == ACL_ERROR_RT_INVALID_HANDLE || status == ACL_ERROR_RT_CONTEXT_NULL;
}

/* Uses one stream and one event while others do, and destroys them: each call succeeds or says why not. */
static void *use_and_destroy(void *user)
{
    target *t = user;
    bool fine = aclrtSetCurrentContext(t->context) == ACL_SUCCESS;
    aclrtStreamStatus status;
    aclrtEventRecordedStatus recorded;
    pthread_barrier_wait(t->barrier);
    for (int i = 0; i < 20; i++) {
        fine &= is_expected(aclrtLaunchHostFunc(t->stream, add_one, &t->n));
        fine &= is_expected(aclrtRecordEvent(t->event, t->stream));
        fine &= is_expected(aclrtStreamWaitEvent(t->stream, t->event)) || i == 0;
        fine &= is_expected(aclrtStreamQuery(t->stream, &status));
        fine &= is_expected(aclrtQueryEventStatus(t->event, &recorded));
        fine &= is_expected(aclrtSynchronizeStream(t->stream));
        fine &= is_expected(aclrtSynchronizeEvent(t->event));
        if (i == 10) fine &= is_expected(aclrtDestroyEvent(t->event));
        if (i == 12) fine &= is_expected(aclrtDestroyStream(t->stream));
        if (i == 15) fine &= is_expected(aclrtDestroyContext(t->context));
    }
    return fine ? user : NULL;
}

static void all_destroy_the_same(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        pthread_barrier_t barrier;
        pthread_t threads[4];
        target t = {.barrier = &barrier};
        OK(aclrtCreateContext(&t.context, 0));
        OK(aclrtCreateStream(&t.stream));
        OK(aclrtCreateEvent(&t.event));
        assert_int_equal(pthread_barrier_init(&barrier, NULL, 4), 0);
        for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_and_destroy, &t), 0);
        for (int i = 0; i < 4; i++) {
            void *fine;
            assert_int_equal(pthread_join(threads[i], &fine), 0);
            assert_ptr_equal(fine, &t);
        }
        pthread_barrier_destroy(&barrier);
        assert_true(t.n > 0);
    }
    OK(aclrtSetDevice(0));
}

static void *set_and_reset(void *user)
{
    worker *w = user;
    for (int i = 0; i < 100; i++) {
        int n = 0;
        TRY(aclrtSetDevice(0));
        TRY(aclrtLaunchHostFunc(NULL, add_one, &n));
        TRY(aclrtSynchronizeStream(NULL));
        if (n != 1) w->failure = -1;
        TRY(aclrtResetDevice(0));
    }
    return NULL;
}

static void the_device_comes_and_goes(void **state)
{
    (void)state;
    worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (worker){.index = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, set_and_reset, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failure, ACL_SUCCESS);
    }
    FAILS(ACL_ERROR_RT_CONTEXT_NULL, aclrtResetDevice(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DEVICE(chains),
        ON_DEVICE(all_destroy_the_same),
        cmocka_unit_test(the_device_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
