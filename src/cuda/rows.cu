/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.cuh"
#include "launch.h"
#include "rows.cuh"

cudaError_t floyd_cuda_rows(const floyd_job *job, cudaStream_t stream)
{
    constexpr int64_t MOST = 0x7fffffff;
    const int64_t rows = job->B * job->H * job->N * job->M;
    const int64_t blocks = (rows + floyd::ROWS_AT_ONCE - 1) / floyd::ROWS_AT_ONCE;
    return floyd_launch(floyd::rows_kernel, dim3(static_cast<unsigned>(blocks < MOST ? blocks : MOST)),
                        dim3(floyd::ROWS_THREADS), 0, stream, *job);
}
