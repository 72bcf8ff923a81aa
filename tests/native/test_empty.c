/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of 0: a sum over nothing is 0 and is written; adding nothing changes nothing. */
#include "cmocka_all.h"

#include "check.h"

#include <float.h>

/* Bit 0..5 of zeroed: B, H, N, M, K, D is 0. */
static spec spec_with_zeros(unsigned zeroed)
{
    int64_t size[] = {2, 1, 5, 7, 9, 8};
    for (int i = 0; i < 6; i++)
        if (zeroed >> i & 1) size[i] = 0;
    return spec_of(size[0], size[1], size[2], size[3], size[4], size[5]);
}

static void test_every_combination(void **state)
{
    (void)state;
    for (unsigned zeroed = 0; zeroed < 64; zeroed++)
        for (int dtype = 0; dtype < 4; dtype++) {
            spec s = spec_with_zeros(zeroed);
            s.dtype = (floyd_dtype)dtype;
            s.mask = zeroed % 3 == 0 ? MASK_RANDOM : MASK_NONE;
            s.threads = 1 + (int)(zeroed % 2);
            run_and_check(&s);
        }
}

/* The same with a bias and its gradient, which is 0 where it has elements and there is nothing to sum. */
static void test_every_combination_of_scores(void **state)
{
    (void)state;
    for (unsigned zeroed = 0; zeroed < 64; zeroed++)
        for (unsigned axes = 0; axes < 32; axes++) {
            spec s = spec_with_zeros(zeroed);
            add_extras(&s, zeroed % 2 ? EXTRAS : DBIAS);
            s.dtype = (floyd_dtype)(axes % 4);
            s.mask = zeroed % 3 == 0 ? MASK_RANDOM : MASK_NONE;
            s.bias_axes = axes * 3 & 31;
            s.dbias_axes = axes;
            run_and_check(&s);
        }
}

static void expect_all(const tensor *t, double value, const char *name)
{
    int64_t index[5] = {0};
    assert_true(tensor_count(&t->view) > 0);
    do
        if (!(tensor_get(&t->view, index) == value))
            fail_msg("%s holds %g, not %g", name, tensor_get(&t->view, index), value);
    while (tensor_next(&t->view, index));
}

static void test_no_pivots(void **state)
{
    (void)state;
    spec s = spec_with_zeros(1 << 4);
    s.R = 8;
    problem p = problem_new(&s);
    run_forward(&p);
    expect_all(&p.t[T_MAX], -FLT_MAX, "max");
    expect_all(&p.t[T_SUM], 0, "sum");
    expect_all(&p.t[T_Y], 0, "y");
    run_backward(&p);
    expect_all(&p.t[T_DQ], 0, "dq");
    problem_free(&p);
}

static void test_one_axis_of_pairs(void **state)
{
    (void)state;
    spec s = spec_with_zeros(1 << 2);
    problem p = problem_new(&s);
    run_backward(&p);
    expect_all(&p.t[T_DK2], 0, "dk2");
    expect_all(&p.t[T_DV2], 0, "dv2");
    problem_free(&p);
    s = spec_with_zeros(1 << 3);
    p = problem_new(&s);
    run_backward(&p);
    expect_all(&p.t[T_DK1], 0, "dk1");
    expect_all(&p.t[T_DV1], 0, "dv1");
    problem_free(&p);
}

/* D = 0: every score is 0. */
static void test_no_features(void **state)
{
    (void)state;
    spec s = spec_with_zeros(1 << 5);
    problem p = problem_new(&s);
    run_forward(&p);
    expect_all(&p.t[T_MAX], 0, "max");
    expect_all(&p.t[T_SUM], 9, "sum");
    problem_free(&p);
}

static void test_add_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        spec s = spec_with_zeros(1u << (2 + i % 3));
        s.dbias = i / 3;
        s.dbias_axes = 0;
        problem p = problem_new(&s);
        floyd_backward_args args = backward_args(&p, GRADIENTS);
        args.add = 1;
        problem before = problem_new(&s);
        for (enum role r = T_DQ; r < ROLES; r++) {
            tensor_fill_normal(&p.t[r].view, 50 + r, 0, 1);
            tensor_fill_normal(&before.t[r].view, 50 + r, 0, 1);
        }
        assert_int_equal(run_backward_args(&args, NULL), FLOYD_OK);
        expect_same_bits(&p, &before, GRADIENTS, "adding nothing");
        problem_free(&p);
        problem_free(&before);
    }
}

static void test_carry_nothing(void **state)
{
    (void)state;
    spec s = spec_with_zeros(1 << 4);
    problem p = problem_new(&s), before = problem_new(&s);
    for (enum role r = T_Y; r <= T_SUM; r++) {
        tensor_fill_normal(&p.t[r].view, 60 + r, 5, 1);
        tensor_fill_normal(&before.t[r].view, 60 + r, 5, 1);
    }
    floyd_forward_args args = forward_args(&p, FORWARD_OUTPUTS);
    args.carry = 1;
    assert_int_equal(run_forward_args(&args, NULL), FLOYD_OK);
    expect_same_bits(&p, &before, FORWARD_OUTPUTS, "carrying nothing on");
    problem_free(&p);
    problem_free(&before);
}

/* Sizes as large as can be said where no output has an element: answered at once, whatever their product. */
static void test_huge_and_empty(void **state)
{
    (void)state;
    const int64_t huge = INT64_C(1) << 40;
    floyd_tensor pair = floyd_contiguous(NULL, FLOYD_F16, 1, 1, huge, 1 << 20, 0),
                 edge1 = floyd_contiguous(NULL, FLOYD_F16, 1, 1, huge, huge, 0),
                 edge2 = floyd_contiguous(NULL, FLOYD_F16, 1, 1, huge, 1 << 20, 0);
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t bytes = 1;
    args.q = args.y = &pair, args.k1 = args.v1 = &edge1, args.k2 = args.v2 = &edge2;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_OK);
    assert_int_equal(bytes, 0);
    assert_int_equal(floyd_forward(&args, NULL, NULL, 0), FLOYD_OK);
    /* A sum per row is wanted here, and dbias: so there is work, and its plan needs no product that does not fit.
     */
    floyd_tensor row = {NULL, FLOYD_F32, {1, 1, huge, 1 << 20, 1}, {0}};
    floyd_tensor one = floyd_contiguous(NULL, FLOYD_F32, 1, 1, 1, 1, 1);
    floyd_backward_args gradient = FLOYD_BACKWARD_ARGS_INIT;
    gradient.q = gradient.y = gradient.dy = gradient.dq = &pair;
    gradient.k1 = gradient.v1 = gradient.dk1 = gradient.dv1 = &edge1;
    gradient.k2 = gradient.v2 = gradient.dk2 = gradient.dv2 = &edge2;
    gradient.max = gradient.sum = &row;
    assert_int_equal(floyd_backward_workspace(&gradient, NULL, &bytes), FLOYD_OK);
    assert_int_equal(bytes, 0);
    gradient.dbias = &one;
    const floyd_status status = floyd_backward_workspace(&gradient, NULL, &bytes);
    assert_true(status == FLOYD_OK || status == FLOYD_ERROR_OVERFLOW);
}

/* The largest head that can be said in bytes: its workspace cannot. */
static void test_largest_head(void **state)
{
    (void)state;
    floyd_tensor t = floyd_contiguous(NULL, FLOYD_F16, 1, 1, 1, 1, INT64_C(1) << 61);
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t bytes;
    args.q = args.k1 = args.v1 = args.k2 = args.v2 = args.y = &t;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_ERROR_OVERFLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_combination), cmocka_unit_test(test_every_combination_of_scores),
        cmocka_unit_test(test_no_pivots),         cmocka_unit_test(test_one_axis_of_pairs),
        cmocka_unit_test(test_no_features),       cmocka_unit_test(test_add_nothing),
        cmocka_unit_test(test_carry_nothing),     cmocka_unit_test(test_huge_and_empty),
        cmocka_unit_test(test_largest_head)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
