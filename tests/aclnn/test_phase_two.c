/* SPDX-License-Identifier: Apache-2.0 */
/* What phase two refuses, in which order, and what becomes of the executor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

/* A call that has been through phase one, and whose workspace is there. */
static void open_prepared(call *c, const operator_case *op)
{
    const spec s = smallest();
    call_open(c, op, &s);
    assert_int_equal(call_phase_one(c), ACLNN_SUCCESS);
    assert_true(c->workspace_bytes > 0);
    c->workspace = malloc(c->workspace_bytes + 1);
}

static void refused_with(call *c, aclnnStatus status, void *workspace, uint64_t bytes, const char *word,
                         const char *other)
{
    assert_int_equal(c->op->launch(workspace, bytes, c->executor, NULL), status);
    expect_message(c->op->name, word, other, "needs", NULL);
    assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
    call_untouched(c);
}

static void refused(call *c, aclnnStatus status, const char *word, const char *other)
{
    refused_with(c, status, c->workspace, c->workspace_bytes, word, other);
}

/* The executor still runs, once, and is then consumed. */
static void runs_once(call *c)
{
    assert_int_equal(call_phase_two(c, NULL), ACLNN_SUCCESS);
    assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
    for (int i = c->op->inputs; i < c->op->count; i++) assert_false(tensor_untouched(call_tensor(c, i)));
    assert_int_equal(call_phase_two(c, NULL), ACLNN_ERR_PARAM_INVALID);
    expect_message("executor", "used", NULL);
    assert_int_equal(aclDestroyAclOpExecutor(c->executor), ACLNN_ERR_PARAM_INVALID);
    expect_message("executor", "used", NULL);
}

static void test_workspace(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        call c;
        open_prepared(&c, OPERATORS[i]);
        refused_with(&c, ACLNN_ERR_PARAM_INVALID, c.workspace, c.workspace_bytes - 1, "workspaceSize",
                     "of phase one");
        refused_with(&c, ACLNN_ERR_PARAM_INVALID, c.workspace, 0, "workspaceSize", " 0,");
        refused_with(&c, ACLNN_ERR_PARAM_INVALID, NULL, c.workspace_bytes - 1, "workspaceSize", "of phase one");
        refused_with(&c, ACLNN_ERR_PARAM_NULLPTR, NULL, c.workspace_bytes, "workspace is NULL", "bytes");
        runs_once(&c);
        call_close(&c);
    }
}

/* An absent mask has no address to lack and no bytes to share. */
static void test_without_mask(void **state)
{
    (void)state;
    spec s = smallest();
    s.mask = MASK_NONE;
    for (int i = 0; i < 2; i++) {
        call c;
        call_open(&c, OPERATORS[i], &s);
        assert_true(c.operands[c.op->mask].absent);
        call_run(&c);
        call_check(&c);
        call_close(&c);
    }
}

static void test_larger_workspace(void **state)
{
    (void)state;
    call c;
    open_prepared(&c, &GRADIENT);
    free(c.workspace);
    c.workspace = malloc(c.workspace_bytes + 4096);
    assert_int_equal(GRADIENT.launch(c.workspace, c.workspace_bytes + 4096, c.executor, NULL), ACLNN_SUCCESS);
    assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
    call_check(&c);
    call_close(&c);
}

static void test_executors(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const operator_case *op = OPERATORS[i], *other = OPERATORS[1 - i];
        call c;
        open_prepared(&c, op);
        aclOpExecutor *const right = c.executor;
        c.executor = NULL;
        assert_int_equal(call_phase_two(&c, NULL), ACLNN_ERR_PARAM_NULLPTR);
        expect_message(op->name, "executor is NULL", NULL);
        aclOpExecutor *const wrong[] = {(aclOpExecutor *)&c, (aclOpExecutor *)16, (aclOpExecutor *)UINTPTR_MAX};
        for (int j = 0; j < 3; j++) {
            c.executor = wrong[j];
            refused(&c, ACLNN_ERR_PARAM_INVALID, "executor", "unknown");
        }
        c.executor = right;
        /* An executor of one operator is unknown to the other, and unharmed by it. */
        assert_int_equal(other->launch(c.workspace, UINT64_MAX, right, NULL), ACLNN_ERR_PARAM_INVALID);
        expect_message(other->name, "executor", "unknown", NULL);
        runs_once(&c);
        call_close(&c);
    }
}

static void test_destroyed_executor(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        call c;
        open_prepared(&c, OPERATORS[i]);
        assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
        refused(&c, ACLNN_ERR_PARAM_INVALID, "executor", "destroyed");
        assert_int_equal(aclSetAclOpExecutorRepeatable(c.executor), ACLNN_ERR_PARAM_INVALID);
        expect_message("aclSetAclOpExecutorRepeatable", "executor", NULL);
        assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_ERR_PARAM_INVALID);
        expect_message("aclDestroyAclOpExecutor", "executor", NULL);
        call_close(&c);
    }
    assert_int_equal(aclDestroyAclOpExecutor(NULL), ACLNN_ERR_INNER_NULLPTR);
    expect_message("aclDestroyAclOpExecutor", "NULL", NULL);
    assert_int_equal(aclSetAclOpExecutorRepeatable(NULL), ACLNN_ERR_INNER_NULLPTR);
    expect_message("aclSetAclOpExecutorRepeatable", "NULL", NULL);
}

/* Thousands of executors: no value comes twice, and none lies where memory could. */
static void test_values_of_executors(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    static aclOpExecutor *seen[MANY];
    const spec s = smallest();
    call c;
    call_open(&c, &FORWARD, &s);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        seen[i] = c.executor;
        for (int j = 0; j < i; j++) assert_ptr_not_equal(seen[j], seen[i]);
        if (i % 3 != 0) assert_int_equal(aclDestroyAclOpExecutor(seen[i]), ACLNN_SUCCESS);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(aclDestroyAclOpExecutor(seen[i]), i % 3 == 0 ? ACLNN_SUCCESS : ACLNN_ERR_PARAM_INVALID);
    }
    while (aclGetRecentErrMsg() != NULL) {
    }
    call_close(&c);
}

static void test_tensor_without_data(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        for (int i = 0; i < op->count; i++) {
            const spec s = smallest();
            call c;
            call_open(&c, op, &s);
            c.operands[i].data = NULL;
            assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
            c.workspace = malloc(c.workspace_bytes + 1);
            refused(&c, ACLNN_ERR_PARAM_NULLPTR, op->names[i], "address");
            aclTensor *made = operand_tensor(&c.operands[i]);
            assert_int_equal(aclSetTensorAddr(c.executor, (size_t)i, made, call_tensor(&c, i)->block),
                             ACLNN_SUCCESS);
            void *address;
            assert_int_equal(aclGetRawTensorAddr(made, &address), ACLNN_SUCCESS);
            assert_ptr_equal(address, call_tensor(&c, i)->block);
            assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
            if (i == 0 || i == op->count - 1) {
                runs_once(&c);
            } else {
                assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
            }
            call_close(&c);
        }
    }
}

/* ---- Overlap ------------------------------------------------------------------------------------ */

/* Operands moved so far apart that one can be put in another's way without meeting a third. */
typedef struct spread_call {
    call c;
    unsigned char *arena;
    size_t room, bytes;
    aclTensor *tensors[MAX_ARGUMENTS];
} spread_call;

static unsigned char *place_of(const spread_call *s, int i)
{
    return s->arena + (size_t)(3 * i + 1) * s->room;
}

static void put(spread_call *s, int i, void *address)
{
    assert_int_equal(aclSetTensorAddr(s->c.executor, (size_t)i, s->tensors[i], address), ACLNN_SUCCESS);
}

static void spread_open(spread_call *s, const operator_case *op)
{
    open_prepared(&s->c, op);
    s->room = s->c.workspace_bytes;
    for (int i = 0; i < op->count; i++) {
        if (call_tensor(&s->c, i)->bytes > s->room) s->room = call_tensor(&s->c, i)->bytes;
    }
    s->bytes = (size_t)(3 * op->count + 3) * s->room;
    s->arena = malloc(s->bytes);
    memset(s->arena, POISON, s->bytes);
    for (int i = 0; i < op->count; i++) {
        s->tensors[i] = operand_tensor(&s->c.operands[i]);
        put(s, i, place_of(s, i));
    }
    free(s->c.workspace);
    s->c.workspace = place_of(s, op->count);
}

/* Nothing was written, and with the operands back in their own memory the executor runs. */
static void spread_close(spread_call *s)
{
    assert_true(s->arena[0] == POISON && memcmp(s->arena, s->arena + 1, s->bytes - 1) == 0);
    free(s->arena);
    s->c.workspace = NULL;
    for (int i = 0; i < s->c.op->count; i++) {
        put(s, i, call_tensor(&s->c, i)->block);
        assert_int_equal(aclDestroyTensor(s->tensors[i]), ACLNN_SUCCESS);
    }
    runs_once(&s->c);
    call_close(&s->c);
}

/* Operand i meets these bytes with its first, its last, and all of its own. */
static void refused_across(spread_call *s, int i, unsigned char *bytes, size_t count, const char *name,
                           const char *other)
{
    unsigned char *const places[] = {bytes, bytes + count - 1, bytes + 1 - call_tensor(&s->c, i)->bytes};
    for (int p = 0; p < 3; p++) {
        put(s, i, places[p]);
        assert_int_equal(s->c.op->launch(s->c.workspace, s->c.workspace_bytes, s->c.executor, NULL),
                         ACLNN_ERR_PARAM_INVALID);
        char words[96];
        (void)snprintf(words, sizeof words, "%s shares bytes with %s", name, other);
        expect_message(s->c.op->name, words, "needs", NULL);
    }
    put(s, i, place_of(s, i));
}

static void test_outputs_that_share_bytes(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        spread_call s;
        spread_open(&s, op);
        for (int i = op->inputs; i < op->count; i++) {
            for (int j = 0; j < op->count; j++) {
                /* The later of two outputs is named first. */
                const char *name = op->names[j > i ? j : i], *other = op->names[j > i ? i : j];
                if (i != j) refused_across(&s, i, place_of(&s, j), call_tensor(&s.c, j)->bytes, name, other);
            }
        }
        spread_close(&s);
    }
}

static void test_tensors_in_the_workspace(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        spread_call s;
        spread_open(&s, op);
        for (int i = 0; i < op->count; i++) {
            refused_across(&s, i, s.c.workspace, s.c.workspace_bytes, op->names[i], "the workspace");
        }
        refused_with(&s.c, ACLNN_ERR_PARAM_INVALID, (void *)(uintptr_t)16, UINT64_MAX, "shares bytes",
                     "the workspace");
        spread_close(&s);
    }
}

/* Right behind each other in one block: touching is not sharing. Strides that run backwards reach to the left. */
static void test_neighbours(void **state)
{
    (void)state;
    static const layout BACKWARDS = {{0, 1, 2, 3, 4}, {0}, 1u << 2 | 1u << 4, 0, 0};
    for (int l = 0; l < 2; l++) {
        spec s = smallest();
        call c;
        s.outputs = l == 0 ? &layout_contiguous : &BACKWARDS;
        call_open(&c, &GRADIENT, &s);
        const int first = call_argument(&c, "dqOut"), second = call_argument(&c, "dv2Out");
        tensor *dq = call_tensor(&c, first), *dv2 = call_tensor(&c, second);
        unsigned char *both = malloc(dq->bytes + dv2->bytes);
        memset(both, POISON, dq->bytes + dv2->bytes);
        c.operands[first].data = both;
        c.operands[second].data = both + dq->bytes;
        call_run(&c);
        memcpy(dq->block, both, dq->bytes);
        memcpy(dv2->block, both + dq->bytes, dv2->bytes);
        call_check(&c);

        c.operands[second].data = both + dq->bytes - 1;
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        assert_int_equal(call_phase_two(&c, NULL), ACLNN_ERR_PARAM_INVALID);
        expect_message("dv2Out shares bytes with dqOut", NULL);
        assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
        free(both);
        call_close(&c);
    }
}

/* Inputs may be one and the same memory. */
static void test_shared_inputs(void **state)
{
    (void)state;
    const spec s = smallest();
    call c;
    call_open(&c, &FORWARD, &s);
    const int k1 = call_argument(&c, "key1"), v1 = call_argument(&c, "value1");
    c.operands[v1].data = c.operands[k1].data;
    memcpy(call_tensor(&c, v1)->block, call_tensor(&c, k1)->block, call_tensor(&c, k1)->bytes);
    call_run(&c);
    call_check(&c);
    call_close(&c);
}

/* ---- Order, and streams -------------------------------------------------------------------------- */

static void test_order(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        const operator_case *op = OPERATORS[o];
        const spec s = smallest();
        call c;
        call_open(&c, op, &s);
        c.operands[0].data = NULL;
        c.operands[op->count - 1].data = c.operands[3].data;
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        c.workspace = malloc(c.workspace_bytes + 1);
        aclrtStream nowhere = &c;
        aclOpExecutor *const right = c.executor;

        assert_int_equal(op->launch(NULL, 0, NULL, nowhere), ACLNN_ERR_PARAM_NULLPTR);
        expect_message("executor is NULL", NULL);
        assert_int_equal(op->launch(NULL, 0, (aclOpExecutor *)&c, nowhere), ACLNN_ERR_PARAM_INVALID);
        expect_message("executor is unknown", NULL);
        assert_int_equal(op->launch(NULL, c.workspace_bytes - 1, right, nowhere), ACLNN_ERR_PARAM_INVALID);
        expect_message("workspaceSize", NULL);
        assert_int_equal(op->launch(NULL, c.workspace_bytes, right, nowhere), ACLNN_ERR_PARAM_NULLPTR);
        expect_message("workspace is NULL", NULL);
        assert_int_equal(op->launch(c.workspace, c.workspace_bytes, right, nowhere), ACLNN_ERR_PARAM_NULLPTR);
        expect_message("query", "address", NULL);
        aclTensor *made = operand_tensor(&c.operands[0]);
        assert_int_equal(aclSetInputTensorAddr(right, 0, made, call_tensor(&c, 0)->block), ACLNN_SUCCESS);
        assert_int_equal(op->launch(c.workspace, c.workspace_bytes, right, nowhere), ACLNN_ERR_PARAM_INVALID);
        expect_message(op->names[op->count - 1], "key2", NULL);
        assert_int_equal(aclSetOutputTensorAddr(right, (size_t)(op->count - op->inputs - 1), made,
                                                call_tensor(&c, op->count - 1)->block),
                         ACLNN_SUCCESS);
        assert_int_equal(op->launch(c.workspace, c.workspace_bytes, right, nowhere), ACLNN_ERR_RUNTIME_ERROR);
        expect_message("stream", NULL);
        call_untouched(&c);
        assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
        runs_once(&c);
        call_close(&c);
    }
}

static void test_streams_that_are_gone(void **state)
{
    (void)state;
    call c;
    open_prepared(&c, &FORWARD);
    aclrtStream stream;
    assert_int_equal(aclrtCreateStream(&stream), ACL_SUCCESS);
    assert_int_equal(aclrtDestroyStream(stream), ACL_SUCCESS);
    assert_int_equal(call_phase_two(&c, stream), ACLNN_ERR_RUNTIME_ERROR);
    expect_message("aclnnFusedFloydAttention", "stream", "aclrtCreateStream", NULL);
    runs_once(&c);
    call_close(&c);
}

static void hold(void *flag)
{
    while (!__atomic_load_n((int *)flag, __ATOMIC_ACQUIRE)) {
    }
}

/* Phase two returns at once; what follows on the stream waits for it, and addresses are those of phase two. */
static void test_only_enqueues(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        call c;
        int go = 0;
        aclrtStream stream;
        assert_int_equal(aclrtCreateStream(&stream), ACL_SUCCESS);
        open_prepared(&c, OPERATORS[o]);
        assert_int_equal(aclSetAclOpExecutorRepeatable(c.executor), ACLNN_SUCCESS);
        assert_int_equal(aclrtLaunchHostFunc(stream, hold, &go), ACL_SUCCESS);
        assert_int_equal(call_phase_two(&c, stream), ACLNN_SUCCESS);
        aclTensor *made = operand_tensor(&c.operands[0]);
        assert_int_equal(aclSetInputTensorAddr(c.executor, 0, made, NULL), ACLNN_SUCCESS);
        assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
        assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
        call_untouched(&c);
        __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
        assert_int_equal(aclrtSynchronizeStream(stream), ACL_SUCCESS);
        call_check(&c);
        assert_int_equal(aclrtDestroyStream(stream), ACL_SUCCESS);
        call_close(&c);
    }
}

/* The number of threads is settled in phase one, and with it the workspace. */
static void test_threads_of_phase_one(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        call c;
        assert_int_equal(setenv("FLOYDATTN_NUM_THREADS", "1", 1), 0);
        open_prepared(&c, OPERATORS[o]);
        assert_int_equal(setenv("FLOYDATTN_NUM_THREADS", "7", 1), 0);
        runs_once(&c);
        call_check(&c);
        const uint64_t one = c.workspace_bytes;
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        assert_true(c.workspace_bytes >= one);
        assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
        assert_int_equal(unsetenv("FLOYDATTN_NUM_THREADS"), 0);
        call_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_without_mask),
        cmocka_unit_test(test_larger_workspace),
        cmocka_unit_test(test_executors),
        cmocka_unit_test(test_destroyed_executor),
        cmocka_unit_test(test_values_of_executors),
        cmocka_unit_test(test_tensor_without_data),
        cmocka_unit_test(test_outputs_that_share_bytes),
        cmocka_unit_test(test_tensors_in_the_workspace),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_shared_inputs),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_streams_that_are_gone),
        cmocka_unit_test(test_only_enqueues),
        cmocka_unit_test(test_threads_of_phase_one),
    };
    return cmocka_run_group_tests_name("aclnn phase two", tests, runtime_start, runtime_stop);
}
