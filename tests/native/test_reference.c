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

/* P and dS of pivot k of the first pair. */
static void expect_at(const floyd_reference *p, int64_t k, double weight, double dscore)
{
    const floyd_reference_position x = floyd_reference_at(p, 0, 0, 0, 0, k);
    assert_near(x.weight, weight);
    assert_near(x.dscore, dscore);
}

/* One pair, two pivots, D = 1: S = 0.5 * 2 * (k1 + k2) = {3, 3 + log 3}, so P = {1/4, 3/4}. */
static void test_by_hand(void **state)
{
    (void)state;
    const double q = 2, k1[] = {1, 1}, v1[] = {10, 20}, k2[] = {2, 2 + log(3)}, v2[] = {1, 3};
    double y, max, sum, dq, dk1, dv1;
    floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 2, .D = 1, .scale = 0.5};
    p.q = &q, p.k1 = k1, p.v1 = v1, p.k2 = k2, p.v2 = v2;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, &max, &sum);
    assert_near(max, 3 + log(3));
    assert_near(sum, 4.0 / 3);
    assert_near(y, 0.25 * 11 + 0.75 * 23);
    const double dy = 7;
    p.y = &y, p.max = &max, p.sum = &sum, p.dy = &dy;
    const double ds = 0.25 * (7 * 11 - 7 * y) * 0.5;
    expect_at(&p, 0, 0.25, ds);
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
    double y, max, sum;
    floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 4, .D = 1, .scale = 1, .mask = all};
    p.mask_stride[4] = 1;
    p.q = &q, p.k1 = p.k2 = k, p.v1 = p.v2 = v;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, &max, &sum);
    assert_true(max == -FLT_MAX && sum == 4 && y == 6);
    p.y = &y, p.max = &max, p.sum = &sum, p.dy = &dy;
    expect_at(&p, 3, 0.25, 0.25 * (24 - 12));
    p.zero_grad = 1;
    expect_at(&p, 3, 0.25, 0);
    p.mask = some;
    max = sum = NAN;
    expect_at(&p, 3, 0, 0);
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

/* The vectors that are published with the Random123 library. */
static void test_philox(void **state)
{
    static const uint32_t vectors[][10] = {{0, 0, 0, 0, 0, 0, 0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8},
                                           {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF,
                                            0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD},
                                           {0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0,
                                            0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}};
    (void)state;
    for (int i = 0; i < 3; i++) {
        uint32_t words[4];
        floyd_reference_philox(vectors[i], vectors[i] + 4, words);
        assert_memory_equal(words, vectors[i] + 6, sizeof words);
    }
}

/* One pair, scores {0, 2} and 2, of which the last is masked: cap, bias and fill in their order. */
static void test_scores_by_hand(void **state)
{
    (void)state;
    const double q = 1, k1[] = {0, 2, 2}, k2[] = {0, 0, 0}, v1[] = {1, 2, 4}, dy = 3;
    const double bias[] = {0.5, -1, 100}, s[] = {0.5, 1.5 * tanh(2 / 1.5) - 1, -2};
    const uint8_t mask[] = {0, 0, 1};
    double y, max, sum, dbias[3];
    floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 3, .D = 1, .scale = 1, .mask = mask, .bias = bias};
    p.mask_stride[4] = p.bias_stride[4] = 1;
    p.softmax_cap = 1.5, p.mask_fill = -2;
    p.q = &q, p.k1 = k1, p.k2 = k2, p.v1 = v1, p.v2 = k2;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, &max, &sum);
    assert_near(max, 0.5);
    assert_near(sum, exp(s[0] - max) + exp(s[1] - max) + exp(s[2] - max));
    assert_near(y, (exp(s[0] - max) + 2 * exp(s[1] - max) + 4 * exp(s[2] - max)) / sum);
    p.y = &y, p.max = &max, p.sum = &sum, p.dy = &dy;
    const double slope = 1 - tanh(2 / 1.5) * tanh(2 / 1.5);
    floyd_reference_dbias(&p, (const int64_t[5]){1, 1, 1, 1, 3}, dbias);
    for (int k = 0; k < 3; k++) {
        const double weight = exp(s[k] - max) / sum;
        assert_near(dbias[k], weight * (3 * v1[k] - 3 * y));
        expect_at(&p, k, weight, dbias[k] * (k ? slope : 1));
    }
    p.zero_grad = 1;
    expect_at(&p, 2, exp(s[2] - max) / sum, 0);
    floyd_reference_dbias(&p, (const int64_t[5]){1, 1, 1, 1, 1}, dbias + 2);
    assert_near(dbias[2], dbias[0] + dbias[1]);
}

/* Above T a masked pivot weighs exactly 0; up to T exp() says what it weighs. A sum of NaN tells one from the
 * other. */
static void test_limit_of_masked_rows(void **state)
{
    static const double fills[][2] = {{0, -(double)FLT_MAX / 2}, {-1e9, -5e8}, {-5, 745}, {5, 755}, {-1500, -750}};
    (void)state;
    const double q = 0, zero = 0, sum = NAN;
    const uint8_t mask = 1;
    for (int i = 0; i < 5; i++)
        for (int above = 0; above < 2; above++) {
            const double max = above ? nextafter(fills[i][1], INFINITY) : fills[i][1];
            floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 1, .D = 1, .scale = 1, .mask = &mask};
            p.q = &q, p.k1 = p.k2 = p.v1 = p.v2 = p.y = p.dy = &zero, p.max = &max, p.sum = &sum;
            p.mask_fill = fills[i][0];
            const double weight = floyd_reference_at(&p, 0, 0, 0, 0, 0).weight;
            assert_true(above ? weight == 0 : isnan(weight));
        }
}

/* Which weights are kept, straight from the words; of kept ones each counts 1 / (1 - dropout). */
static void test_dropout_by_hand(void **state)
{
    (void)state;
    const double q = 0, zeros[6] = {0}, v1[] = {1, 10, 100, 1000, 1e4, 1e5};
    const uint32_t key[] = {0x89ABCDEF, 0x01234567};
    uint32_t words[8];
    double y, want = 0;
    for (uint32_t i = 0; i < 2; i++) floyd_reference_philox((const uint32_t[4]){i, 0, 0, 0}, key, words + 4 * i);
    floyd_reference p = {.B = 1, .H = 1, .N = 1, .M = 1, .K = 6, .D = 1, .scale = 1};
    p.q = &q, p.k1 = p.k2 = p.v2 = zeros, p.v1 = v1;
    p.dropout = 0.25, p.seed = UINT64_C(0x0123456789ABCDEF);
    for (int k = 0; k < 6; k++) want += words[k] >= 0x40000000u ? v1[k] / 6 / 0.75 : 0;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, NULL, NULL);
    assert_near(y, want);
    p.dropout = 1;
    floyd_reference_row(&p, 0, 0, 0, 0, &y, NULL, NULL);
    assert_true(y == 0);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_hand),
                                       cmocka_unit_test(test_masked_rows),
                                       cmocka_unit_test(test_no_pivots_and_nan),
                                       cmocka_unit_test(test_half_types),
                                       cmocka_unit_test(test_philox),
                                       cmocka_unit_test(test_scores_by_hand),
                                       cmocka_unit_test(test_limit_of_masked_rows),
                                       cmocka_unit_test(test_dropout_by_hand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
