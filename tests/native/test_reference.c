/* SPDX-License-Identifier: Apache-2.0 */
/* The reference, against values worked out by hand and against itself by finite differences. */
#include "cmocka_all.h"

#include "check.h"
#include "floyd_reference.h"

#include <float.h>
#include <math.h>

static void assert_near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) fail_msg("%.17g is not %.17g", got, want);
}

/* One pair, two pivots, D = 1: S = 0.5 * 2 * (k1 + k2) = {3, 3 + log 3}, so P = {1/4, 3/4}. */
static void test_by_hand(void **state)
{
    (void)state;
    const double q = 2, k1[] = {1, 1}, v1[] = {10, 20}, k2[] = {2, 2 + log(3)}, v2[] = {1, 3};
    double y, max, sum, w, ds, dq, dk1, dv1;
    floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 2, .D = 1, .scale = 0.5};
    p.q = &q, p.k1 = k1, p.v1 = v1, p.k2 = k2, p.v2 = v2;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, &max, &sum);
    assert_near(max, 3 + log(3));
    assert_near(sum, 4.0 / 3);
    assert_near(y, 0.25 * 11 + 0.75 * 23);
    const double dy = 7;
    p.y = &y, p.max = &max, p.sum = &sum, p.dy = &dy;
    floyd_reference_weight(&p, 0, 0, 0, 0, 0, &w, &ds);
    assert_near(w, 0.25);
    assert_near(ds, 0.25 * (7 * 11 - 7 * y) * 0.5);
    floyd_reference_dq(&p, 0, 0, 0, 0, &dq);
    assert_near(dq, ds * (3 - (4 + log(3) - 1)));
    floyd_reference_dk1_dv1(&p, 0, 0, 0, 0, &dk1, &dv1);
    assert_near(dk1, ds * 2);
    assert_near(dv1, 0.25 * 7);
}

static void test_masked_rows(void **state)
{
    (void)state;
    const double q = 1, k[] = {1, 2, 3, 4}, v[] = {1, 2, 3, 6}, dy = 2;
    const uint8_t all[] = {1, 9, 255, 128}, some[] = {0, 1, 0, 2};
    double y, max, sum, w, ds;
    floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 4, .D = 1, .scale = 1, .mask = all};
    p.mask_stride[4] = 1;
    p.q = &q, p.k1 = p.k2 = k, p.v1 = p.v2 = v;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, &max, &sum);
    assert_true(max == -FLT_MAX && sum == 4 && y == 6);
    p.y = &y, p.max = &max, p.sum = &sum, p.dy = &dy;
    floyd_reference_weight(&p, 0, 0, 0, 0, 3, &w, &ds);
    assert_true(w == 0.25 && ds == 0.25 * (24 - 12));
    p.zero_grad = 1;
    floyd_reference_weight(&p, 0, 0, 0, 0, 3, &w, &ds);
    assert_true(w == 0.25 && ds == 0);
    p.mask = some;
    max = sum = NAN;
    floyd_reference_weight(&p, 0, 0, 0, 0, 3, &w, &ds);
    assert_true(w == 0 && ds == 0);
}

static void test_no_pivots_and_nan(void **state)
{
    (void)state;
    const double q = 1, k[] = {1, NAN, 2}, v[] = {1, 1, 1};
    double y = 5, max, sum;
    floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 0, .D = 1, .scale = 1};
    p.q = &q, p.k1 = p.k2 = k, p.v1 = p.v2 = v;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, &max, &sum);
    assert_true(max == -FLT_MAX && sum == 0 && y == 0);
    p.K = 3;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, &max, &sum);
    assert_true(isnan(max) && isnan(sum) && isnan(y));
}

/* Every half value decodes and encodes to itself; halfway cases go to even; the top overflows to inf. */
static void test_half_types(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        const uint16_t bits = (uint16_t)i;
        const double f16 = floyd_reference_from_f16(bits), bf16 = floyd_reference_from_bf16(bits);
        if (!isnan(f16)) assert_int_equal(floyd_reference_to_f16(f16), bits);
        if (!isnan(bf16)) assert_int_equal(floyd_reference_to_bf16(bf16), bits);
        if (isnan(f16)) assert_int_equal(floyd_reference_to_f16(f16), 0x7E00);
        if (isnan(bf16)) assert_int_equal(floyd_reference_to_bf16(bf16), 0x7FC0);
    }
    assert_int_equal(floyd_reference_to_f16(1 + 0x1p-11), 0x3C00);
    assert_int_equal(floyd_reference_to_f16(1 + 0x3p-11), 0x3C02);
    assert_int_equal(floyd_reference_to_f16(1 + 0x1p-11 + 0x1p-40), 0x3C01);
    assert_int_equal(floyd_reference_to_f16(0x1p-25), 0);
    assert_int_equal(floyd_reference_to_f16(0x1.8p-24), 2);
    assert_int_equal(floyd_reference_to_f16(65519.99), 0x7BFF);
    assert_int_equal(floyd_reference_to_f16(65520), 0x7C00);
    assert_int_equal(floyd_reference_to_f16(-1e300), 0xFC00);
    assert_int_equal(floyd_reference_to_bf16(0x1.FEp127), 0x7F7F);
    assert_int_equal(floyd_reference_to_bf16(0x1.FFp127), 0x7F80);
    assert_int_equal(floyd_reference_to_bf16(1 + 0x1p-8), 0x3F80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_hand), cmocka_unit_test(test_masked_rows),
                                       cmocka_unit_test(test_no_pivots_and_nan), cmocka_unit_test(test_half_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
