/* SPDX-License-Identifier: Apache-2.0 */
#include "choose.h"

enum { LARGEST_GRID = 0x7fffffff, TILE = 16, MMA_LARGEST_D = 64, VECTOR_BYTES = 16, VECTOR_ELEMENTS = 8 };

static bool rows_in_vectors(const floyd_view *view, const int64_t size[5])
{
    if (view->stride[4] != 1 || (uintptr_t)view->data % VECTOR_BYTES != 0) return false;
    for (int axis = 0; axis < 4; axis++)
        if (size[axis] > 1 && view->stride[axis] % VECTOR_ELEMENTS != 0) return false;
    return true;
}

static bool operand_fits(const floyd_job *job, floyd_role role, int64_t size2, int64_t size3)
{
    const floyd_view *view = &job->tensor[role];
    const int64_t size[5] = {job->B, job->H, size2, size3, job->D};
    return view->dtype == job->tensor[FLOYD_ROLE_Q].dtype && rows_in_vectors(view, size);
}

static bool sizes_fit(const floyd_job *job)
{
    return job->B > 0 && job->H > 0 && job->N > 0 && job->M > 0 && job->K > 0 && job->D > 0 &&
           job->D % VECTOR_ELEMENTS == 0 && job->D <= MMA_LARGEST_D;
}

/* Every kernel's tiles are blocks of one grid. A tile is 16 x 16 or more. */
static bool grid_fits(const floyd_job *job, int64_t size2, int64_t size3)
{
    /* Whole tiles, then counted in double. NOLINTNEXTLINE(bugprone-integer-division) */
    const double tiles2 = (double)((size2 - 1) / TILE + 1), tiles3 = (double)((size3 - 1) / TILE + 1);
    return (double)job->B * (double)job->H * tiles2 * tiles3 <= LARGEST_GRID;
}

bool floyd_cuda_mma_fits(const floyd_job *job)
{
    const int32_t dtype = job->tensor[FLOYD_ROLE_Q].dtype;
    const int64_t N = job->N, M = job->M, K = job->K;
    return (dtype == FLOYD_F16 || dtype == FLOYD_BF16) && sizes_fit(job) && grid_fits(job, N, M) &&
           grid_fits(job, N, K) && grid_fits(job, K, M) && operand_fits(job, FLOYD_ROLE_Q, N, M) &&
           operand_fits(job, FLOYD_ROLE_K1, N, K) && operand_fits(job, FLOYD_ROLE_V1, N, K) &&
           operand_fits(job, FLOYD_ROLE_K2, K, M) && operand_fits(job, FLOYD_ROLE_V2, K, M) &&
           (!job->rows || operand_fits(job, FLOYD_ROLE_DY, N, M));
}
