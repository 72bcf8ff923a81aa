/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NaN and infinities in every input: they go where IEEE 754 and the formula take them, and nowhere else. The
 * reference computes in double with the same infinities, and check.h wants each element to be of its kind.
 */
#include "cmocka_all.h"

#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double no_numbers[] = {NAN, INFINITY, -INFINITY};

static void put(problem *p, enum role r, int64_t i0, int64_t i1, int64_t i2, int64_t i3, int64_t i4, double value)
{
    tensor_set(&p->t[r].view, (const int64_t[5]){i0, i1, i2, i3, i4}, value);
}

static int is_pair_nk(enum role r)
{
    return r == T_K1 || r == T_V1 || r == T_DK1 || r == T_DV1;
}

/* One that is no number in K or V of row n = 3 or column m = 5, in pivot k. */
static void put_at_pivot(problem *p, enum role r, int64_t k, double value)
{
    put(p, r, 0, 0, is_pair_nk(r) ? 3 : k, is_pair_nk(r) ? k : 5, 2, value);
}

/* One query that is no number reaches its own row, and the sums over it. */
static void test_query(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * 4 * 2; i++) {
        spec s = spec_of(1, 1, 9, 19, 37, 8);
        s.dtype = (floyd_dtype)(i % 4);
        s.mask = i / 12 ? MASK_ROWS : MASK_NONE;
        problem p = problem_new(&s);
        put(&p, T_Q, 0, 0, 4, 7, 3, no_numbers[i / 4 % 3]);
        run_and_check_problem(&p);
        if (s.mask == MASK_NONE)
            assert_true(isnan(tensor_get(&p.t[T_MAX].view, (const int64_t[5]){0, 0, 4, 7, 0})));
        problem_free(&p);
    }
}

/* One key or value reaches the rows that see it, wherever in the order of the pivots it stands. */
static void test_pivot(void **state)
{
    (void)state;
    for (int k = 0; k < 70; k += 23)
        for (enum role r = T_K1; r <= T_V2; r++)
            for (int dtype = 0; dtype < 4; dtype++) {
                spec s = spec_of(1, 1, 6, 18, 70, 8);
                s.dtype = (floyd_dtype)dtype;
                s.threads = 1 + k % 2;
                problem p = problem_new(&s);
                put_at_pivot(&p, r, k, no_numbers[(k / 23 + (int)r + dtype) % 3]);
                run_and_check_problem(&p);
                problem_free(&p);
            }
}

/*
 * Keys that score -inf: beside others they weigh nothing, and the row stays a number; where a row sees no others,
 * it is exp(-inf + inf).
 */
static void test_scores_of_minus_infinity(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int64_t step = 1; step <= 3; step += 2) { /* all pivots, or every third */
            spec s = spec_of(1, 1, 6, 18, 70, 8);
            s.dtype = (floyd_dtype)dtype;
            problem p = problem_new(&s);
            for (int64_t m = 0; m < s.M; m++) put(&p, T_Q, 0, 0, 3, m, 2, 1);
            for (int64_t k = 0; k < s.K; k += step) put(&p, T_K1, 0, 0, 3, k, 2, -INFINITY);
            run_and_check_problem(&p);
            problem_free(&p);
        }
}

/* An infinite V gives infinite or NaN Y where the formula does. */
static void test_infinite_value(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        spec s = spec_of(1, 1, 5, 17, 20, 8);
        s.dtype = (floyd_dtype)dtype;
        problem p = problem_new(&s);
        put(&p, T_V1, 0, 0, 2, 7, 1, INFINITY);
        put(&p, T_V1, 0, 0, 3, 7, 1, INFINITY);
        put(&p, T_V1, 0, 0, 3, 9, 1, -INFINITY);
        run_forward(&p);
        check_forward(&p);
        assert_true(tensor_get(&p.t[T_Y].view, (const int64_t[5]){0, 0, 2, 3, 1}) == INFINITY);
        assert_true(isnan(tensor_get(&p.t[T_Y].view, (const int64_t[5]){0, 0, 3, 3, 1})));
        problem_free(&p);
    }
}

/* The scale is an input, too; a row that is masked throughout does not see it. */
static void test_scale(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * 4; i++) {
        spec s = spec_of(1, 1, 6, 18, 37, 8);
        s.dtype = (floyd_dtype)(i % 4);
        s.scale = no_numbers[i / 4];
        s.mask = MASK_ROWS;
        problem p = problem_new(&s);
        run_and_check_problem(&p);
        problem_free(&p);
    }
}

/* The backward takes Y, max and sum as given: what is no number there reaches its row, and the sums over it. */
static void test_given_rows(void **state)
{
    static const enum role given[] = {T_Y, T_MAX, T_SUM, T_DY};
    static const double values[] = {NAN, INFINITY, -INFINITY, 0, -1};
    (void)state;
    for (int i = 0; i < 4 * 4 * 5; i++) {
        spec s = spec_of(1, 1, 9, 19, 37, 8);
        s.dtype = (floyd_dtype)(i % 4);
        s.mask = i / 20 % 2 ? MASK_RANDOM : MASK_NONE;
        problem p = problem_new(&s);
        store_reference_forward(&p);
        put(&p, given[i / 4 % 4], 0, 0, 4, 7, 0, values[i / 16]);
        run_backward(&p);
        check_backward(&p);
        problem_free(&p);
    }
}

/* Fails unless every element of these roles is the same in both, but for those of this row n or this column m. */
static void expect_same_but(const problem *a, const problem *b, unsigned roles, int axis, int64_t but)
{
    for (enum role r = T_Y; r < ROLES; r++) {
        const floyd_tensor *t = &a->t[r].view;
        int64_t i[5] = {0};
        if (!(roles >> r & 1)) continue;
        do
            if (i[axis] != but && tensor_bits(t, i) != tensor_bits(&b->t[r].view, i))
                fail_msg("%s[0,0,%d,%d,%d] is %g beside %g", role_names[r], (int)i[2], (int)i[3], (int)i[4],
                         tensor_get(t, i), tensor_get(&b->t[r].view, i));
        while (tensor_next(t, i));
    }
}

/* A problem with this value in K or V at pivot 40, which is masked wherever it would be seen. */
static problem with_hidden(const spec *s, enum role r, double value)
{
    problem p = problem_new(s);
    for (int64_t n = 0; n < s->N; n++)
        if (n == 3 || !is_pair_nk(r)) put(&p, T_MASK, 0, 0, n, 0, 40, 1);
    put_at_pivot(&p, r, 40, value);
    run_forward(&p);
    run_backward(&p);
    return p;
}

static void check_hidden(spec s, enum role r, double value)
{
    const unsigned edge = is_pair_nk(r) ? 1u << T_DK1 | 1u << T_DV1 : 1u << T_DK2 | 1u << T_DV2;
    s.threads = 1;
    problem zero = with_hidden(&s, r, 0), one = with_hidden(&s, r, value);
    s.threads = 3;
    problem two = with_hidden(&s, r, value);
    expect_same_bits(&one, &two, FORWARD_OUTPUTS | EDGE_GRADIENTS, "values under a mask");
    expect_same_but(&one, &zero, FORWARD_OUTPUTS | 1u << T_DQ | edge, is_pair_nk(r) ? 2 : 3, is_pair_nk(r) ? 3 : 5);
    problem_free(&zero);
    problem_free(&one);
    problem_free(&two);
}

/* What the mask hides may reach the rows that hide it, in the same way at each run; all others have the bits of 0.
 */
static void test_hidden_by_mask(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * 4; i++)
        for (enum role r = T_K1; r <= T_V2; r++) {
            static const enum mask_kind masks[] = {MASK_ZERO, MASK_RANDOM, MASK_PADDING};
            spec s = spec_of(1, 1, 6, 18, 48, 8);
            s.dtype = (floyd_dtype)(i % 4);
            s.mask = masks[i / 4];
            check_hidden(s, r, no_numbers[(i + i / 4 + (int)r) % 3]);
        }
}

/* Values whose sum overflows under a mask, before a row's first pivot that it sees, or in the state that it carries
 * on. */
static void test_sums_under_a_mask(void **state)
{
    (void)state;
    static const floyd_dtype dtypes[] = {FLOYD_F32, FLOYD_F64, FLOYD_BF16};
    static const double large[] = {1e37, 1e307, 1e37};
    for (int i = 0; i < 3 * 3; i++) {
        spec s = spec_of(1, 1, 3, 5, 96, 8);
        s.dtype = dtypes[i % 3];
        s.wide = 1u << T_Y;
        s.mask_fill = i / 3 == 1 ? -1e9 : 0; /* FloydNet's own */
        s.mask = MASK_ZERO;
        problem p = problem_new(&s);
        for (int64_t k = 0; k < 48; k++) {
            put(&p, T_MASK, 0, 0, 1, 0, k, 1);
            for (int64_t d = 0; d < s.D; d++) put(&p, T_V1, 0, 0, 1, k, d, large[i % 3]);
        }
        if (i / 3 == 2) { /* a state of nothing but masked pivots */
            for (enum role r = T_Y; r <= T_SUM; r++) {
                int64_t at[5] = {0};
                do tensor_set(&p.t[r].view, at, r == T_Y ? large[i % 3] : r == T_MAX ? -(double)FLT_MAX : 100);
                while (tensor_next(&p.t[r].view, at));
            }
            floyd_forward_args args = forward_args(&p, FORWARD_OUTPUTS);
            args.carry = 1;
            assert_int_equal(run_forward_args(&args, NULL), FLOYD_OK);
            check_forward(&p);
        } else {
            run_and_check_problem(&p);
        }
        problem_free(&p);
    }
}

/* Gradients in a type that may be stored: the accumulators of add. */
static problem stored_gradients(floyd_dtype dtype, double value, int threads)
{
    spec s = spec_of(1, 1, 6, 18, 37, 8);
    s.dtype = dtype;
    s.wide = EDGE_GRADIENTS;
    s.threads = threads;
    problem p = problem_new(&s);
    run_forward(&p);
    floyd_backward_args args = backward_args(&p, EDGE_GRADIENTS);
    for (enum role r = T_DQ; r <= T_DV2; r++) {
        tensor_fill_normal(&p.t[r].view, 200 + r, 0, 1);
        put(&p, r, 0, 0, 3, 5, 2, value);
    }
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = threads;
    args.add = 1;
    assert_int_equal(run_backward_args(&args, &options), FLOYD_OK);
    return p;
}

/* A stored accumulator that is no number stays what it is, and the others the numbers that they are. */
static void test_accumulators(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * 4; i++) {
        const double value = no_numbers[i / 4];
        problem plain = stored_gradients((floyd_dtype)(i % 4), 1, 1),
                p = stored_gradients((floyd_dtype)(i % 4), value, 2);
        for (enum role r = T_DQ; r <= T_DV2; r++) {
            const int64_t at[5] = {0, 0, 3, 5, 2};
            const double got = tensor_get(&p.t[r].view, at);
            assert_true(isnan(value) ? isnan(got) : got == value);
            tensor_set(&p.t[r].view, at, tensor_get(&plain.t[r].view, at));
        }
        expect_same_bits(&plain, &p, EDGE_GRADIENTS, "the other accumulators");
        problem_free(&plain);
        problem_free(&p);
    }
}

/* A carried forward over all pivots, from the state of a first one in which one element has this value. */
static problem carried(floyd_dtype dtype, enum role r, double value)
{
    spec s = spec_of(1, 1, 6, 18, 37, 8);
    s.dtype = dtype;
    s.wide = 1u << T_Y;
    problem p = problem_new(&s);
    run_forward(&p);
    floyd_forward_args args = forward_args(&p, FORWARD_OUTPUTS);
    put(&p, r, 0, 0, 3, 5, 0, value);
    args.carry = 1;
    assert_int_equal(run_forward_args(&args, NULL), FLOYD_OK);
    return p;
}

/* A carried state that is no number reaches its own row alone: a NaN makes it NaN, an infinite Y stays what it is.
 */
static void test_carried_state(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * 4; i++)
        for (enum role r = T_Y; r <= T_SUM; r++) {
            const double value = no_numbers[i / 4];
            problem plain = carried((floyd_dtype)(i % 4), r, 0.5), p = carried((floyd_dtype)(i % 4), r, value);
            const int64_t row[5] = {0, 0, 3, 5, 0};
            if (isnan(value)) assert_true(isnan(tensor_get(&p.t[T_Y].view, row)));
            if (r == T_Y && isinf(value)) assert_true(tensor_get(&p.t[T_Y].view, row) == value);
            for (enum role o = T_Y; o <= T_SUM; o++)
                for (int64_t d = 0; d < p.t[o].view.size[4]; d++) {
                    const int64_t at[5] = {0, 0, 3, 5, d};
                    if (r == T_Y && (o != T_Y || d > 0))
                        continue; /* one element of Y is all that its own reaches */
                    tensor_set(&p.t[o].view, at, tensor_get(&plain.t[o].view, at));
                }
            expect_same_bits(&plain, &p, FORWARD_OUTPUTS, "other rows");
            problem_free(&plain);
            problem_free(&p);
        }
}

/* NaN, infinities and numbers in a bias, under a mask: the same bits of everything. */
static void test_bias_hidden_by_mask(void **state)
{
    static const double hidden[] = {NAN, INFINITY, -INFINITY, 7};
    (void)state;
    for (int i = 0; i < 16; i++) {
        spec s = spec_of(1, 2, 6, 18, 53, 8);
        add_extras(&s, i / 4 % 2 ? EXTRAS : EXTRAS & ~FILL);
        s.mask = MASK_ROWS;
        s.rule = (floyd_mask_rule)(i / 8);
        s.dtype = (floyd_dtype)(i % 4);
        problem zeros = problem_new(&s), other = problem_new(&s);
        tensor full = mask_expanded(&zeros);
        int64_t index[5] = {0};
        do {
            if (tensor_get(&full.view, index) == 0) continue;
            tensor_set(&zeros.t[T_BIAS].view, index, 0);
            tensor_set(&other.t[T_BIAS].view, index, hidden[(index[2] + index[4]) % 4]);
        } while (tensor_next(&full.view, index));
        run_forward(&zeros);
        run_forward(&other);
        run_backward(&zeros);
        run_backward(&other);
        check_backward(&zeros);
        expect_same_bits(&zeros, &other, FORWARD_OUTPUTS | GRADIENTS, "a bias under a mask");
        tensor_free(&full);
        problem_free(&zeros);
        problem_free(&other);
    }
}

/* Where dS of fully masked rows is to be 0, a key that is no number gives the cap no slope to spoil it with. */
static void test_key_in_masked_rows(void **state)
{
    static const enum role zero[] = {T_DK1, T_DK2, T_DBIAS};
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int i = 0; i < 3; i++) {
            spec s = spec_of(1, 1, 6, 18, 53, 8);
            add_extras(&s, EXTRAS);
            s.mask = MASK_ONES;
            s.rule = FLOYD_MASK_ZERO_GRAD;
            s.dtype = (floyd_dtype)dtype;
            problem p = problem_new(&s);
            put(&p, T_K1, 0, 0, 3, 40, 2, no_numbers[i]);
            put(&p, T_K2, 0, 0, 7, 5, 2, no_numbers[i]);
            run_forward(&p);
            run_backward(&p);
            for (int r = 0; r < 3; r++) {
                int64_t index[5] = {0};
                do assert_true(tensor_get(&p.t[zero[r]].view, index) == 0);
                while (tensor_next(&p.t[zero[r]].view, index));
            }
            problem_free(&p);
        }
}

/* A NaN or an infinity in a bias reaches what the formula says. */
static void test_bias_that_is_no_number(void **state)
{
    static const double values[] = {NAN, INFINITY, -INFINITY, 1e30};
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int i = 0; i < 4; i++)
            for (int64_t k = 0; k < 70; k += 23) {
                spec s = spec_of(1, 1, 6, 18, 70, 8);
                add_extras(&s, CAP | BIAS | DBIAS);
                s.dtype = (floyd_dtype)dtype;
                problem p = problem_new(&s);
                put(&p, T_BIAS, 0, 0, 4, 7, k, values[i]);
                run_and_check_problem(&p);
                problem_free(&p);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_query),
                                       cmocka_unit_test(test_pivot),
                                       cmocka_unit_test(test_scores_of_minus_infinity),
                                       cmocka_unit_test(test_infinite_value),
                                       cmocka_unit_test(test_scale),
                                       cmocka_unit_test(test_given_rows),
                                       cmocka_unit_test(test_hidden_by_mask),
                                       cmocka_unit_test(test_sums_under_a_mask),
                                       cmocka_unit_test(test_accumulators),
                                       cmocka_unit_test(test_carried_state),
                                       cmocka_unit_test(test_bias_hidden_by_mask),
                                       cmocka_unit_test(test_key_in_masked_rows),
                                       cmocka_unit_test(test_bias_that_is_no_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
