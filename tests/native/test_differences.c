/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backward against finite differences of the same operator's forward, in fp64: of the library, and of the
 * reference. The loss is sum(Y * dY). A central difference with step h = 1e-5 errs by h^2/6 times a third
 * derivative (of order 10 here: 2e-9) and by the loss's rounding, 1e3 terms * 1e-16 / h = 1e-8; allowed is 1e-7 of
 * the size of the gradient plus one.
 */
#include "cmocka_all.h"

#include "check.h"
#include "golden.h"

#include <math.h>
#include <stdlib.h>

typedef struct operator
{
    void (*forward)(problem * p), (*backward)(problem * p);
}
operator;

static void reference_backward(problem *p)
{
    golden g = golden_backward(p);
    for (enum role r = T_DQ; r < ROLES; r++)
        if (g.value[r]) tensor_assign(&p->t[r].view, g.value[r]);
    golden_free(&g);
}

static const operator operators[] = {{run_forward, run_backward}, {store_reference_forward, reference_backward}};

static double loss(const operator* o, problem *p)
{
    double total = 0;
    o->forward(p);
    double *y = tensor_values(&p->t[T_Y].view), *dy = tensor_values(&p->t[T_DY].view);
    for (int64_t i = 0, count = tensor_count(&p->t[T_Y].view); i < count; i++) total += y[i] * dy[i];
    free(y);
    free(dy);
    return total;
}

static double slope(const operator* o, problem *p, const floyd_tensor *t, const int64_t index[5])
{
    const double h = 1e-5, value = tensor_get(t, index);
    tensor_set(t, index, value + h);
    const double above = loss(o, p);
    tensor_set(t, index, value - h);
    const double below = loss(o, p);
    tensor_set(t, index, value);
    return (above - below) / (2 * h);
}

/* Every third element; returns the largest. */
static double check_gradient(const operator* o, problem *p, enum role input, enum role gradient)
{
    const floyd_tensor *t = &p->t[input].view;
    double largest = 0;
    int64_t index[5] = {0};
    for (int64_t i = 0, count = tensor_count(t); i < count; i++, tensor_next(t, index)) {
        if (i % 3 || isinf(tensor_get(t, index))) continue;
        const double got = tensor_get(&p->t[gradient].view, index), want = slope(o, p, t, index);
        largest = fmax(largest, fabs(got));
        if (!(fabs(got - want) <= 1e-7 * (1 + fabs(want))))
            fail_msg("%s of the %s, element %d is %.12g, the difference quotient %.12g", role_names[gradient],
                     o == operators ? "library" : "reference", (int)i, got, want);
    }
    return largest;
}

static void check_gradients(const spec *s)
{
    static const enum role input[] = {T_Q, T_K1, T_V1, T_K2, T_V2, T_BIAS};
    static const enum role gradient[] = {T_DQ, T_DK1, T_DV1, T_DK2, T_DV2, T_DBIAS};
    for (int i = 0; i < 2; i++) {
        problem p = problem_new(s);
        double largest = 0;
        operators[i].forward(&p);
        operators[i].backward(&p);
        for (int g = 0; g < 6; g++)
            if (p.t[gradient[g]].block)
                largest = fmax(largest, check_gradient(&operators[i], &p, input[g], gradient[g]));
        assert_true(largest > 0.1);
        problem_free(&p);
    }
}

static void test_plain(void **state)
{
    (void)state;
    spec s = spec_of(1, 2, 4, 5, 6, 3);
    s.dtype = FLOYD_F64;
    check_gradients(&s);
    s.scale = -1.3;
    s.seed = 2;
    check_gradients(&s);
}

/* Where no row is masked whole both rules are the derivative; where one is, that of masked_fill is. */
static void test_masked(void **state)
{
    (void)state;
    spec s = spec_of(2, 1, 4, 5, 7, 3);
    s.dtype = FLOYD_F64;
    s.mask = MASK_RANDOM;
    check_gradients(&s);
    s.mask = MASK_ROWS;
    s.rule = FLOYD_MASK_ZERO_GRAD;
    check_gradients(&s);
}

/* Each of the things that may be done to scores and weights, and all of them with a mask. */
static void test_scores(void **state)
{
    (void)state;
    for (unsigned on = 1; on < 16; on++) {
        spec s = spec_of(2, 1, 4, 5, 7, 3);
        s.dtype = FLOYD_F64;
        s.scale = 0.7;
        if (on & 1) s.softmax_cap = 1.5;
        if (on & 2) s.bias = on & 1 ? BIAS_HOLES : BIAS_NORMAL, s.dbias = 1;
        if (on & 4) s.dropout = 0.3;
        if (on & 8) s.mask = MASK_ROWS, s.rule = FLOYD_MASK_ZERO_GRAD, s.mask_fill = on & 2 ? -5 : -1e9;
        s.bias_axes = s.dbias_axes = on == 15 ? AXES_FULL : 31 ^ (on * 7 & 31);
        check_gradients(&s);
    }
}

/* A gradient may be asked for where there is no bias: it is that of a bias of zeros. */
static void test_gradient_of_no_bias(void **state)
{
    (void)state;
    spec s = spec_of(2, 1, 4, 5, 7, 3);
    s.dtype = FLOYD_F64;
    s.softmax_cap = 2;
    s.dbias = 1;
    problem without = problem_new(&s);
    s.bias = BIAS_ZERO;
    check_gradients(&s);
    problem with = problem_new(&s);
    for (int i = 0; i < 2; i++) {
        operators[i].forward(&without);
        operators[i].backward(&without);
        operators[i].forward(&with);
        operators[i].backward(&with);
        expect_same_bits(&with, &without, GRADIENTS, "no bias");
    }
    problem_free(&with);
    problem_free(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_masked),
                                       cmocka_unit_test(test_scores), cmocka_unit_test(test_gradient_of_no_bias)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
