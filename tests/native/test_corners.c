/* SPDX-License-Identifier: Apache-2.0 */
/* States and sizes at the ends of their ranges, on problems small enough to work out by hand: D = 1, K1 = q.k, K2 =
 * 0. */
#define _GNU_SOURCE
#include "cmocka_all.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "floydattn.h"

enum { MOST = 8 };

/* One row of one head: scores k1, values v1; y, max and sum go on from part to part. */
typedef struct row {
    float q, k1[MOST], v1[MOST], zero[MOST], y, max, sum;
} row;

static floyd_status carry(row *r, int first, int count)
{
    const floyd_tensor q = floyd_contiguous(&r->q, FLOYD_F32, 1, 1, 1, 1, 1);
    const floyd_tensor k1 = floyd_contiguous(r->k1 + first, FLOYD_F32, 1, 1, 1, count, 1);
    const floyd_tensor v1 = floyd_contiguous(r->v1 + first, FLOYD_F32, 1, 1, 1, count, 1);
    const floyd_tensor zero = floyd_contiguous(r->zero, FLOYD_F32, 1, 1, count, 1, 1);
    const floyd_tensor y = floyd_contiguous(&r->y, FLOYD_F32, 1, 1, 1, 1, 1);
    const floyd_tensor max = floyd_contiguous(&r->max, FLOYD_F32, 1, 1, 1, 1, 1);
    const floyd_tensor sum = floyd_contiguous(&r->sum, FLOYD_F32, 1, 1, 1, 1, 1);
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t bytes;
    args.q = &q, args.k1 = &k1, args.v1 = &v1, args.k2 = args.v2 = &zero;
    args.y = &y, args.max = &max, args.sum = &sum, args.carry = 1;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_OK);
    void *workspace = malloc(bytes);
    const floyd_status status = floyd_forward(&args, NULL, workspace, bytes);
    free(workspace);
    return status;
}

/* Scores of -inf alone give NaN, and leave no trace once another score has come, before or after. */
static void test_part_of_infinite_scores(void **state)
{
    (void)state;
    for (int last = 0; last < 2; last++) {
        row r = {
            .q = 1, .k1 = {last ? 0.5f : -INFINITY, last ? -INFINITY : 0.5f}, .v1 = {last ? 2 : 1, last ? 1 : 2}};
        assert_int_equal(carry(&r, 0, 1), FLOYD_OK);
        if (!last) assert_true(isnan(r.y) && isnan(r.sum) && r.max == -INFINITY);
        assert_int_equal(carry(&r, 1, 1), FLOYD_OK);
        assert_true(r.y == 2 && r.max == 0.5f && r.sum == 1);
    }
}

/* A carried sum may be so small that its reciprocal is infinite. */
static void test_subnormal_sum(void **state)
{
    (void)state;
    row r = {.q = 1, .k1 = {-500}, .v1 = {1}, .y = 3, .max = 0, .sum = 1e-39f};
    assert_int_equal(carry(&r, 0, 1), FLOYD_OK);
    /* y * sum is a subnormal of some 2^21 units, so the quotient is good to 2^-20. */
    assert_true(fabsf(r.y - 3) <= 3 * 0x1p-20f && r.sum == 1e-39f && r.max == 0);
}

/* Without a gradient to compute there is nothing to do, and no workspace. */
static void test_no_gradient(void **state)
{
    (void)state;
    float data[64] = {0};
    floyd_tensor t = floyd_contiguous(data, FLOYD_F32, 1, 1, 4, 4, 4);
    floyd_tensor stats = floyd_contiguous(data, FLOYD_F32, 1, 1, 4, 4, 1);
    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    size_t bytes = 1;
    args.q = args.k1 = args.v1 = args.k2 = args.v2 = args.y = args.dy = &t;
    args.max = args.sum = &stats;
    assert_int_equal(floyd_backward_workspace(&args, NULL, &bytes), FLOYD_OK);
    assert_int_equal(bytes, 0);
    assert_int_equal(floyd_backward(&args, NULL, NULL, 0), FLOYD_OK);
}

/* Sizes that only an empty tensor can have are counted without overflow. */
static void test_absurd_sizes(void **state)
{
    (void)state;
    const int64_t huge = (int64_t)1 << 40;
    floyd_tensor t = floyd_contiguous(NULL, FLOYD_F32, huge, huge, 0, 0, 0);
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t bytes = 1;
    args.q = args.k1 = args.v1 = args.k2 = args.v2 = args.y = &t;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_OK);
    assert_int_equal(bytes, 0);
    floyd_tensor pairs = floyd_contiguous(NULL, FLOYD_F32, 1, 1, huge, huge, 0);
    floyd_tensor left = floyd_contiguous(NULL, FLOYD_F32, 1, 1, huge, 1, 0);
    floyd_tensor right = floyd_contiguous(NULL, FLOYD_F32, 1, 1, 1, huge, 0);
    args.q = args.y = &pairs, args.k1 = args.v1 = &left, args.k2 = args.v2 = &right;
    bytes = 1;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_OK);
    assert_int_equal(bytes, 0);
    floyd_tensor max = floyd_contiguous(NULL, FLOYD_F32, 1, 1, huge, huge, 1);
    args.max = &max;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_ERROR_OVERFLOW);
}

/* Strides of axes of size 1 say nothing, however large they are. */
static void test_strides_of_single_axes(void **state)
{
    (void)state;
    float data[7][2] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}, {9, 10}};
    floyd_tensor t[6];
    for (int i = 0; i < 6; i++) {
        t[i] = floyd_contiguous(data[i], FLOYD_F32, 1, 1, 1, 1, 2);
        for (int axis = 0; axis < 4; axis++) t[i].stride[axis] = INT64_MAX - axis;
    }
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t bytes;
    args.q = &t[0], args.k1 = &t[1], args.v1 = &t[2], args.k2 = &t[3], args.v2 = &t[4], args.y = &t[5];
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_OK);
    void *workspace = malloc(bytes);
    assert_int_equal(floyd_forward(&args, NULL, workspace, bytes), FLOYD_OK);
    free(workspace);
    assert_true(data[5][0] == 14 && data[5][1] == 16);
}

/* A query on one processor, a run where more may be used: the workspace says how many threads there are. */
static void test_default_threads_grow(void **state)
{
    (void)state;
    enum { SIZE = 64, COUNT = SIZE * SIZE * 16 };
    float *data = calloc(6 * COUNT, sizeof *data);
    floyd_tensor t[6];
    for (int i = 0; i < 6; i++) t[i] = floyd_contiguous(data + i * COUNT, FLOYD_F32, 1, 1, SIZE, SIZE, 16);
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t one, many;
    args.q = &t[0], args.k1 = &t[1], args.v1 = &t[2], args.k2 = &t[3], args.v2 = &t[4], args.y = &t[5];
    unsetenv("OMP_NUM_THREADS");
    setenv("FLOYDATTN_NUM_THREADS", "1", 1);
    assert_int_equal(floyd_forward_workspace(&args, NULL, &one), FLOYD_OK);
    setenv("FLOYDATTN_NUM_THREADS", "3", 1);
    assert_int_equal(floyd_forward_workspace(&args, NULL, &many), FLOYD_OK);
    assert_true(many > one);
    void *workspace = malloc(one);
    assert_int_equal(floyd_forward(&args, NULL, workspace, one), FLOYD_OK);
    assert_int_equal(floyd_forward(&args, NULL, workspace, one - 1), FLOYD_ERROR_WORKSPACE);
    unsetenv("FLOYDATTN_NUM_THREADS");
    free(workspace);
    free(data);
}

/* A size that no structure has is refused before that many bytes are looked at. */
static void test_structure_size(void **state)
{
    (void)state;
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    size_t bytes;
    args.struct_size = (size_t)-1;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_ERROR_OPTION);
    assert_non_null(strstr(floyd_last_message(), "struct_size"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part_of_infinite_scores),
        cmocka_unit_test(test_subnormal_sum),
        cmocka_unit_test(test_no_gradient),
        cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_strides_of_single_axes),
        cmocka_unit_test(test_default_threads_grow),
        cmocka_unit_test(test_structure_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
