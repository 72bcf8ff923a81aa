/* SPDX-License-Identifier: Apache-2.0 */
/* Which jobs the tensor-core kernels take. */
#include "cmocka_all.h"

#include "cuda/choose.h"
#include "cuda/make.h"

#include <string.h>

static floyd_view view_of(int32_t dtype, int64_t size2, int64_t size3, int64_t D)
{
    static _Alignas(16) char data[16];
    return (floyd_view){data, {4 * size2 * size3 * D, size2 * size3 * D, size3 * D, D, 1}, dtype};
}

/* A backward of 16-bit tensors that all of them can take. */
static floyd_job job_of(int32_t dtype)
{
    static floyd_row row;
    floyd_job job;
    memset(&job, 0, sizeof job);
    job.B = 2, job.H = 4, job.N = 20, job.M = 24, job.K = 28, job.D = 64;
    job.tensor[FLOYD_ROLE_Q] = job.tensor[FLOYD_ROLE_DY] = view_of(dtype, job.N, job.M, job.D);
    job.tensor[FLOYD_ROLE_K1] = job.tensor[FLOYD_ROLE_V1] = view_of(dtype, job.N, job.K, job.D);
    job.tensor[FLOYD_ROLE_K2] = job.tensor[FLOYD_ROLE_V2] = view_of(dtype, job.K, job.M, job.D);
    job.rows = &row;
    return job;
}

static void expect(const floyd_job *job, bool fits)
{
    const floyd_job mirrored = floyd_job_mirrored(job);
    assert_int_equal(floyd_cuda_mma_fits(job), fits);
    assert_int_equal(floyd_cuda_mma_fits(&mirrored), fits);
}

static void test_types(void **state)
{
    (void)state;
    for (int32_t dtype = FLOYD_F32; dtype <= FLOYD_BF16; dtype++) {
        floyd_job job = job_of(dtype);
        expect(&job, dtype == FLOYD_F16 || dtype == FLOYD_BF16);
    }
    floyd_job job = job_of(FLOYD_F16);
    job.tensor[FLOYD_ROLE_DY].dtype = FLOYD_F32;
    expect(&job, false);
    job.rows = NULL; /* a forward, which has no dY */
    expect(&job, true);
}

static void test_head_sizes(void **state)
{
    static const struct {
        int64_t D;
        bool fits;
    } cases[] = {{0, false}, {7, false}, {8, true}, {12, false}, {24, true}, {64, true}, {72, false}, {128, false}};
    (void)state;
    for (int i = 0; i < 8; i++) {
        floyd_job job = job_of(FLOYD_BF16);
        job.D = cases[i].D;
        expect(&job, cases[i].fits);
    }
}

static void test_layouts(void **state)
{
    static const floyd_role operands[] = {FLOYD_ROLE_Q,  FLOYD_ROLE_K1, FLOYD_ROLE_V1,
                                          FLOYD_ROLE_K2, FLOYD_ROLE_V2, FLOYD_ROLE_DY};
    (void)state;
    for (int i = 0; i < 6; i++) {
        floyd_job job = job_of(FLOYD_F16);
        floyd_view *view = &job.tensor[operands[i]];
        for (int axis = 0; axis < 4; axis++) {
            view->stride[axis] += 8;
            expect(&job, true);
            view->stride[axis] += 4;
            expect(&job, false);
            view->stride[axis] -= 12;
        }
        view->stride[4] = 2;
        expect(&job, false);
        view->stride[4] = 1;
        view->data += 8;
        expect(&job, false);
        view->data -= 8;
        view->stride[0] = -view->stride[0], view->stride[1] = 0;
        expect(&job, true);
    }
}

/* Of an axis of size 1 no address is made. One block for each tile is as many as a grid has. */
static void test_extremes(void **state)
{
    (void)state;
    floyd_job job = job_of(FLOYD_F16);
    job.B = 1;
    job.tensor[FLOYD_ROLE_Q].stride[0] = 3;
    expect(&job, true);
    job = job_of(FLOYD_F16);
    job.N = job.M = job.K = 16;
    job.B = 1, job.H = 0x7fffffff;
    expect(&job, true);
    job.N = 17;
    expect(&job, false);
    job.N = 0;
    expect(&job, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_types), cmocka_unit_test(test_head_sizes),
                                       cmocka_unit_test(test_layouts), cmocka_unit_test(test_extremes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
