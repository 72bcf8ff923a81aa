/* SPDX-License-Identifier: Apache-2.0 */
/* Several host threads, each with streams of its own, at once: every one gets what it would get alone. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { THREADS = 4, STREAMS = 2, ROUNDS = 3 };

typedef struct worker {
    pthread_t thread;
    call calls[STREAMS], alone[STREAMS];
    int failures;
} worker;

/* cmocka fails by longjmp, which only the main thread may do: the others count. */
#define EXPECT(w, condition) ((w)->failures += !(condition))

static void run_round(worker *w, const aclrtStream *streams, bool repeatable)
{
    for (int s = 0; s < STREAMS; s++) {
        call *c = &w->calls[s];
        EXPECT(w, call_phase_one(c) == ACLNN_SUCCESS);
        if (repeatable) EXPECT(w, aclSetAclOpExecutorRepeatable(c->executor) == ACLNN_SUCCESS);
        EXPECT(w, call_phase_two(c, streams[s]) == ACLNN_SUCCESS);
        if (repeatable) EXPECT(w, aclDestroyAclOpExecutor(c->executor) == ACLNN_SUCCESS);
        EXPECT(w, aclDestroyAclOpExecutor(c->executor) == ACLNN_ERR_PARAM_INVALID);
        EXPECT(w, aclGetRecentErrMsg() != NULL);
    }
    for (int s = 0; s < STREAMS; s++) EXPECT(w, aclrtSynchronizeStream(streams[s]) == ACL_SUCCESS);
}

static void *work(void *user)
{
    worker *w = user;
    aclrtStream streams[STREAMS];
    EXPECT(w, aclrtSetDevice(0) == ACL_SUCCESS);
    for (int s = 0; s < STREAMS; s++) EXPECT(w, aclrtCreateStream(&streams[s]) == ACL_SUCCESS);
    for (int i = 0; i < ROUNDS; i++) run_round(w, streams, i == 1);
    for (int s = 0; s < STREAMS; s++) EXPECT(w, aclrtDestroyStream(streams[s]) == ACL_SUCCESS);
    EXPECT(w, aclrtResetDevice(0) == ACL_SUCCESS);
    return NULL;
}

static void test_threads_and_streams(void **state)
{
    (void)state;
    static worker workers[THREADS];
    for (int t = 0; t < THREADS; t++) {
        for (int s = 0; s < STREAMS; s++) {
            const operator_case *op = s % 2 == 0 ? &GRADIENT : &FORWARD;
            spec one = smallest();
            one.seed = (uint64_t)(100 * t + s);
            call_open(&workers[t].calls[s], op, &one);
            call_open(&workers[t].alone[s], op, &one);
            call_run(&workers[t].alone[s]);
        }
    }
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_create(&workers[t].thread, NULL, work, &workers[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_join(workers[t].thread, NULL), 0);
        assert_int_equal(workers[t].failures, 0);
        for (int s = 0; s < STREAMS; s++) {
            call *c = &workers[t].calls[s], *alone = &workers[t].alone[s];
            expect_same_outputs(c, alone);
            call_close(c);
            call_close(alone);
        }
    }
}

/* ---- One executor, many threads ------------------------------------------------------------------ */

typedef struct racer {
    pthread_t thread;
    call *c;
    aclTensor *made;
    pthread_barrier_t *start;
    bool won;
    bool sane;
} racer;

static void *race(void *user)
{
    racer *r = user;
    r->sane = aclrtSetDevice(0) == ACL_SUCCESS;
    (void)pthread_barrier_wait(r->start);
    const aclnnStatus set = aclSetInputTensorAddr(r->c->executor, 0, r->made, r->c->operands[0].data);
    const aclnnStatus status = call_phase_two(r->c, NULL);
    r->won = status == ACLNN_SUCCESS;
    r->sane = r->sane && (r->won || status == ACLNN_ERR_PARAM_INVALID);
    r->sane = r->sane && (set == ACLNN_SUCCESS || set == ACLNN_ERR_PARAM_INVALID);
    r->sane = r->sane && aclrtSynchronizeStream(NULL) == ACL_SUCCESS && aclrtResetDevice(0) == ACL_SUCCESS;
    return NULL;
}

/* Exactly one thread gets to run an executor that is not repeatable. */
static void test_one_executor_in_a_race(void **state)
{
    (void)state;
    const spec s = smallest();
    for (int round = 0; round < 5; round++) {
        call c;
        racer racers[THREADS];
        pthread_barrier_t start;
        call_open(&c, &FORWARD, &s);
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        c.workspace = malloc(c.workspace_bytes + 1);
        aclTensor *made = operand_tensor(&c.operands[0]);
        assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
        for (int t = 0; t < THREADS; t++) {
            racers[t] = (racer){.c = &c, .made = made, .start = &start};
            assert_int_equal(pthread_create(&racers[t].thread, NULL, race, &racers[t]), 0);
        }
        int winners = 0;
        for (int t = 0; t < THREADS; t++) {
            assert_int_equal(pthread_join(racers[t].thread, NULL), 0);
            assert_true(racers[t].sane);
            winners += racers[t].won;
        }
        assert_int_equal(winners, 1);
        assert_int_equal(pthread_barrier_destroy(&start), 0);
        assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
        assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
        call_check(&c);
        call_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_and_streams),
        cmocka_unit_test(test_one_executor_in_a_race),
    };
    return cmocka_run_group_tests_name("aclnn threads", tests, runtime_start, runtime_stop);
}
