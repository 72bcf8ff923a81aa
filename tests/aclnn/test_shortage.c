/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host without memory: every allocation of a tensor's, a list's or an executor's life is refused once. Each
 * call then says so or gives NULL, nothing is lost, and the next attempt works. The linker sends the
 * library's calls of malloc and calloc through the functions here.
 */
#include <stdlib.h>

#include "support.h"

static long until_refusal = -1; /* grants before the one refusal; negative: none is due */

static bool grant(void)
{
    const bool refuse = until_refusal == 0;
    if (until_refusal >= 0) until_refusal -= 1;
    return !refuse;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    return grant() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return grant() ? __real_calloc(count, size) : NULL;
}

/* Refuses allocation number n of what action does; returns whether there was one. */
static bool without(long n, void (*action)(call *, bool), call *c)
{
    until_refusal = n;
    action(c, false);
    const bool refused = until_refusal < 0;
    until_refusal = -1;
    action(c, true);
    while (aclGetRecentErrMsg() != NULL) {
    }
    return refused;
}

static void make_tensors(call *c, bool must)
{
    aclTensor *one = operand_tensor(&c->operands[0]);
    const aclTensor *tensors[] = {one};
    aclTensorList *list = one != NULL ? aclCreateTensorList(tensors, 1) : NULL;
    int64_t *sizes = NULL;
    uint64_t count = 77;
    aclnnStatus status = ACLNN_ERR_INNER_NULLPTR;
    if (one != NULL) {
        status = aclGetViewShape(one, &sizes, &count);
        assert_true(status == ACLNN_SUCCESS || (status == ACLNN_ERR_INNER_NULLPTR && count == 77 && sizes == NULL));
    }
    assert_true(!must || (list != NULL && status == ACLNN_SUCCESS));
    release_array(sizes);
    assert_int_equal(list != NULL ? aclDestroyTensorList(list) : aclDestroyTensor(one), ACLNN_SUCCESS);
}

static void run_once(call *c, bool must)
{
    aclTensor *made[MAX_ARGUMENTS];
    const long due = until_refusal;
    until_refusal = -1;
    for (int i = 0; i < c->op->count; i++) made[i] = operand_tensor(&c->operands[i]);
    until_refusal = due;
    const aclnnStatus one = c->op->prepare(c, made);
    assert_true(one == ACLNN_SUCCESS || one == ACLNN_ERR_INNER_CREATE_EXECUTOR);
    if (one == ACLNN_SUCCESS) {
        assert_int_equal(aclSetAclOpExecutorRepeatable(c->executor), ACLNN_SUCCESS);
        const aclnnStatus two = c->op->launch(c->workspace, c->workspace_bytes, c->executor, NULL);
        assert_true(two == ACLNN_SUCCESS || two == ACLNN_ERR_INNER_CREATE_EXECUTOR ||
                    two == ACLNN_ERR_RUNTIME_ERROR);
        assert_true(!must || two == ACLNN_SUCCESS);
        assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
        if (two != ACLNN_SUCCESS) call_untouched(c);
        assert_int_equal(aclDestroyAclOpExecutor(c->executor), ACLNN_SUCCESS);
    }
    assert_true(!must || one == ACLNN_SUCCESS);
    for (int i = 0; i < c->op->count; i++) assert_int_equal(aclDestroyTensor(made[i]), ACLNN_SUCCESS);
}

static void test_tensors(void **state)
{
    (void)state;
    const spec s = smallest();
    call c;
    long n = 0;
    call_open_unfilled(&c, &FORWARD, &s);
    while (without(n, make_tensors, &c)) n++;
    assert_true(n >= 2); /* the array is operator new[]'s where there is one */
    call_close(&c);
}

/* Poisons the outputs between attempts, so that a refused one can be seen to leave them. */
static void test_executors(void **state)
{
    (void)state;
    const spec s = smallest();
    for (int o = 0; o < 2; o++) {
        call c;
        long n = 0;
        bool refused = true;
        call_open(&c, OPERATORS[o], &s);
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        assert_int_equal(aclDestroyAclOpExecutor(c.executor), ACLNN_SUCCESS);
        c.workspace = malloc(c.workspace_bytes);
        for (; refused; n++) {
            for (int i = c.op->inputs; i < c.op->count; i++) tensor_poison(call_tensor(&c, i));
            refused = without(n, run_once, &c);
        }
        assert_true(n > 2);
        call_check(&c);
        call_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_executors),
    };
    return cmocka_run_group_tests_name("aclnn shortage", tests, runtime_start, runtime_stop);
}
