/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host without memory: every allocation of a tensor's, a list's or an executor's life is refused once. Each
 * call then says so or gives NULL, nothing is lost, and the next attempt works. The linker sends the
 * library's calls of malloc and calloc through the functions here. And a host that starts no more threads, where it
 * is the stream that fails: pthread_create() is ours, too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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

static bool threads_refused;

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *argument)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real, &symbol, sizeof real);
    return threads_refused ? EAGAIN : real(thread, attributes, start, argument);
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
        assert_true(two == ACLNN_SUCCESS || two == ACLNN_ERR_INNER_CREATE_EXECUTOR);
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

/* An operator that finds no threads when its turn comes: the wait says so, nothing was written, later work runs. */
static void test_threads(void **state)
{
    (void)state;
    const spec s = smallest();
    for (int o = 0; o < 2; o++) {
        aclrtStream stream = NULL;
        call c;
        call_open(&c, OPERATORS[o], &s);
        assert_int_equal(aclrtCreateStream(&stream), ACL_SUCCESS);
        for (int refused = 1; refused >= 0; refused--) {
            assert_int_equal(setenv("FLOYDATTN_NUM_THREADS", o == 0 ? "5" : "9", 1), 0); /* more than have begun */
            assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
            threads_refused = refused;
            assert_int_equal(call_phase_two(&c, stream), ACLNN_SUCCESS);
            const aclError waited = aclrtSynchronizeStream(stream);
            threads_refused = false;
            assert_int_equal(waited, refused ? ACL_ERROR_RT_INTERNAL_ERROR : ACL_SUCCESS);
            if (!refused) continue;
            expect_message(c.op->name, "FLOYD_ERROR_SYSTEM", "thread", NULL);
            call_untouched(&c);
            assert_int_equal(aclrtSynchronizeStream(stream), ACL_SUCCESS);
        }
        call_check(&c);
        assert_int_equal(aclrtDestroyStream(stream), ACL_SUCCESS);
        call_close(&c);
    }
    assert_int_equal(unsetenv("FLOYDATTN_NUM_THREADS"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads), /* first: later there are threads that idle */
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_executors),
    };
    return cmocka_run_group_tests_name("aclnn shortage", tests, runtime_start, runtime_stop);
}
