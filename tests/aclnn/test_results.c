/* SPDX-License-Identifier: Apache-2.0 */
/* That the right numbers come out: every type, layout and mask, and executors that run many times. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static const floyd_dtype TYPES[] = {FLOYD_F16, FLOYD_BF16, FLOYD_F32};

static void run_and_hold(const operator_case *op, const spec *s)
{
    call c;
    call_open(&c, op, s);
    call_run(&c);
    call_check(&c);
    call_close(&c);
}

/* Both calls run, and give the same bits. */
static void run_alike(call *a, call *b)
{
    call_run(a);
    call_run(b);
    expect_same_outputs(a, b);
}

static double value_at(call *c, const char *name, int64_t n, int64_t m, int64_t d)
{
    return tensor_get(&call_tensor(c, call_argument(c, name))->view, (const int64_t[]){0, 0, n, m, d});
}

static void test_types(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        for (int t = 0; t < 3; t++) {
            spec s = t == 0 ? varied() : smallest();
            s.dtype = TYPES[t];
            run_and_hold(OPERATORS[o], &s);
        }
    }
}

static void test_head_sizes(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        for (int64_t D = 64; D <= 128; D *= 2) {
            spec s = smallest();
            s.D = D;
            run_and_hold(OPERATORS[o], &s);
        }
    }
}

/* Scales that are negative, zero, and rounded on their way to fp32. */
static void test_scales(void **state)
{
    (void)state;
    static const double SCALES[] = {-0.3, 0.0, 1.0};
    for (int o = 0; o < 2; o++) {
        for (int i = 0; i < 3; i++) {
            spec s = smallest();
            s.scale = SCALES[i];
            run_and_hold(OPERATORS[o], &s);
        }
    }
}

/* FLOAT beside half operands: more than the half output holds, and what it holds when rounded. */
static void test_float_output_beside_half(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        spec s = smallest();
        call half, wide;
        s.dtype = TYPES[t];
        call_open(&half, &FORWARD, &s);
        s.wide = 1u << T_Y;
        call_open(&wide, &FORWARD, &s);
        call_run(&half);
        call_run(&wide);
        call_check(&wide);
        int64_t finer = 0, index[5] = {0};
        const floyd_tensor *y = &wide.p.t[T_Y].view, *rounded = &half.p.t[T_Y].view;
        for (int64_t i = 0; i < tensor_count(y); i++, tensor_next(y, index)) {
            const double value = tensor_get(y, index);
            finer += value != tensor_get(rounded, index);
            tensor_set(rounded, index, value);
        }
        assert_true(finer > tensor_count(y) / 2);
        call_close(&wide);
        s.wide = 0;
        call_open(&wide, &FORWARD, &s);
        run_alike(&half, &wide);
        call_close(&half);
        call_close(&wide);
    }
}

/* ---- Layouts ------------------------------------------------------------------------------------- */

/* Permuted, with gaps, offsets and axes that run backwards: the bits are those of dense tensors. */
static void test_layouts(void **state)
{
    (void)state;
    static const layout *const LAYOUTS[] = {&layout_permuted, &layout_scattered, &layout_gapped};
    for (int o = 0; o < 2; o++) {
        for (int l = 0; l < 3; l++) {
            spec s = varied();
            call dense, laid;
            s.dtype = TYPES[l];
            call_open(&dense, OPERATORS[o], &s);
            s.inputs = LAYOUTS[l];
            s.outputs = LAYOUTS[(l + 1) % 3];
            call_open(&laid, OPERATORS[o], &s);
            run_alike(&dense, &laid);
            for (int i = laid.op->inputs; i < laid.op->count; i++) {
                assert_true(tensor_gaps_untouched(call_tensor(&laid, i)));
            }
            call_close(&dense);
            call_close(&laid);
        }
    }
}

/* One batch seen as many, one n as all: inputs with stride 0. */
static void test_repeated_inputs(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        spec s = smallest();
        s.B = 2;
        s.inputs = &layout_repeated;
        run_and_hold(OPERATORS[o], &s);
    }
}

/* ---- Masks --------------------------------------------------------------------------------------- */

static void test_masks(void **state)
{
    (void)state;
    static const enum mask_kind KINDS[] = {MASK_NONE, MASK_ONES, MASK_RANDOM, MASK_PADDING};
    for (int o = 0; o < 2; o++) {
        for (int k = 0; k < 4; k++) {
            spec s = smallest();
            s.mask = KINDS[k];
            run_and_hold(OPERATORS[o], &s);
        }
    }
}

static void test_null_mask(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        spec s = smallest();
        call none, zero;
        s.mask = MASK_NONE;
        call_open(&none, OPERATORS[o], &s);
        s.mask = MASK_ZERO;
        call_open(&zero, OPERATORS[o], &s);
        assert_true(none.operands[none.op->mask].absent && !zero.operands[zero.op->mask].absent);
        run_alike(&none, &zero);
        call_close(&none);
        call_close(&zero);
    }
}

/* BOOL is UINT8, and a full mask that says what the small one says is the small one. */
static void test_forms_of_a_mask(void **state)
{
    (void)state;
    const spec s = varied();
    call small, full;
    call_open(&small, &FORWARD, &s);
    call_open(&full, &FORWARD, &s);
    const tensor expanded = mask_expanded(&full.p);
    tensor_free(&full.p.t[T_MASK]);
    full.p.t[T_MASK] = expanded;
    call_describe(&full, full.op->mask);
    full.operands[full.op->mask].type = ACL_BOOL;
    run_alike(&small, &full);
    call_close(&small);
    call_close(&full);
}

/* Every head and row with a mask of its own. */
static void test_full_mask(void **state)
{
    (void)state;
    spec s = smallest();
    s.H = 2;
    s.mask_axes = AXES_FULL;
    run_and_hold(&FORWARD, &s);
}

/* A row without a pivot is the average: max -FLT_MAX, sum K; and its gradient is not zero. */
static void test_fully_masked_rows(void **state)
{
    (void)state;
    const spec s = smallest();
    call c;
    call_open(&c, &FORWARD, &s);
    call_run(&c);
    for (int64_t r = 0; r < 8; r++) {
        assert_true(value_at(&c, "softmaxMaxOut", 1, 0, r) == -(double)FLT_MAX);
        assert_true(value_at(&c, "softmaxSumOut", 1, 0, r) == (double)s.K);
    }
    call_close(&c);
    call_open(&c, &GRADIENT, &s);
    call_run(&c);
    double largest = 0;
    for (int64_t d = 0; d < s.D; d++) largest = fmax(largest, fabs(value_at(&c, "dqOut", 1, 0, d)));
    assert_true(largest > 0);
    call_close(&c);
}

/* ---- Given statistics ---------------------------------------------------------------------------- */

/* max, sum and Y that fit nothing are used as they are. */
static void test_statistics_are_not_recomputed(void **state)
{
    (void)state;
    const spec s = smallest();
    call c;
    call_open(&c, &GRADIENT, &s);
    const floyd_tensor *max = &c.p.t[T_MAX].view, *sum = &c.p.t[T_SUM].view;
    int64_t index[5] = {0};
    for (int64_t i = tensor_count(max); i-- > 0; tensor_next(max, index)) {
        if (tensor_get(max, index) < -1e30) continue;
        tensor_set(max, index, tensor_get(max, index) + 0.5);
        tensor_set(sum, index, tensor_get(sum, index) * 0.25);
    }
    tensor_fill_normal(&c.p.t[T_Y].view, 77, 0, 1);
    call_run(&c);
    call_check(&c);
    call_close(&c);
}

/* ---- Executors that run many times ----------------------------------------------------------------- */

static void run_again(call *c)
{
    assert_int_equal(call_phase_two(c, NULL), ACLNN_SUCCESS);
    assert_int_equal(aclrtSynchronizeStream(NULL), ACL_SUCCESS);
}

/* Moves an executor to another call's memory, inputs and outputs by their own indexes. */
static void redirect(aclOpExecutor *executor, call *to)
{
    for (int i = 0; i < to->op->count; i++) {
        const bool input = i < to->op->inputs;
        const size_t index = (size_t)(input ? i : i - to->op->inputs);
        aclTensor *made = operand_tensor(&to->operands[i]);
        assert_int_equal((input ? aclSetInputTensorAddr : aclSetOutputTensorAddr)(executor, index, made,
                                                                                  call_tensor(to, i)->block),
                         ACLNN_SUCCESS);
        assert_int_equal(aclDestroyTensor(made), ACLNN_SUCCESS);
    }
}

static void test_repeatable(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        spec s = smallest();
        call first, second;
        call_open(&first, OPERATORS[o], &s);
        s.seed = 2;
        call_open(&second, OPERATORS[o], &s);
        assert_int_equal(call_phase_one(&first), ACLNN_SUCCESS);
        assert_int_equal(aclSetAclOpExecutorRepeatable(first.executor), ACLNN_SUCCESS);
        for (int i = 0; i < 3; i++) run_again(&first);
        call_check(&first);
        redirect(first.executor, &second);
        run_again(&first);
        call_check(&second);

        /* Refused, it stays; destroyed, it goes. */
        assert_int_equal(first.op->launch(NULL, first.workspace_bytes, first.executor, NULL),
                         ACLNN_ERR_PARAM_NULLPTR);
        run_again(&first);
        assert_int_equal(aclDestroyAclOpExecutor(first.executor), ACLNN_SUCCESS);
        assert_int_equal(call_phase_two(&first, NULL), ACLNN_ERR_PARAM_INVALID);
        call_close(&first);
        call_close(&second);
    }
}

/* An address that is set is the storage's: the view's offset still counts from it. */
static void test_offset_from_a_new_address(void **state)
{
    (void)state;
    for (int o = 0; o < 2; o++) {
        spec s = smallest();
        call c;
        s.inputs = s.outputs = &layout_scattered;
        call_open(&c, OPERATORS[o], &s);
        for (int i = 0; i < c.op->count; i++) c.operands[i].data = NULL;
        assert_int_equal(call_phase_one(&c), ACLNN_SUCCESS);
        redirect(c.executor, &c);
        run_again(&c);
        call_check(&c);
        call_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_head_sizes),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_float_output_beside_half),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_repeated_inputs),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_null_mask),
        cmocka_unit_test(test_forms_of_a_mask),
        cmocka_unit_test(test_full_mask),
        cmocka_unit_test(test_fully_masked_rows),
        cmocka_unit_test(test_statistics_are_not_recomputed),
        cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_offset_from_a_new_address),
    };
    return cmocka_run_group_tests_name("aclnn results", tests, runtime_start, runtime_stop);
}
