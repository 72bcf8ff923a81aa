/* SPDX-License-Identifier: Apache-2.0 */
/* The pattern of NaN, overflow of the output type, denormal numbers, zeros. */
#include "cmocka_all.h"

#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_bits(const floyd_tensor *t, uint64_t bits)
{
    const size_t width = floyd_dtype_size(t->dtype);
    memcpy(t->data, &bits, width);
}

/* Whatever NaN goes in, signalling or negative or with a payload, one quiet pattern comes out. */
static void test_one_nan_pattern(void **state)
{
    static const uint64_t quiet[] = {0x7FC00000u, 0x7FF8000000000000u, 0x7E00u, 0x7FC0u};
    static const uint64_t odd[][3] = {{0xFFC12345u, 0x7F800001u, 0xFF812345u},
                                      {0xFFF8000000012345u, 0x7FF0000000000001u, 0xFFF0000000012345u},
                                      {0xFE01u, 0x7C01u, 0xFC23u},
                                      {0xFFC1u, 0x7F81u, 0xFF82u}};
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int i = 0; i < 3; i++) {
            spec s = spec_of(1, 1, 2, 17, 9, 8);
            s.dtype = (floyd_dtype)dtype;
            problem p = problem_new(&s);
            write_bits(&p.t[T_Q].view, odd[dtype][i]);
            run_forward(&p);
            run_backward(&p);
            const int64_t origin[5] = {0};
            for (enum role r = T_Y; r <= T_DV2; r++)
                if (r != T_DY) assert_int_equal(tensor_bits(&p.t[r].view, origin), quiet[p.t[r].view.dtype]);
            problem_free(&p);
        }
}

/* Rounding to the output's type overflows to inf, as IEEE says: gradients of ones times 65504. */
static void test_overflow_to_inf(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 3, 17, 9, 8);
    s.dtype = FLOYD_F16;
    problem p = problem_new(&s);
    store_reference_forward(&p);
    tensor_fill_normal(&p.t[T_DY].view, 1, 65504, 0);
    tensor_fill_normal(&p.t[T_SUM].view, 1, 0.5, 0);
    run_backward(&p);
    check_backward(&p);
    assert_true(tensor_get(&p.t[T_DV1].view, (const int64_t[5]){0}) == INFINITY);
    problem_free(&p);
}

static double largest_value(const floyd_tensor *t)
{
    double largest = 0;
    int64_t index[5] = {0};
    do largest = fmax(largest, fabs(tensor_get(t, index)));
    while (tensor_next(t, index));
    return largest;
}

/* Denormal inputs and outputs keep their value: gradual underflow is on. */
static void test_denormals(void **state)
{
    static const double deviation[] = {1e-40, 1e-310, 1e-6, 1e-39};
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(1, 1, 5, 17, 20, 8);
        s.dtype = (floyd_dtype)dtype;
        s.scale = 1;
        problem p = problem_new(&s);
        for (enum role r = T_V1; r <= T_DY; r++)
            if (r == T_V1 || r == T_V2 || r == T_DY) tensor_fill_normal(&p.t[r].view, 90 + r, 0, deviation[dtype]);
        run_forward(&p);
        check_forward(&p);
        assert_true(largest_value(&p.t[T_Y].view) > 0);
        store_reference_forward(&p);
        run_backward(&p);
        check_backward(&p);
        assert_true(largest_value(&p.t[T_DV1].view) > 0);
        problem_free(&p);
    }
}

static void check_no_negative_zero(const problem *p)
{
    for (enum role r = T_Y; r <= T_DV2; r++) {
        int64_t index[5] = {0};
        do {
            const double value = tensor_get(&p->t[r].view, index);
            if (r != T_DY && value == 0 && signbit(value)) fail_msg("%s holds -0", role_names[r]);
        } while (tensor_next(&p->t[r].view, index));
    }
}

/* No output is -0: a sum that comes to nothing is +0. */
static void test_no_negative_zero(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(1, 1, 5, 17, 20, 8);
        s.dtype = (floyd_dtype)dtype;
        s.scale = -0.0;
        problem p = problem_new(&s);
        tensor_fill_normal(&p.t[T_V1].view, 1, -0.0, 0);
        tensor_fill_normal(&p.t[T_V2].view, 1, -0.0, 0);
        run_forward(&p);
        run_backward(&p);
        check_no_negative_zero(&p);
        problem_free(&p);
    }
}

/* Nor where every product of a sum underflows to -0, whichever way the sum goes to the output's memory. */
static void test_negative_underflow(void **state)
{
    static const double smallest[] = {-0x1p-149, -0x1p-1074};
    (void)state;
    for (int i = 0; i < 4; i++) {
        spec s = spec_of(1, 1, 5, 17, 20, 16);
        s.dtype = i / 2 ? FLOYD_F64 : FLOYD_F32;
        s.outputs = i % 2 ? &layout_gapped : &layout_contiguous;
        problem p = problem_new(&s);
        for (enum role r = T_V1; r <= T_DY; r++)
            if (r == T_V1 || r == T_V2 || r == T_DY) tensor_fill_normal(&p.t[r].view, 1, smallest[i / 2], 0);
        run_forward(&p);
        run_backward(&p);
        check_no_negative_zero(&p);
        assert_int_equal(tensor_bits(&p.t[T_DV1].view, (const int64_t[5]){0}), 0);
        problem_free(&p);
    }
}

/*
 * Weights add up to 1, however large the scores: the backward rounds them as the forward has, so that the maximum
 * cancels. So dV1, summed over the pivots, is the plain sum of dY.
 */
static void check_weights_add_up(floyd_dtype dtype, int64_t K)
{
    spec s = spec_of(1, 2, 18, 17, K, 16);
    s.dtype = dtype;
    s.wide = dtype == FLOYD_F16 || dtype == FLOYD_BF16 ? (unsigned)GRADIENTS : 0;
    s.scale = 3e4;
    problem p = problem_new(&s);
    run_forward(&p);
    run_backward(&p);
    for (int64_t h = 0; h < s.H; h++)
        for (int64_t n = 0; n < s.N; n++)
            for (int64_t d = 0; d < s.D; d++) {
                double sum = 0, size = 0, got = 0;
                for (int64_t m = 0; m < s.M; m++) {
                    const double term = tensor_get(&p.t[T_DY].view, (const int64_t[5]){0, h, n, m, d});
                    sum += term;
                    size += fabs(term);
                }
                for (int64_t k = 0; k < K; k++)
                    got += tensor_get(&p.t[T_DV1].view, (const int64_t[5]){0, h, n, k, d});
                if (!(fabs(got - sum) <= 0x1p-20 * size)) fail_msg("dv1 adds up to %g; dy to %g", got, sum);
            }
    problem_free(&p);
}

static void test_weights_add_up(void **state)
{
    static const floyd_dtype dtypes[] = {FLOYD_F32, FLOYD_F16, FLOYD_BF16};
    (void)state;
    for (int d = 0; d < 3; d++)
        for (int64_t K = 1; K <= 32; K += 31) check_weights_add_up(dtypes[d], K);
}

/* However dbias is summed, it holds no -0, and of NaN the one pattern. */
static void test_zeros_and_nan_of_dbias(void **state)
{
    static const uint64_t quiet[] = {0x7FC00000u, 0x7FF8000000000000u};
    (void)state;
    for (unsigned i = 0; i < 128; i++) {
        spec s = spec_of(1, 1, 5, 17, 20, 8);
        add_extras(&s, i % 3 ? DBIAS : CAP | BIAS | DBIAS);
        s.dtype = (floyd_dtype)(i % 4);
        s.dbias_axes = i / 4;
        s.outputs = i % 2 ? &layout_gapped : &layout_contiguous;
        problem p = problem_new(&s);
        const floyd_tensor *dbias = &p.t[T_DBIAS].view;
        int64_t index[5] = {0};
        run_forward(&p);
        tensor_fill_normal(&p.t[T_Y].view, 1, 0, 0);
        tensor_fill_normal(&p.t[T_DY].view, 1, -0.0, 0);
        run_backward(&p);
        do assert_int_equal(tensor_bits(dbias, index), 0);
        while (tensor_next(dbias, index));
        tensor_set(&p.t[T_DY].view, (const int64_t[5]){0}, -NAN);
        run_backward(&p);
        assert_int_equal(tensor_bits(dbias, (const int64_t[5]){0}), quiet[dbias->dtype]);
        problem_free(&p);
    }
}

/* Nor where a stored -0 lies in a tile that a mask has skipped, or a NaN of another pattern. */
static void test_stored_dbias_of_skipped_tiles(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(1, 1, 5, 17, 96, 8);
        add_extras(&s, DBIAS);
        s.dtype = (floyd_dtype)dtype;
        s.wide = EDGE_GRADIENTS;
        s.mask = MASK_ZERO;
        problem p = problem_new(&s);
        const floyd_tensor *dbias = &p.t[T_DBIAS].view;
        const int64_t odd[5] = {0, 0, 3, 5, 7};
        for (int64_t n = 0; n < s.N; n++)
            for (int64_t k = 0; k < 48; k++) tensor_set(&p.t[T_MASK].view, (const int64_t[5]){0, 0, n, 0, k}, 1);
        run_forward(&p);
        for (enum role r = T_DQ; r <= T_DV2; r++) tensor_fill_normal(&p.t[r].view, 1, 0, 1);
        tensor_fill_normal(dbias, 1, -0.0, 0);
        tensor_set(dbias, odd, -NAN);
        floyd_backward_args args = backward_args(&p, GRADIENTS);
        args.add = 1;
        assert_int_equal(run_backward_args(&args, NULL), FLOYD_OK);
        assert_int_equal(tensor_bits(dbias, odd), dtype == FLOYD_F64 ? 0x7FF8000000000000u : 0x7FC00000u);
        tensor_set(dbias, odd, 0);
        for (int64_t k = 0; k < 48; k++) assert_int_equal(tensor_bits(dbias, (const int64_t[5]){0, 0, 3, 5, k}), 0);
        problem_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_nan_pattern),
                                       cmocka_unit_test(test_overflow_to_inf),
                                       cmocka_unit_test(test_denormals),
                                       cmocka_unit_test(test_no_negative_zero),
                                       cmocka_unit_test(test_negative_underflow),
                                       cmocka_unit_test(test_weights_add_up),
                                       cmocka_unit_test(test_zeros_and_nan_of_dbias),
                                       cmocka_unit_test(test_stored_dbias_of_skipped_tiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
