/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of the CUDA back end, as the host calls them: each puts one job on a stream. */
#ifndef FLOYD_CUDA_LAUNCH_H
#define FLOYD_CUDA_LAUNCH_H

#include <cuda_runtime.h>

#include "job.h"

#ifdef __cplusplus
extern "C" {
#endif

/* job->rows from dy, y, max and sum. The backward kernels read them. */
cudaError_t floyd_cuda_rows(const floyd_job *job, cudaStream_t stream);

/* Any types, strides and sizes, in fp32 arithmetic. "edges" is dk1 and dv1; of the mirrored job, dk2 and dv2. */
cudaError_t floyd_cuda_simt_forward(const floyd_job *job, cudaStream_t stream);
cudaError_t floyd_cuda_simt_dq(const floyd_job *job, cudaStream_t stream);
cudaError_t floyd_cuda_simt_edges(const floyd_job *job, cudaStream_t stream);

/* The same on tensor cores, for jobs that floyd_cuda_mma_fits. */
cudaError_t floyd_cuda_mma_forward(const floyd_job *job, cudaStream_t stream);
cudaError_t floyd_cuda_mma_dq(const floyd_job *job, cudaStream_t stream);
cudaError_t floyd_cuda_mma_edges(const floyd_job *job, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
