/* SPDX-License-Identifier: Apache-2.0 */
#include "enqueue.h"

#include "choose.h"
#include "device.cuh"
#include "launch.cuh"
#include "launch.h"
#include "make.h"

namespace
{

/* A failure is told by a status: nothing of it is left for the caller's next cudaGetLastError. */
const char *text_of(cudaError_t error)
{
    if (error == cudaSuccess) return nullptr;
    cudaGetLastError();
    return cudaGetErrorString(error);
}

bool any(int64_t size2, int64_t size3, const floyd_job &job)
{
    return job.B > 0 && job.H > 0 && size2 > 0 && size3 > 0;
}

bool wanted(const floyd_job &job, floyd_role role)
{
    return job.tensor[role].data != nullptr;
}

bool takes_mma(const floyd_job &job)
{
    return floyd_cuda_mma_fits(&job) && floyd_shared_is_large();
}

cudaError_t enqueue_dq(const floyd_job &job, bool mma, cudaStream_t stream)
{
    if (!wanted(job, FLOYD_ROLE_DQ) || !any(job.N, job.M, job) || job.D == 0) return cudaSuccess;
    return mma ? floyd_cuda_mma_dq(&job, stream) : floyd_cuda_simt_dq(&job, stream);
}

cudaError_t enqueue_edges(const floyd_job &job, bool mma, cudaStream_t stream)
{
    if (!wanted(job, FLOYD_ROLE_DK1) && !wanted(job, FLOYD_ROLE_DV1)) return cudaSuccess;
    if (!any(job.N, job.K, job) || job.D == 0) return cudaSuccess;
    return mma ? floyd_cuda_mma_edges(&job, stream) : floyd_cuda_simt_edges(&job, stream);
}

} // namespace

const char *floyd_cuda_capability(int *capability)
{
    int device = 0, major = 0, minor = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
    *capability = 10 * major + minor;
    return text_of(error);
}

const char *floyd_cuda_enqueue_forward(const floyd_job *job, void *to)
{
    const auto stream = static_cast<cudaStream_t>(to);
    if (!any(job->N, job->M, *job)) return nullptr;
    if (job->D == 0 && !wanted(*job, FLOYD_ROLE_MAX) && !wanted(*job, FLOYD_ROLE_SUM)) return nullptr;
    return text_of(takes_mma(*job) ? floyd_cuda_mma_forward(job, stream) : floyd_cuda_simt_forward(job, stream));
}

const char *floyd_cuda_enqueue_backward(const floyd_job *job, void *to)
{
    const auto stream = static_cast<cudaStream_t>(to);
    const bool mma = takes_mma(*job);
    const floyd_job mirrored = floyd_job_mirrored(job);
    cudaError_t error = any(job->N, job->M, *job) && job->D > 0 ? floyd_cuda_rows(job, stream) : cudaSuccess;
    if (error == cudaSuccess) error = enqueue_dq(*job, mma, stream);
    if (error == cudaSuccess) error = enqueue_edges(*job, mma, stream);
    if (error == cudaSuccess) error = enqueue_edges(mirrored, mma, stream);
    return text_of(error);
}
