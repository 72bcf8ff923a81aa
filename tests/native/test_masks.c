/* SPDX-License-Identifier: Apache-2.0 */
/* Every content, every broadcast form and both rules; what lies under a mask has no say. */
#include "cmocka_all.h"

#include "check.h"

#include <float.h>
#include <math.h>

static void test_contents_and_rules(void **state)
{
    (void)state;
    for (int kind = MASK_ZERO; kind <= MASK_ROWS; kind++)
        for (int dtype = 0; dtype < 4; dtype++)
            for (int rule = 0; rule < 2; rule++) {
                spec s = spec_of(2, 2, 18, 9, 37, 12);
                s.dtype = (floyd_dtype)dtype;
                s.mask = (enum mask_kind)kind;
                s.rule = (floyd_mask_rule)rule;
                s.seed = (uint64_t)(kind * 10 + dtype);
                run_and_check(&s);
            }
}

static void test_broadcast_axes(void **state)
{
    (void)state;
    for (unsigned axes = 0; axes < 32; axes++) {
        spec s = spec_of(2, 3, 5, 17, 33, 8);
        s.mask = axes & 1 << 4 ? MASK_RANDOM : MASK_ROWS;
        s.mask_axes = axes;
        s.dtype = (floyd_dtype)(axes % 4);
        s.rule = axes & 4 ? FLOYD_MASK_ZERO_GRAD : FLOYD_MASK_REPLACE;
        run_and_check(&s);
    }
}

/* Masks every pivot from cut(n, m) on; a cut of 0 is a fully masked row. */
static void mask_from(problem *p, int64_t (*cut)(int64_t n, int64_t m))
{
    int64_t index[5] = {0};
    do tensor_set(&p->t[T_MASK].view, index, index[4] >= cut(index[2], index[3]));
    while (tensor_next(&p->t[T_MASK].view, index));
}

/* Whole tiles masked at the front, in the middle and at the end of the pivots. */
static void test_masked_tiles(void **state)
{
    static const int64_t masked[][2] = {{0, 64}, {64, 128}, {100, 200}, {1, 200}, {0, 199}};
    (void)state;
    for (int i = 0; i < 5; i++) {
        spec s = spec_of(1, 1, 5, 18, 200, 8);
        s.mask = MASK_ZERO;
        problem p = problem_new(&s);
        int64_t index[5] = {0};
        do
            if (index[4] >= masked[i][0] && index[4] < masked[i][1] && index[2] != 3)
                tensor_set(&p.t[T_MASK].view, index, 200);
        while (tensor_next(&p.t[T_MASK].view, index));
        run_and_check_problem(&p);
        problem_free(&p);
    }
}

static int64_t ragged(int64_t n, int64_t m)
{
    return n % 7 == 3 ? 0 : 1 + (n * 5 + m * 11) % 61;
}
static int64_t ragged_and_one_whole(int64_t n, int64_t m)
{
    return n == 29 && m == 8 ? 100 : ragged(n, m);
}
static int64_t steps(int64_t n, int64_t m)
{
    return m < 24 ? 9 : n < 24 ? 70 : 39;
}

static int64_t last_tile_alone(int64_t n, int64_t m)
{
    (void)m;
    return n < 40 ? 0 : 40;
}

/* Padding of another length for every row, which ends inside a tile of k for some tiles of n and m. */
static void test_ragged_padding(void **state)
{
    int64_t (*const cuts[])(int64_t, int64_t) = {ragged, ragged_and_one_whole, steps, last_tile_alone};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int rule = 0; rule < 2; rule++)
            for (int dtype = 0; dtype < 4; dtype++) {
                spec s = spec_of(1, 1, 50, 30, i == 3 ? 40 : 100, 8);
                s.mask = MASK_ZERO;
                s.mask_axes = AXES_FULL;
                s.dtype = (floyd_dtype)dtype;
                s.rule = (floyd_mask_rule)rule;
                problem p = problem_new(&s);
                mask_from(&p, cuts[i]);
                run_and_check_problem(&p);
                problem_free(&p);
            }
}

static int64_t padded(int64_t n, int64_t m)
{
    (void)n, (void)m;
    return 20;
}
static int64_t padded_but_for_one(int64_t n, int64_t m)
{
    return n == 29 && m == 0 ? 48 : padded(n, m);
}

/* Leaving padded pivots out changes no bit: one row that needs them has them computed for all others too. */
static void test_padding_changes_no_bit(void **state)
{
    static const enum role by_n[] = {T_Y, T_DQ, T_DK1, T_DV1};
    (void)state;
    spec s = spec_of(1, 1, 30, 9, 48, 24);
    s.mask = MASK_ZERO;
    s.mask_axes = AXES_FULL;
    problem with = problem_new(&s), without = problem_new(&s);
    mask_from(&with, padded);
    mask_from(&without, padded_but_for_one);
    run_and_check_problem(&with);
    run_and_check_problem(&without);
    for (int i = 0; i < 4; i++) {
        int64_t index[5] = {0};
        do
            if (index[2] < 29)
                assert_true(tensor_get(&with.t[by_n[i]].view, index) ==
                            tensor_get(&without.t[by_n[i]].view, index));
        while (tensor_next(&with.t[by_n[i]].view, index));
    }
    problem_free(&with);
    problem_free(&without);
}

/* A fully masked row: max = -FLT_MAX, sum = K, Y the plain average, in every dtype. */
static void test_fully_masked_statistics(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(1, 1, 3, 4, 37, 8);
        s.dtype = (floyd_dtype)dtype;
        s.mask = MASK_ONES;
        problem p = problem_new(&s);
        int64_t index[5] = {0};
        run_forward(&p);
        check_forward(&p);
        do {
            assert_true(tensor_get(&p.t[T_MAX].view, index) == -(double)FLT_MAX);
            assert_true(tensor_get(&p.t[T_SUM].view, index) == 37);
        } while (tensor_next(&p.t[T_MAX].view, index));
        problem_free(&p);
    }
}

/*
 * A row counts as fully masked when its given max <= -FLT_MAX/2, whatever the mask says; in every other
 * row P and dS are exactly 0 under the mask, whatever sum and Y hold. Both, and the two sides of the line.
 */
static void test_given_max_decides(void **state)
{
    static const double tops[] = {-FLT_MAX, -(double)FLT_MAX / 2, -(double)FLT_MAX / 2.0001, -1e30};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int rule = 0; rule < 2; rule++) {
            spec s = spec_of(1, 1, 4, 5, 33, 8);
            s.mask = MASK_ONES;
            s.rule = (floyd_mask_rule)rule;
            s.dtype = FLOYD_F64;
            problem p = problem_new(&s);
            int64_t index[5] = {0};
            tensor_fill_normal(&p.t[T_SUM].view, 9, 33, 0.5);
            tensor_fill_normal(&p.t[T_Y].view, 10, 0, 1);
            do tensor_set(&p.t[T_MAX].view, index, tops[i]);
            while (tensor_next(&p.t[T_MAX].view, index));
            run_backward(&p);
            check_backward(&p);
            const double dv = tensor_get(&p.t[T_DV1].view, (const int64_t[5]){0});
            assert_true(i == 0 ? dv != 0 : dv == 0);
            problem_free(&p);
        }
}

static void fill(const floyd_tensor *t, double value)
{
    int64_t index[5] = {0};
    do tensor_set(t, index, value);
    while (tensor_next(t, index));
}

/* Zeros under a mask are set, not computed: statistics that are NaN do not reach them. */
static void test_zero_whatever_statistics_hold(void **state)
{
    static const double bad[] = {NAN, INFINITY, 0};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int dtype = 0; dtype < 4; dtype++) {
            spec s = spec_of(1, 1, 5, 17, 33, 8);
            s.mask = MASK_ONES;
            s.dtype = (floyd_dtype)dtype;
            problem p = problem_new(&s);
            fill(&p.t[T_MAX].view, bad[i]);
            fill(&p.t[T_SUM].view, bad[i]);
            fill(&p.t[T_Y].view, NAN);
            run_backward(&p);
            for (enum role r = T_DQ; r <= T_DV2; r++) {
                int64_t index[5] = {0};
                do assert_true(tensor_get(&p.t[r].view, index) == 0);
                while (tensor_next(&p.t[r].view, index));
            }
            problem_free(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_and_rules),     cmocka_unit_test(test_broadcast_axes),
        cmocka_unit_test(test_masked_tiles),           cmocka_unit_test(test_ragged_padding),
        cmocka_unit_test(test_padding_changes_no_bit), cmocka_unit_test(test_fully_masked_statistics),
        cmocka_unit_test(test_given_max_decides),      cmocka_unit_test(test_zero_whatever_statistics_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
