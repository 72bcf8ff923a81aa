/* SPDX-License-Identifier: Apache-2.0 */
/* Where a tensor lies and in which of the allowed types it is stored. */
#include "cmocka_all.h"

#include "check.h"

#include <stdlib.h>

static const layout *const output_layouts[] = {&layout_contiguous, &layout_permuted, &layout_scattered,
                                               &layout_gapped};
static const layout *const input_layouts[] = {&layout_contiguous, &layout_permuted, &layout_scattered,
                                              &layout_gapped, &layout_repeated};

static void test_strides(void **state)
{
    (void)state;
    for (int in = 0; in < 5; in++)
        for (int out = 0; out < 4; out++)
            for (int dtype = 0; dtype < 4; dtype++) {
                spec s = spec_of(2, 3, 7, 18, 33, 12);
                s.inputs = input_layouts[in];
                s.outputs = output_layouts[out];
                s.dtype = (floyd_dtype)dtype;
                s.R = 1 + out;
                s.mask = in == out ? MASK_RANDOM : MASK_NONE;
                run_and_check(&s);
            }
}

/* Stride 0 on each axis of the inputs in turn, and on all at once. */
static void test_repeated_axes(void **state)
{
    (void)state;
    for (int axis = 0; axis <= 5; axis++) {
        layout repeated = layout_contiguous;
        repeated.repeat = axis < 5 ? 1u << axis : 31u;
        spec s = spec_of(2, 2, 6, 17, 18, 9);
        s.inputs = &repeated;
        s.dtype = (floyd_dtype)(axis % 4);
        s.mask = axis % 2 ? MASK_ROWS : MASK_NONE;
        run_and_check(&s);
    }
}

/* Every axis backwards, one at a time, in inputs and outputs. */
static void test_reversed_axes(void **state)
{
    (void)state;
    for (int axis = 0; axis <= 5; axis++) {
        layout reversed = layout_contiguous;
        reversed.reverse = axis < 5 ? 1u << axis : 31u;
        spec s = spec_of(2, 2, 6, 17, 18, 16);
        s.inputs = s.outputs = &reversed;
        s.dtype = (floyd_dtype)(axis % 4);
        s.mask = MASK_RANDOM;
        run_and_check(&s);
    }
}

/* A caller that reads broadcast gradients through expanded views passes a stride 0 where the size is 1. */
static void test_unit_axes(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 1, 9, 17, 8);
    problem p = problem_new(&s);
    for (int r = 0; r < ROLES; r++)
        for (int a = 0; r != T_MASK && a < 5; a++)
            if (p.t[r].view.size[a] == 1) p.t[r].view.stride[a] = a % 2 ? 0 : -(INT64_C(1) << 40);
    run_and_check_problem(&p);
    problem_free(&p);
}

/* Y, dY, bias and each gradient of an edge may be fp32 beside half inputs, in any combination. */
static void test_mixed_dtypes(void **state)
{
    static const floyd_dtype halves[] = {FLOYD_F16, FLOYD_BF16};
    (void)state;
    for (int h = 0; h < 2; h++)
        for (int r = -1; r < ROLES; r++) {
            if (r >= 0 && !(HALVES >> r & 1)) continue;
            spec s = spec_of(1, 2, 9, 17, 20, 16);
            s.dtype = halves[h];
            s.wide = r < 0 ? (unsigned)HALVES : 1u << r;
            s.inputs = r % 2 ? &layout_contiguous : &layout_gapped;
            s.outputs = r % 2 ? &layout_permuted : &layout_contiguous;
            s.bias = r == T_BIAS ? BIAS_NORMAL : BIAS_NONE;
            run_and_check(&s);
        }
}

/* narrow holds exactly wide's elements, each rounded to narrow's type. */
static void expect_rounded(const floyd_tensor *narrow, const floyd_tensor *wide, const char *name)
{
    tensor rounded = tensor_new(narrow->dtype, wide->size, &layout_contiguous);
    double *values = tensor_values(wide);
    tensor_assign(&rounded.view, values);
    expect_same_view(&rounded.view, narrow, name);
    free(values);
    tensor_free(&rounded);
}

/* A half output is the fp32 output rounded once. */
static void test_rounded_once(void **state)
{
    static const floyd_dtype halves[] = {FLOYD_F16, FLOYD_BF16};
    (void)state;
    for (int h = 0; h < 2; h++) {
        spec s = spec_of(1, 1, 33, 18, 47, 20);
        s.dtype = halves[h];
        problem narrow = problem_new(&s);
        s.wide = HALVES & ~(1u << T_DY);
        problem wide = problem_new(&s);
        run_forward(&narrow);
        run_forward(&wide);
        expect_same_bits(&narrow, &wide, 1u << T_MAX | 1u << T_SUM, "half beside fp32 outputs");
        expect_rounded(&narrow.t[T_Y].view, &wide.t[T_Y].view, "y");
        /* The backward reads Y: give both the same. */
        double *y = tensor_values(&narrow.t[T_Y].view);
        tensor_assign(&wide.t[T_Y].view, y);
        free(y);
        run_backward(&narrow);
        run_backward(&wide);
        for (enum role r = T_DQ; r <= T_DV2; r++) expect_rounded(&narrow.t[r].view, &wide.t[r].view, role_names[r]);
        problem_free(&narrow);
        problem_free(&wide);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_strides),       cmocka_unit_test(test_repeated_axes),
                                       cmocka_unit_test(test_reversed_axes), cmocka_unit_test(test_unit_axes),
                                       cmocka_unit_test(test_mixed_dtypes),  cmocka_unit_test(test_rounded_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
