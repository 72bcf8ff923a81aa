/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backward against finite differences of the library's own forward, in fp64. The loss is
 * sum(Y * dY). A central difference with step h = 1e-5 errs by h^2/6 times a third derivative (of order
 * 10 here: 2e-9) and by the loss's rounding, 1e3 terms * 1e-16 / h = 1e-8; allowed is 1e-7 of the size of
 * the gradient plus one.
 */
#include "cmocka_all.h"

#include "check.h"

#include <math.h>
#include <stdlib.h>

static double loss(problem *p)
{
    double total = 0;
    run_forward(p);
    double *y = tensor_values(&p->t[T_Y].view), *dy = tensor_values(&p->t[T_DY].view);
    for (int64_t i = 0, count = tensor_count(&p->t[T_Y].view); i < count; i++) total += y[i] * dy[i];
    free(y);
    free(dy);
    return total;
}

static double slope(problem *p, const floyd_tensor *t, const int64_t index[5])
{
    const double h = 1e-5, value = tensor_get(t, index);
    tensor_set(t, index, value + h);
    const double above = loss(p);
    tensor_set(t, index, value - h);
    const double below = loss(p);
    tensor_set(t, index, value);
    return (above - below) / (2 * h);
}

static void check_gradients(const spec *s)
{
    static const enum role input[] = {T_Q, T_K1, T_V1, T_K2, T_V2};
    static const enum role gradient[] = {T_DQ, T_DK1, T_DV1, T_DK2, T_DV2};
    problem p = problem_new(s);
    double largest = 0;
    run_forward(&p);
    run_backward(&p);
    for (int g = 0; g < 5; g++) {
        const floyd_tensor *t = &p.t[input[g]].view;
        int64_t index[5] = {0};
        for (int64_t i = 0; i < tensor_count(t); i++, tensor_next(t, index)) {
            if (i % 3) continue;
            const double got = tensor_get(&p.t[gradient[g]].view, index), want = slope(&p, t, index);
            largest = fmax(largest, fabs(got));
            if (!(fabs(got - want) <= 1e-7 * (1 + fabs(want))))
                fail_msg("%s element %d is %.12g, the difference quotient %.12g", role_names[gradient[g]], (int)i,
                         got, want);
        }
    }
    assert_true(largest > 0.1);
    problem_free(&p);
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_masked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
