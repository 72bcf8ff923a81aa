/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which weights dropout keeps. With Q = 0 every weight is 1/K, and with V1[n,k] = K where d = k, else 0, Y[n,m,k]
 * is keep / (1 - dropout): so one forward shows every decision.
 */
#include "cmocka_all.h"

#include "check.h"
#include "floyd_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, H = 3, N = 13, M = 26, K = 101, DRAWS = B * H * N * M * K }; /* more than 2e5 */

typedef struct decisions {
    unsigned char kept[DRAWS]; /* [B,H,N,M,K] */
} decisions;

static decisions *decide(double dropout, uint64_t seed, int threads)
{
    spec s = spec_of(B, H, N, M, K, K);
    s.dropout = dropout;
    s.dropout_seed = seed;
    s.threads = threads;
    s.scale = 0;
    problem p = problem_new(&s);
    int64_t index[5] = {0};
    tensor_fill_normal(&p.t[T_V2].view, 1, 0, 0);
    do tensor_set(&p.t[T_V1].view, index, index[3] == index[4] ? K : 0);
    while (tensor_next(&p.t[T_V1].view, index));
    run_forward(&p);
    double *y = tensor_values(&p.t[T_Y].view);
    decisions *d = malloc(sizeof *d);
    for (int i = 0; i < DRAWS; i++) {
        const double want = y[i] > 0 ? 1 / (1 - dropout) : 0;
        assert_true(fabs(y[i] - want) <= 1e-6 * want);
        d->kept[i] = y[i] > 0;
    }
    free(y);
    problem_free(&p);
    return d;
}

/* Every decision is the generator's, at every place of the tiles and of its blocks of four. */
static void test_every_decision(void **state)
{
    static const struct {
        double dropout;
        uint64_t seed;
    } cases[] = {{0.1, 0}, {0.5, UINT64_MAX}, {0.75, UINT64_C(0xDEADBEEF00000001)}, {1.0 / 3, 1}, {0x1p-20, 5}};
    (void)state;
    for (int i = 0; i < 5; i++) {
        decisions *d = decide(cases[i].dropout, cases[i].seed, 1 + i % 2);
        const uint32_t key[] = {(uint32_t)cases[i].seed, (uint32_t)(cases[i].seed >> 32)};
        for (int at = 0; at < DRAWS; at++) {
            const int k = at % K, m = at / K % M, n = at / (K * M) % N, head = at / (K * M * N);
            const uint32_t counter[] = {(uint32_t)(k / 4), (uint32_t)m, (uint32_t)n, (uint32_t)head};
            uint32_t words[4];
            floyd_reference_philox(counter, key, words);
            const int kept = words[k % 4] >= cases[i].dropout * 0x1p32;
            if (d->kept[at] != kept) fail_msg("head %d n %d m %d k %d: kept is %d", head, n, m, k, d->kept[at]);
        }
        free(d);
    }
}

/* A word that is dropout * 2^32 is kept, and the next whole number's is not. */
static void test_bound(void **state)
{
    static const double above[] = {-0.5, 0, 0.5, 1};
    (void)state;
    for (uint32_t k = 0; k < 100; k++)
        for (int i = 0; i < 4; i++) {
            uint32_t words[4];
            floyd_reference_philox((const uint32_t[4]){k / 4, 0, 0, 0}, (const uint32_t[2]){7, 0}, words);
            spec s = spec_of(1, 1, 1, 1, K, 1);
            s.dropout = (words[k % 4] + above[i]) * 0x1p-32;
            s.dropout_seed = 7;
            s.scale = 0;
            problem p = problem_new(&s);
            tensor_fill_normal(&p.t[T_V1].view, 1, 0, 0);
            tensor_fill_normal(&p.t[T_V2].view, 1, 0, 0);
            tensor_set(&p.t[T_V1].view, (const int64_t[5]){0, 0, 0, k, 0}, 1);
            run_forward(&p);
            const int kept = tensor_get(&p.t[T_Y].view, (const int64_t[5]){0}) > 0;
            if (kept != (above[i] <= 0)) fail_msg("word %u of %g: kept is %d", words[k % 4], above[i], kept);
            problem_free(&p);
        }
}

static double kept_fraction(const decisions *d)
{
    double kept = 0;
    for (int i = 0; i < DRAWS; i++) kept += d->kept[i];
    return kept / DRAWS;
}

/* Of two series of decisions, the second shifted: their correlation, of 1/sqrt(DRAWS) where there is none. */
static double correlation(const decisions *a, const decisions *b, int shift)
{
    const double mean_a = kept_fraction(a), mean_b = kept_fraction(b);
    double sum = 0;
    for (int i = 0; i + shift < DRAWS; i++) sum += (a->kept[i] - mean_a) * (b->kept[i + shift] - mean_b);
    return sum / ((DRAWS - shift) * sqrt(mean_a * (1 - mean_a) * mean_b * (1 - mean_b)));
}

/* As many are dropped as asked for, and neighbours along each axis have nothing to do with each other: 5 sigma. */
static void test_statistics(void **state)
{
    static const double dropouts[] = {0.02, 0.1, 0.5, 0.9};
    static const int shifts[] = {1, 2, 3, 4, 8, K, 2 * K, K * M, K * M * N, K * M * N * H};
    (void)state;
    for (int i = 0; i < 4; i++) {
        const double p = dropouts[i];
        decisions *d = decide(p, 12345, 2);
        const double fraction = kept_fraction(d);
        if (!(fabs(fraction - (1 - p)) <= 5 * sqrt(p * (1 - p) / DRAWS)))
            fail_msg("%g of 1 - %g kept", fraction, p);
        for (int j = 0; j < 10; j++) {
            const double c = correlation(d, d, shifts[j]);
            if (!(fabs(c) <= 5 / sqrt(DRAWS - shifts[j])))
                fail_msg("shifted by %d they correlate by %g", shifts[j], c);
        }
        free(d);
    }
}

/* Seeds that differ in one bit of either half. */
static void test_seeds(void **state)
{
    static const uint64_t seeds[] = {1, 2, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63};
    (void)state;
    decisions *first = decide(0.4, 0, 1);
    for (int i = 0; i < 5; i++) {
        decisions *other = decide(0.4, seeds[i], 1);
        assert_true(fabs(correlation(first, other, 0)) <= 5 / sqrt(DRAWS));
        free(other);
    }
    free(first);
}

/* Where a mask leaves out tiles, or makes spans begin between blocks of four, the others' decisions stay. */
static void test_beside_masks(void **state)
{
    static const int64_t masked[][2] = {{0, 1}, {0, 50}, {3, 70}, {49, 51}, {97, 101}, {1, 101}};
    (void)state;
    for (int i = 0; i < 6; i++)
        for (int dtype = 0; dtype < 4; dtype++) {
            spec s = spec_of(1, 2, 5, 26, K, 8);
            add_extras(&s, dtype % 2 ? DROPOUT | DBIAS : DROPOUT | DBIAS | FILL);
            s.mask = MASK_ZERO;
            s.dtype = (floyd_dtype)dtype;
            problem p = problem_new(&s);
            int64_t index[5] = {0};
            do tensor_set(&p.t[T_MASK].view, index, index[4] >= masked[i][0] && index[4] < masked[i][1]);
            while (tensor_next(&p.t[T_MASK].view, index));
            run_and_check_problem(&p);
            problem_free(&p);
        }
}

/* Probabilities near the ends; so near 0 that no word is below, and that fp32 rounds to 1. */
static void test_probabilities(void **state)
{
    static const double dropouts[] = {0x1p-1074, 0x1p-33,     0x1p-32,     0x3p-32,    0.5,
                                      0.999,     1 - 0x1p-20, 1 - 0x1p-32, 1 - 0x1p-53};
    (void)state;
    for (int i = 0; i < 9; i++)
        for (int dtype = 0; dtype < 4; dtype++) {
            spec s = spec_of(1, 2, 9, 17, 33, 8);
            s.dtype = (floyd_dtype)dtype;
            s.dropout = dropouts[i];
            s.dbias = 1;
            run_and_check(&s);
        }
}

/* With probability 1 nothing is kept: Y and so every gradient is 0; max and sum are as ever. */
static void test_all_dropped(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++)
        for (int kind = MASK_NONE; kind <= MASK_ROWS; kind++) {
            spec s = spec_of(1, 2, 9, 26, 50, 8);
            add_extras(&s, EXTRAS);
            s.dtype = (floyd_dtype)dtype;
            s.mask = (enum mask_kind)kind;
            s.dropout = 1;
            problem p = problem_new(&s);
            run_and_check_problem(&p);
            run_forward(&p);
            run_backward(&p);
            for (enum role r = T_Y; r < ROLES; r++) {
                int64_t index[5] = {0};
                if (!((1 << T_Y | GRADIENTS) >> r & 1)) continue;
                do
                    if (tensor_get(&p.t[r].view, index) != 0) fail_msg("%s is not 0", role_names[r]);
                while (tensor_next(&p.t[r].view, index));
            }
            problem_free(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_decision), cmocka_unit_test(test_bound),
                                       cmocka_unit_test(test_statistics),     cmocka_unit_test(test_seeds),
                                       cmocka_unit_test(test_beside_masks),   cmocka_unit_test(test_probabilities),
                                       cmocka_unit_test(test_all_dropped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
