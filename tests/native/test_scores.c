/* SPDX-License-Identifier: Apache-2.0 */
/* What else may be done to scores and weights, against the reference: cap, bias and its gradient, fill, dropout. */
#include "cmocka_all.h"

#include "check.h"

#include <float.h>
#include <math.h>

static void for_each_dtype_and_rule(spec s)
{
    for (int dtype = 0; dtype < 4; dtype++)
        for (int rule = 0; rule < 2; rule++) {
            s.dtype = (floyd_dtype)dtype;
            s.rule = (floyd_mask_rule)rule;
            s.seed++;
            run_and_check(&s);
        }
}

/* Each alone, some together, all; under each mask. */
static void test_each_and_all(void **state)
{
    static const unsigned extras[] = {CAP,  BIAS,    DBIAS,          BIAS | DBIAS, CAP | DBIAS,
                                      FILL, DROPOUT, EXTRAS & ~FILL, EXTRAS};
    (void)state;
    for (int i = 0; i < 9; i++)
        for (int kind = MASK_NONE; kind <= MASK_ROWS; kind++) {
            spec s = spec_of(1, 2, 5, 9, 37, 12);
            s.mask = (enum mask_kind)kind;
            add_extras(&s, extras[i]);
            for_each_dtype_and_rule(s);
        }
}

/* Every broadcast form of the bias with every one of its gradient, and of a gradient without a bias. */
static void test_broadcast_axes(void **state)
{
    (void)state;
    for (unsigned of_bias = 0; of_bias < 33; of_bias++)
        for (unsigned of_gradient = 0; of_gradient < 32; of_gradient++) {
            spec s = spec_of(2, 2, 3, 5, 9, 4);
            add_extras(&s, of_bias == 32 ? DBIAS : BIAS | DBIAS);
            s.bias_axes = of_bias;
            s.dbias_axes = of_gradient;
            s.dtype = (floyd_dtype)((of_bias + of_gradient) % 4);
            s.mask = of_gradient % 3 ? MASK_NONE : MASK_ROWS;
            s.seed = of_bias * 32 + of_gradient;
            run_and_check(&s);
        }
}

/* The same over several tiles and parts on every axis. */
static void test_broadcast_axes_of_large(void **state)
{
    (void)state;
    for (unsigned axes = 0; axes < 32; axes++) {
        spec s = spec_of(2, 1, 26, 25, 50, 4);
        add_extras(&s, EXTRAS);
        s.bias_axes = axes * 5 & 31;
        s.dbias_axes = axes;
        s.dtype = (floyd_dtype)(axes % 4);
        s.mask = axes % 2 ? MASK_RANDOM : MASK_NONE;
        s.rule = axes & 4 ? FLOYD_MASK_ZERO_GRAD : FLOYD_MASK_REPLACE;
        s.threads = 1 + (int)(axes % 3);
        run_and_check(&s);
    }
}

static void check_size(int64_t N, int64_t M, int64_t K, int64_t D, unsigned i)
{
    spec s = spec_of(1, 2, N, M, K, D);
    add_extras(&s, i % 5 ? EXTRAS : EXTRAS & ~FILL);
    s.dtype = (floyd_dtype)(i % 4);
    s.threads = 1 + (int)(i % 2);
    s.mask = i % 3 == 2 ? MASK_PADDING : i % 3 == 1 ? MASK_ROWS : MASK_NONE;
    s.bias_axes = AXES_FULL ^ (i % 7 & 3);
    s.dbias_axes = i * 11 & 31;
    s.seed = 700 + i;
    run_and_check(&s);
}

/* Below, at and above the edges of tiles (24 x 24 x 48), vectors and blocks of four random numbers. */
static void test_sizes(void **state)
{
    static const int64_t pairs[] = {1, 2, 7, 8, 15, 16, 17, 23, 24, 25, 47, 48, 49, 73};
    static const int64_t pivots[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 47, 48, 49, 50, 51, 95, 96, 97, 131};
    static const int64_t features[] = {1, 3, 8, 17, 33, 64, 65};
    (void)state;
    for (unsigned i = 0; i < 14; i++) {
        check_size(pairs[i], 5, 9, 12, i);
        check_size(6, pairs[i], 10, 12, i + 1);
    }
    for (unsigned i = 0; i < 21; i++) check_size(4, 5, pivots[i], 12, i + 2);
    for (unsigned i = 0; i < 7; i++) check_size(5, 6, 13, features[i], i + 3);
    check_size(49, 25, 97, 20, 1);
    check_size(25, 49, 53, 20, 2);
}

/* Bias and dbias strided, permuted, reversed, repeated. */
static void test_layouts(void **state)
{
    static const layout *const layouts[] = {&layout_contiguous, &layout_permuted, &layout_scattered, &layout_gapped,
                                            &layout_repeated};
    (void)state;
    for (unsigned in = 0; in < 5; in++)
        for (unsigned out = 0; out < 4; out++)
            for (unsigned axes = 0; axes < 8; axes++) {
                spec s = spec_of(2, 2, 3, 18, 17, 8);
                add_extras(&s, EXTRAS);
                s.inputs = layouts[in];
                s.outputs = layouts[out];
                s.dtype = (floyd_dtype)((in + out + axes) % 4);
                s.mask = axes % 2 ? MASK_RANDOM : MASK_NONE;
                s.bias_axes = (axes << 2 | 3) ^ (in & 3);
                s.dbias_axes = axes << 2 | out;
                run_and_check(&s);
            }
}

/* A bias as the operands are, or in fp32; -inf leaves a weight of exactly 0. */
static void test_bias_types(void **state)
{
    (void)state;
    for (int kind = BIAS_ZERO; kind <= BIAS_HOLES; kind++)
        for (int wide = 0; wide < 2; wide++)
            for (unsigned axes = 3; axes < 32; axes += 4) {
                spec s = spec_of(2, 1, 3, 18, 37, 8);
                add_extras(&s, BIAS | DBIAS);
                s.bias = (enum bias_kind)kind;
                s.wide = wide ? 1u << T_BIAS : 0;
                s.bias_axes = axes;
                s.mask = kind == BIAS_NORMAL ? MASK_ROWS : MASK_NONE;
                for_each_dtype_and_rule(s);
            }
}

/* Whole tiles of -inf at the front, in the middle and at the end of the pivots. */
static void test_tiles_of_minus_infinity(void **state)
{
    static const int64_t holes[][2] = {{0, 64}, {48, 96}, {100, 130}, {1, 130}, {0, 129}};
    (void)state;
    for (int i = 0; i < 5; i++) {
        spec s = spec_of(1, 1, 5, 18, 130, 8);
        add_extras(&s, EXTRAS & ~FILL);
        problem p = problem_new(&s);
        int64_t index[5] = {0};
        do
            if (index[4] >= holes[i][0] && index[4] < holes[i][1] && index[2] != 3)
                tensor_set(&p.t[T_BIAS].view, index, -INFINITY);
        while (tensor_next(&p.t[T_BIAS].view, index));
        run_and_check_problem(&p);
        problem_free(&p);
    }
}

/* exp(-inf + inf): rows whose bias is -inf throughout are NaN, as the formula has it, and no other row is. */
static void test_rows_of_minus_infinity(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int kind = MASK_NONE; kind <= MASK_ROWS; kind++) {
            spec s = spec_of(1, 2, 6, 18, 53, 8);
            add_extras(&s, BIAS | DBIAS);
            s.dtype = (floyd_dtype)dtype;
            s.mask = (enum mask_kind)kind;
            problem p = problem_new(&s);
            int64_t index[5] = {0};
            do
                if (index[2] == 3 && index[3] == 7) tensor_set(&p.t[T_BIAS].view, index, -INFINITY);
            while (tensor_next(&p.t[T_BIAS].view, index));
            run_and_check_problem(&p);
            run_forward(&p);
            assert_true(isfinite(tensor_get(&p.t[T_Y].view, (const int64_t[5]){0, 0, 3, 8, 0})));
            if (kind == MASK_NONE) {
                assert_true(tensor_get(&p.t[T_MAX].view, (const int64_t[5]){0, 0, 3, 7, 0}) == -INFINITY);
                assert_true(isnan(tensor_get(&p.t[T_SUM].view, (const int64_t[5]){0, 0, 3, 7, 0})));
                assert_true(isnan(tensor_get(&p.t[T_Y].view, (const int64_t[5]){0, 0, 3, 7, 0})));
            }
            problem_free(&p);
        }
}

/* Fills far below, among and far above the scores; one that fp32 rounds to 0, and the two that mean -FLT_MAX. */
static void test_fills(void **state)
{
    static const double fills[] = {-1e9, -800, -100, -5, 5, 1e30, -INFINITY, 1e-50, -0.0, -(double)FLT_MAX, -1e300};
    static const enum mask_kind kinds[] = {MASK_RANDOM, MASK_PADDING, MASK_ROWS, MASK_ONES};
    (void)state;
    for (int i = 0; i < 11; i++)
        for (int kind = 0; kind < 4; kind++) {
            spec s = spec_of(1, 1, 4, 9, 101, 8);
            s.mask = kinds[kind];
            s.mask_fill = fills[i];
            s.dbias = kind % 2;
            for_each_dtype_and_rule(s);
        }
}

/* A bias of one value moves every score to where the fill is, or as far again below it. */
static void test_scores_about_the_fill(void **state)
{
    static const double moves[][2] = {
        {-1e4, -1e4}, {-2e4, -1e4}, {-1e4 + 400, -1e4}, {-1e4 + 760, -1e4}, {-700, -1e4}};
    (void)state;
    for (int i = 0; i < 5; i++) {
        for (int dtype = 0; dtype < 2; dtype++) {
            spec s = spec_of(1, 1, 6, 18, 70, 8);
            add_extras(&s, BIAS | DBIAS);
            s.bias_axes = 0;
            s.mask = MASK_ROWS;
            s.mask_fill = moves[i][1];
            s.dtype = (floyd_dtype)dtype;
            problem p = problem_new(&s);
            tensor_set(&p.t[T_BIAS].view, (const int64_t[5]){0}, moves[i][0]);
            run_and_check_problem(&p);
            problem_free(&p);
        }
    }
}

/*
 * T of floydattn.h, the greatest max of a row that counts as fully masked: there a sum of NaN gives NaN, and in
 * every other row P is exactly 0 under the mask.
 */
static void test_limit_of_masked_rows(void **state)
{
    static const double fills[][2] = {{-1e9, -5e8}, {-5, 745}, {5, 755}, {-2048, -1024}, {-1024, -274}};
    (void)state;
    for (int i = 0; i < 5; i++)
        for (int above = 0; above < 2; above++)
            for (int dtype = 0; dtype < 4; dtype++) {
                spec s = spec_of(1, 1, 2, 5, 33, 8);
                s.mask = MASK_ONES;
                s.mask_fill = fills[i][0];
                s.dtype = (floyd_dtype)dtype;
                problem p = problem_new(&s);
                const double step = 2 * half_ulp(accumulator_of(s.dtype), fills[i][1]);
                tensor_fill_normal(&p.t[T_MAX].view, 1, fills[i][1] + above * step, 0);
                tensor_fill_normal(&p.t[T_SUM].view, 1, NAN, 0);
                tensor_fill_normal(&p.t[T_Y].view, 1, 0, 1);
                run_backward(&p);
                const double dv = tensor_get(&p.t[T_DV1].view, (const int64_t[5]){0});
                if (!(above ? dv == 0 : isnan(dv)))
                    fail_msg("fill %g, above %d: dv1 is %g", fills[i][0], above, dv);
                check_backward(&p);
                problem_free(&p);
            }
}

/* Caps that scores reach by far, that they hardly feel, and that are all but out of range. */
static void test_caps(void **state)
{
    static const double caps[] = {1e-30, 1e-3, 0.1, 1, 5, 50, 1e4, 1e30};
    static const double scales[] = {0, 0.3, -30};
    (void)state;
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 3; j++) {
            spec s = spec_of(1, 1, 6, 9, 50, 16);
            s.softmax_cap = caps[i];
            s.scale = scales[j];
            s.mask = i % 2 ? MASK_ROWS : MASK_NONE;
            s.dbias = 1;
            for_each_dtype_and_rule(s);
        }
}

/* max, sum and Y are used as given, also when they fit nothing. */
static void test_given_statistics(void **state)
{
    (void)state;
    for (int kind = MASK_NONE; kind <= MASK_ROWS; kind++)
        for (int dtype = 0; dtype < 4; dtype++) {
            spec s = spec_of(1, 2, 17, 18, 33, 16);
            add_extras(&s, EXTRAS);
            s.dtype = (floyd_dtype)dtype;
            s.mask = (enum mask_kind)kind;
            problem p = problem_new(&s);
            tensor_fill_normal(&p.t[T_MAX].view, 5, 3, 1);
            tensor_fill_normal(&p.t[T_SUM].view, 6, 40, 3);
            tensor_fill_normal(&p.t[T_Y].view, 7, 1, 2);
            run_backward(&p);
            check_backward(&p);
            problem_free(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_and_all),
                                       cmocka_unit_test(test_broadcast_axes),
                                       cmocka_unit_test(test_broadcast_axes_of_large),
                                       cmocka_unit_test(test_sizes),
                                       cmocka_unit_test(test_layouts),
                                       cmocka_unit_test(test_bias_types),
                                       cmocka_unit_test(test_tiles_of_minus_infinity),
                                       cmocka_unit_test(test_rows_of_minus_infinity),
                                       cmocka_unit_test(test_fills),
                                       cmocka_unit_test(test_scores_about_the_fill),
                                       cmocka_unit_test(test_limit_of_masked_rows),
                                       cmocka_unit_test(test_caps),
                                       cmocka_unit_test(test_given_statistics)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
