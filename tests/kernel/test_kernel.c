/* SPDX-License-Identifier: Apache-2.0 */
/* exp, the half types, transposition, the small products and the row functions, against plain code. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backward_tile.h"
#include "floyd_reference.h"
#include "forward_tile.h"

static uint64_t state = 0x9e3779b97f4a7c15u;

static double uniform(double low, double high)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return low + (high - low) * (double)(state >> 11) * 0x1p-53;
}

static real exp_one(real x)
{
    real lane[VL];
    vstore(lane, vexp(vset(x)));
    return lane[VL - 1];
}

/* ---- exp ------------------------------------------------------------------------------------------- */

/* Error in units of the last place of the result; one of a subnormal is the least subnormal. */
static double ulps(real got, long double exact)
{
#ifdef FLOYD_REAL_F64
    const long double ulp = fmaxl(0x1p-1074L, ldexpl(1, ilogbl(exact) - 52));
#else
    const long double ulp = fmaxl(0x1p-149L, ldexpl(1, ilogbl(exact) - 23));
#endif
    return (double)(fabsl((long double)got - exact) / ulp);
}

static void test_exp_error(void **unused)
{
    (void)unused;
#ifdef FLOYD_REAL_F64
    const double low = -745, high = 709.7;
#else
    const double low = -103.9, high = 88.7;
#endif
    double worst = 0;
    for (int i = 0; i < 2000000; i++) {
        const real x = (real)(i % 2 ? uniform(low, high) : uniform(-1.5, 0.5));
        const double error = ulps(exp_one(x), expl((long double)x));
        assert_true(error <= 1.5); /* two roundings in the last steps and the series' 0.1 */
        worst = error > worst ? error : worst;
    }
    print_message("exp: %.3f ulp at most\n", worst);
}

/* One power of two or two: the same bits wherever one is enough. */
static void test_exp_plain(void **unused)
{
    (void)unused;
    for (int i = 0; i < 1000000; i++) {
        const real x = (real)(i % 2 ? uniform(-FLOYD_EXP_PLAIN, FLOYD_EXP_PLAIN)
                                    : (i % 4 ? FLOYD_EXP_PLAIN : -FLOYD_EXP_PLAIN) * (1 - 1e-7 * (i % 1000)));
        real both[2][VL];
        vstore(both[0], vexp(vset(x)));
        vstore(both[1], vexp_plain(vset(x)));
        assert_memory_equal(both[0], both[1], sizeof both[0]);
    }
    const real outside[] = {(real)NAN, (real)INFINITY, -(real)INFINITY, 1000, -1000};
    for (int i = 0; i < 5; i++) {
        vec x[2] = {vset(1), vset(outside[i])};
        vexp_each(2, x);
        real lane[2][VL];
        vstore(lane[0], x[0]), vstore(lane[1], x[1]);
        assert_true(lane[0][0] == exp_one(1));
        assert_true(i == 0 ? isnan(lane[1][0]) : lane[1][0] == exp_one(outside[i]));
    }
}

static void test_exp_special(void **unused)
{
    (void)unused;
    assert_true(exp_one(0) == 1);
    assert_true(exp_one((real)-0.0) == 1);
    assert_true(exp_one(INFINITY) == INFINITY);
    assert_true(exp_one(-INFINITY) == 0);
    assert_true(exp_one((real)FLOYD_EXP_HIGHEST) == INFINITY);
    assert_true(exp_one((real)FLOYD_EXP_LOWEST) == 0);
    assert_true(exp_one((real)3e38) == INFINITY);
    assert_true(exp_one((real)-3e38) == 0);
    assert_true(isnan(exp_one((real)NAN)));
    assert_true(exp_one((real)FLOYD_EXP_LOWEST + 2) > 0); /* subnormal, not flushed */
}

/* ---- the half types --------------------------------------------------------------------------------- */

#ifndef FLOYD_REAL_F64
static int same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b));
}

/* Every half value read, and written back, alone and in lanes. */
static void test_half_exact(void **unused)
{
    (void)unused;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const uint16_t half = (uint16_t)bits;
        uint16_t lanes[VL];
        real wide[VL];
        for (int i = 0; i < VL; i++) lanes[i] = half;
        vstore(wide, vload_f16(lanes));
        assert_true(same((double)wide[VL - 1], floyd_reference_from_f16(half)));
        assert_true(same((double)floyd_f16_to_f32(half), floyd_reference_from_f16(half)));
        vstore(wide, vload_bf16(lanes));
        assert_true(same((double)wide[VL - 1], floyd_reference_from_bf16(half)));
    }
}

static void check_narrowing(float value)
{
    uint16_t f16[VL], bf16[VL];
    const floyd_dtype types[2] = {FLOYD_F16, FLOYD_BF16};
    const uint16_t exact[2] = {floyd_reference_to_f16((double)value), floyd_reference_to_bf16((double)value)};
    store_lanes(f16, FLOYD_F16, 0, vset(value));
    store_lanes(bf16, FLOYD_BF16, 0, vset(value));
    assert_int_equal(f16[VL - 1], exact[0]);
    assert_int_equal(bf16[VL - 1], exact[1]);
    for (int i = 0; i < 2; i++) {
        uint16_t one[2];
        store_one(one, types[i], value);
        assert_int_equal(one[0], exact[i]);
    }
}

/* Around every half value and every midpoint of two, and at random bit patterns. */
static void test_half_rounding(void **unused)
{
    (void)unused;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const float anchors[2] = {floyd_f16_to_f32((uint16_t)bits), floyd_bf16_to_f32((uint16_t)bits)};
        for (int i = 0; i < 2; i++) {
            if (isnan(anchors[i]) || isinf(anchors[i])) continue;
            const uint32_t at = floyd_f32_bits(anchors[i]), half_step = i == 0 ? 0x1000u : 0x8000u;
            check_narrowing(anchors[i]);
            for (uint32_t step = half_step - 1; step <= half_step + 1; step++)
                check_narrowing(floyd_f32_from_bits(at + step));
        }
    }
    for (int i = 0; i < 500000; i++) {
        const float value = floyd_f32_from_bits((uint32_t)uniform(0, 4294967296.0));
        if (!isnan(value)) check_narrowing(value);
    }
    check_narrowing(INFINITY);
    check_narrowing(-INFINITY);
    uint16_t quiet[VL];
    store_lanes(quiet, FLOYD_F16, 0, vset(-(float)NAN));
    assert_int_equal(quiet[0], 0x7e00);
    store_lanes(quiet, FLOYD_BF16, 0, vset(-(float)NAN));
    assert_int_equal(quiet[0], 0x7fc0);
}
#endif

/* ---- shapes ------------------------------------------------------------------------------------------ */

static void test_transpose(void **unused)
{
    (void)unused;
    real from[VL * 20], to[VL * 24];
    for (int i = 0; i < VL * 20; i++) from[i] = (real)i;
    vtranspose(from, 20, to, 24);
    for (int r = 0; r < VL; r++)
        for (int c = 0; c < VL; c++) assert_true(to[c * 24 + r] == from[r * 20 + c]);
}

/* Lane i sums what has index i modulo SUM_LANES, in order, and lanes fold in halves. */
static void test_fold(void **unused)
{
    (void)unused;
    enum { VECTORS = 3 };
    real lane[VL * VECTORS], sum[SUM_LANES] = {0};
    vsum total = vsum_zero();
    for (int i = 0; i < VL * VECTORS; i++) lane[i] = (real)uniform(-1, 1), sum[i % SUM_LANES] += lane[i];
    for (int i = 0; i < VECTORS; i++) total = vsum_add(total, vload(lane + i * VL));
    for (int half = SUM_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sum[i] += sum[i + half];
    assert_true(vsum_fold(total) == sum[0]);
    for (int i = 0; i < VL; i++) {
        lane[i] = (real)1000;
        assert_true(vfold_max(vload(lane)) == 1000);
        lane[i] = (real)(i - 300);
    }
}

enum { MOST = 40, PAD_TO = 48 };

/*
 * One product, both layouts of A, onto zeros and onto what is there, with another matrix added and without, while
 * the next operands are asked for and not; rows and columns beyond stay as they were.
 */
static void check_product(int rows, int columns, int depth, int kind)
{
    static real a[MOST * PAD_TO], b[MOST * PAD_TO], c[MOST * PAD_TO], before[MOST * PAD_TO], also[MOST * PAD_TO];
    const int by_column = kind & 1, accumulate = kind >> 1 & 1, added = kind >> 2 & 1;
    for (int i = 0; i < MOST * PAD_TO; i++) {
        a[i] = (real)uniform(-1, 1), b[i] = (real)uniform(-1, 1), also[i] = (real)uniform(-1, 1);
        before[i] = c[i] = (real)uniform(-1, 1);
    }
    ahead_list next = {0};
    ahead_add(&next, a, 0, 1, sizeof a);
    ahead_add(&next, b, PAD_TO * sizeof(real), MOST, 100);
    const gemm product = {.rows = rows,
                          .columns = columns,
                          .depth = depth,
                          .a = a,
                          .a_row = by_column ? 1 : PAD_TO,
                          .a_depth = by_column ? PAD_TO : 1,
                          .b = b,
                          .ldb = PAD_TO,
                          .c = c,
                          .ldc = PAD_TO,
                          .also = added ? also : NULL,
                          .ld_also = PAD_TO,
                          .accumulate = accumulate,
                          .ahead = kind >> 3 & 1 ? &next : NULL};
    gemm_run(&product);
    const double eps = sizeof(real) == 4 ? 0x1p-24 : 0x1p-53;
    for (int i = 0; i < MOST; i++)
        for (int j = 0; j < PAD_TO; j++) {
            const int inside = i < rows && j < columns;
            long double exact = !inside || accumulate ? (long double)before[i * PAD_TO + j] : 0,
                        size = fabsl(exact);
            if (inside && added)
                exact += (long double)also[i * PAD_TO + j], size += fabsl((long double)also[i * PAD_TO + j]);
            for (int p = 0; inside && p < depth; p++) {
                const long double term =
                    (long double)a[i * product.a_row + p * product.a_depth] * (long double)b[p * PAD_TO + j];
                exact += term, size += fabsl(term);
            }
            /* Each of the depth steps rounds once (twice without fused multiply-add), relative to at most size. */
            const double allowed = inside ? 2 * (depth + 2) * eps * (double)size : 0;
            assert_true(fabs((double)((long double)c[i * PAD_TO + j] - exact)) <= allowed);
        }
}

static void test_products(void **unused)
{
    (void)unused;
    for (int rows = 1; rows <= 33; rows++)
        for (int columns = VL; columns <= PAD_TO; columns += VL)
            for (int depth = 0; depth <= MOST; depth += depth < 9 ? 1 : 31)
                for (int kind = 0; kind < 16; kind++) check_product(rows, columns, depth, kind);
}

/* A tile that adds nothing and one that is skipped leave the same bits, the sign of zero included. */
static void test_merge_nothing(void **unused)
{
    (void)unused;
    real stored[2][PAD_TO], out[2][PAD_TO], tile[PAD_TO] = {0};
    for (int i = 0; i < PAD_TO; i++) stored[0][i] = stored[1][i] = i % 3 ? (real)uniform(-1, 1) : (real)-0.0;
    for (int skipped = 0; skipped < 2; skipped++) {
        const floyd_view acc = {stored[skipped], FLOYD_REAL_DTYPE, 0, PAD_TO, 1};
        const floyd_view to = {out[skipped], FLOYD_REAL_DTYPE, 0, PAD_TO, 1};
        const floyd_target middle = {.acc = acc, .out = to}, last = {.acc = acc, .out = to, .last = 1};
        merge_image(&middle, 0, skipped ? NULL : tile, PAD_TO, 1, PAD_TO - 3);
        merge_image(&last, 0, skipped ? NULL : tile, PAD_TO, 1, PAD_TO - 3);
    }
    assert_memory_equal(out[0], out[1], (PAD_TO - 3) * sizeof(real));
}

int main(void)
{
    if (strcmp(FLOYD_TEST_ISA, "portable") != 0) {
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 77;
        if (strcmp(FLOYD_TEST_ISA, "avx512") == 0 && !__builtin_cpu_supports("avx512vbmi")) return 77;
#endif
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_error),     cmocka_unit_test(test_exp_plain),
        cmocka_unit_test(test_exp_special),   cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_fold),          cmocka_unit_test(test_products),
        cmocka_unit_test(test_merge_nothing),
#ifndef FLOYD_REAL_F64
        cmocka_unit_test(test_half_exact),    cmocka_unit_test(test_half_rounding),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
