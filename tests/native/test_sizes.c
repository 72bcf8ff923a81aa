/* SPDX-License-Identifier: Apache-2.0 */
/* Every size round a tile's edge, on each axis alone and on several at once. */
#include "cmocka_all.h"

#include "check.h"

static const int64_t edges[] = {1, 7, 8, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 129};
enum { EDGES = sizeof edges / sizeof edges[0] };

static void check_size(int64_t N, int64_t M, int64_t K, int64_t D, int i)
{
    spec s = spec_of(1, 1, N, M, K, D);
    s.dtype = (floyd_dtype)(i % 4);
    s.threads = 1 + i % 2;
    s.mask = i % 3 == 2 ? MASK_RANDOM : MASK_NONE;
    s.seed = (uint64_t)(1000 + i);
    run_and_check(&s);
}

static void test_n(void **state)
{
    (void)state;
    for (int i = 0; i < EDGES; i++) check_size(edges[i], 5, 9, 12, i);
}

static void test_m(void **state)
{
    (void)state;
    for (int i = 0; i < EDGES; i++) check_size(6, edges[i], 10, 12, i + 1);
}

static void test_k(void **state)
{
    (void)state;
    for (int i = 0; i < EDGES; i++) check_size(4, 11, edges[i], 12, i + 2);
}

static void test_d(void **state)
{
    static const int64_t D[] = {1, 2, 7, 8, 9, 15, 16, 17, 20, 31, 32, 33, 63, 64, 65, 128, 129, 256};
    (void)state;
    for (int i = 0; i < 18; i++)
        for (int dtype = 0; dtype < 4; dtype++) check_size(5, 18, 35, D[i], 4 * i + dtype);
}

/* Heads as wide as models have them, with a whole tile of n and one more row, and rows that are masked throughout.
 */
static void test_wide_heads(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        spec s = spec_of(1, 2, 17, 18, 35, 40 + 8 * (i / 2));
        s.dtype = i % 2 ? FLOYD_BF16 : FLOYD_F16;
        s.mask = i % 4 < 2 ? MASK_ROWS : MASK_RANDOM;
        s.rule = (floyd_mask_rule)(i / 2 % 2);
        s.threads = 1 + i % 2;
        run_and_check(&s);
    }
}

/* Two axes at an edge, each pair of neighbouring edges once for every dtype. */
static void test_together(void **state)
{
    (void)state;
    for (int i = 0; i + 1 < EDGES; i++) {
        check_size(edges[i], edges[i + 1], 3, 4, i);
        check_size(edges[i + 1], 2, edges[i], 4, i + 1);
        check_size(3, edges[i], edges[i + 1], 4, i + 2);
    }
}

static void test_all(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 4; dtype++) {
        check_size(64, 32, 64, 16, dtype);
        check_size(65, 33, 47, 8, dtype + 4);
        check_size(17, 63, 129, 20, dtype + 8);
        check_size(33, 100, 31, 24, dtype + 12);
        check_size(129, 17, 65, 9, dtype + 16);
    }
}

/* More than twice as many tiles along an axis as a gradient has parts there: each task then has several. */
static void test_many_tiles(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        check_size(805, 2, 3, 2, i);
        check_size(2, 780, 3, 4, i);
        check_size(2, 3, 1600, 4, i);
    }
}

static void test_many_tiles_of_both(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) check_size(1, 780, 1600, 1, i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_n),   cmocka_unit_test(test_m),          cmocka_unit_test(test_k),
        cmocka_unit_test(test_d),   cmocka_unit_test(test_wide_heads), cmocka_unit_test(test_together),
        cmocka_unit_test(test_all), cmocka_unit_test(test_many_tiles), cmocka_unit_test(test_many_tiles_of_both)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
