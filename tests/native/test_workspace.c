/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workspace: within the formula of floydattn.h, of any alignment, sufficient as asked for, and the
 * only memory that is written beside the outputs (every run of these tests has guards round it).
 */
#include "cmocka_all.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static const int64_t shapes[][6] = {
    {1, 1, 1, 1, 1, 1},        {1, 1, 16, 128, 256, 64},   {2, 3, 33, 65, 17, 20},      {1, 1, 256, 256, 256, 64},
    {4, 8, 200, 200, 200, 64}, {1, 1, 512, 512, 512, 128}, {1, 1, 65, 64, 63, 256},     {1, 2, 4096, 1, 7, 512},
    {64, 16, 20, 20, 20, 8},   {1, 1, 1, 100000, 1, 64},   {1, 1, 16, 1024, 1024, 1024}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };
static const int thread_counts[] = {1, 2, 3, 7, 16};

/* t * 4 MiB * max(1, D*a/512) */
static double thread_part(const spec *s)
{
    const double a = s->dtype == FLOYD_F64 ? 8 : 4, large = (double)s->D * a / 512;
    return s->threads * 4.0 * 1024 * 1024 * (large > 1 ? large : 1);
}

/* Elements per head that dbias, of size 1 along two of N, M and K, is summed in. */
static double dbias_part(const spec *s)
{
    const int summed = !(s->dbias_axes >> 2 & 1) + !(s->dbias_axes >> 3 & 1) + !(s->dbias_axes >> 4 & 1);
    return s->dbias && summed >= 2 ? (double)s->N * (double)(s->M > s->K ? s->M : s->K) : 0;
}

/*
 * h * a * (elements per head of each gradient that is not its own accumulator + 3*N*M + what dbias needs), with
 * h = t
 */
static double head_part(const spec *s, unsigned wanted)
{
    const double a = s->dtype == FLOYD_F64 ? 8 : 4;
    double elements = 3.0 * (double)s->N * (double)s->M + dbias_part(s);
    for (enum role r = T_DQ; r <= T_DV2; r++) {
        int64_t size[5];
        role_size(s, r, size);
        const int own = s->dtype == FLOYD_F32 || s->dtype == FLOYD_F64 || (s->wide >> r & 1);
        if ((wanted >> r & 1) && !own) elements += (double)(size[2] * size[3] * size[4]);
    }
    return s->threads * a * elements;
}

/* Tensors without data: a query looks at none. */
static problem without_data(const spec *s)
{
    problem p;
    memset(&p, 0, sizeof p);
    p.s = *s;
    for (enum role r = T_Q; r < ROLES; r++) {
        int64_t z[5];
        const int wide = r == T_MAX || r == T_SUM || r == T_DBIAS || (s->wide >> r & 1);
        const floyd_dtype own = wide ? accumulator_of(s->dtype) : s->dtype;
        if (r > T_DV2 && !s->dbias) continue;
        role_size(s, r, z);
        p.t[r].view = floyd_contiguous(NULL, r == T_MASK ? FLOYD_U8 : own, z[0], z[1], z[2], z[3], z[4]);
        p.t[r].block = (unsigned char *)1;
    }
    return p;
}

static void check_queries(const spec *s, unsigned wanted)
{
    problem p = without_data(s);
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(&p, wanted);
    size_t bytes = SIZE_MAX;
    options.threads = s->threads;
    assert_int_equal(floyd_forward_workspace(&forward, &options, &bytes), FLOYD_OK);
    if (!((double)bytes <= thread_part(s))) fail_msg("forward asks for %zu bytes", bytes);
    bytes = SIZE_MAX;
    assert_int_equal(floyd_backward_workspace(&backward, &options, &bytes), FLOYD_OK);
    if (!((double)bytes <= thread_part(s) + head_part(s, wanted)))
        fail_msg("backward of D=%d with %d threads asks for %zu bytes, the formula allows %.0f", (int)s->D,
                 s->threads, bytes, thread_part(s) + head_part(s, wanted));
}

static void test_formula(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (int t = 0; t < 5; t++)
            for (int dtype = 0; dtype < 4; dtype++) {
                const int64_t *z = shapes[i];
                spec s = spec_of(z[0], z[1], z[2], z[3], z[4], z[5]);
                s.threads = thread_counts[t];
                s.dtype = (floyd_dtype)dtype;
                check_queries(&s, GRADIENTS);
                check_queries(&s, 1u << T_DQ);
                check_queries(&s, 1u << T_DV2);
                s.wide = dtype >= 2 ? (unsigned)GRADIENTS : 0;
                check_queries(&s, GRADIENTS);
            }
}

/* Every form of dbias, beside a bias, a cap and dropout. */
static void test_formula_of_scores(void **state)
{
    (void)state;
    for (int i = 0; i < SHAPES; i++)
        for (unsigned axes = 0; axes < 32; axes++)
            for (int dtype = 0; dtype < 4; dtype++) {
                const int64_t *z = shapes[i];
                spec s = spec_of(z[0], z[1], z[2], z[3], z[4], z[5]);
                add_extras(&s, EXTRAS);
                s.threads = thread_counts[axes % 5];
                s.dtype = (floyd_dtype)dtype;
                s.dbias_axes = axes;
                check_queries(&s, GRADIENTS);
                check_queries(&s, 1u << T_DBIAS);
            }
}

/* A gradient that is not asked for is not paid for: its accumulator is gone from the workspace. */
static void test_unwanted_costs_nothing(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 512, 512, 512, 64);
    s.dtype = FLOYD_BF16;
    problem p = without_data(&s);
    const floyd_backward_args all = backward_args(&p, GRADIENTS), one = backward_args(&p, 1u << T_DV1);
    floyd_options options = FLOYD_OPTIONS_INIT;
    size_t bytes_all, bytes_one;
    options.threads = 1;
    assert_int_equal(floyd_backward_workspace(&all, &options, &bytes_all), FLOYD_OK);
    assert_int_equal(floyd_backward_workspace(&one, &options, &bytes_one), FLOYD_OK);
    assert_true(bytes_all >= bytes_one + (size_t)3 * 512 * 512 * 64 * 4);
}

/* Every alignment of the workspace and whatever it holds: the same bits. */
static void test_alignment_and_contents(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        spec s = spec_of(1, 2, 33, 18, 40, 20);
        add_extras(&s, i < 4 ? 0 : EXTRAS);
        s.dbias_axes = i % 2 ? AXES_ROW : AXES_FULL;
        s.dtype = (floyd_dtype)(i % 4);
        s.threads = 2;
        problem first = problem_new(&s), again = problem_new(&s);
        store_reference_forward(&first);
        store_reference_forward(&again);
        run_backward(&first);
        floyd_options options = FLOYD_OPTIONS_INIT;
        options.threads = 2;
        const floyd_backward_args args = backward_args(&again, GRADIENTS);
        size_t bytes;
        assert_int_equal(floyd_backward_workspace(&args, &options, &bytes), FLOYD_OK);
        unsigned char *block = malloc(bytes + 64);
        for (int shift = 0; shift < 64; shift = shift * 2 + 1) {
            memset(block, shift * 37, bytes + 64);
            assert_int_equal(floyd_backward(&args, &options, block + shift, bytes), FLOYD_OK);
            expect_same_bits(&first, &again, GRADIENTS, "another workspace");
        }
        free(block);
        problem_free(&first);
        problem_free(&again);
    }
}

/* As many threads as are asked for, or a refusal: never as many as the workspace has room for. */
static void test_room_for_fewer_threads(void **state)
{
    spec s = spec_of(2, 2, 64, 64, 64, 32);
    problem p = problem_new(&s);
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(&p, GRADIENTS);
    (void)state;
    for (int back = 0; back < 2; back++) {
        size_t bytes[2];
        for (int i = 0; i < 2; i++) {
            options.threads = i ? 4 : 1;
            assert_int_equal(back ? floyd_backward_workspace(&backward, &options, &bytes[i])
                                  : floyd_forward_workspace(&forward, &options, &bytes[i]),
                             FLOYD_OK);
        }
        assert_true(bytes[0] < bytes[1]);
        void *workspace = malloc(bytes[1]);
        assert_int_equal(back ? floyd_backward(&backward, &options, workspace, bytes[0])
                              : floyd_forward(&forward, &options, workspace, bytes[0]),
                         FLOYD_ERROR_WORKSPACE);
        free(workspace);
    }
    for (enum role r = T_Y; r < ROLES; r++)
        if (r != T_DY && p.t[r].block && !tensor_untouched(&p.t[r])) fail_msg("%s was written", role_names[r]);
    problem_free(&p);
}

/* More than was asked for is fine. */
static void test_larger_is_fine(void **state)
{
    (void)state;
    spec s = spec_of(1, 1, 9, 17, 8, 8);
    problem p = problem_new(&s);
    const floyd_forward_args args = forward_args(&p, FORWARD_OUTPUTS);
    size_t bytes;
    assert_int_equal(floyd_forward_workspace(&args, NULL, &bytes), FLOYD_OK);
    unsigned char *block = malloc(2 * bytes + 1);
    assert_int_equal(floyd_forward(&args, NULL, block, 2 * bytes + 1), FLOYD_OK);
    check_forward(&p);
    free(block);
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formula),
                                       cmocka_unit_test(test_formula_of_scores),
                                       cmocka_unit_test(test_unwanted_costs_nothing),
                                       cmocka_unit_test(test_alignment_and_contents),
                                       cmocka_unit_test(test_room_for_fewer_threads),
                                       cmocka_unit_test(test_larger_is_fine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
