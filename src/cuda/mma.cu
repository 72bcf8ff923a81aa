/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of the tensor-core kernels: the operands' type, D padded to 32 or 64, one block for each tile. */
#include "launch.cuh"
#include "launch.h"
#include "mma_dq.cuh"
#include "mma_edges.cuh"
#include "mma_forward.cuh"

namespace
{

using floyd::Layout;
using floyd::THREADS;

static_assert(floyd::GradientSpace<Layout<64, 1>>::BYTES <= FLOYD_SHARED_LARGE &&
                  floyd::GradientSpace<Layout<32, 2>>::BYTES <= FLOYD_SHARED_LARGE,
              "the gradients take more than the forward");

int64_t tiles(int64_t extent, int64_t tile)
{
    return (extent + tile - 1) / tile;
}

cudaError_t launch(void (*kernel)(floyd_job), const floyd_job &job, int64_t blocks, size_t shared,
                   cudaStream_t stream)
{
    constexpr int64_t MOST = 0x7fffffff;
    if (blocks > MOST) return cudaErrorInvalidConfiguration;
    return floyd_launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(THREADS), shared, stream, job);
}

template <class T, int DP, int R> cudaError_t forward(const floyd_job &job, cudaStream_t stream)
{
    typedef Layout<DP, R> L;
    const int64_t blocks = job.B * job.H * tiles(job.N, L::N) * tiles(job.M, L::M);
    return launch(floyd::mma_forward<T, DP, R>, job, blocks, floyd::ForwardSpace<L>::BYTES, stream);
}

template <class T, int DP, int R> cudaError_t dq(const floyd_job &job, cudaStream_t stream)
{
    typedef Layout<DP, R> L;
    const int64_t blocks = job.B * job.H * tiles(job.N, L::N) * tiles(job.M, L::M);
    return launch(floyd::mma_dq<T, DP, R>, job, blocks, floyd::GradientSpace<L>::BYTES, stream);
}

template <class T, int DP> cudaError_t edges(const floyd_job &job, cudaStream_t stream)
{
    typedef Layout<DP, 1> L;
    const int64_t blocks = job.B * job.H * tiles(job.N, L::N) * tiles(job.K, floyd::STEP);
    return launch(floyd::mma_edges<T, DP>, job, blocks, floyd::GradientSpace<L>::BYTES, stream);
}

bool is_half(const floyd_job &job)
{
    return job.tensor[FLOYD_ROLE_Q].dtype == FLOYD_F16;
}

} // namespace

cudaError_t floyd_cuda_mma_forward(const floyd_job *job, cudaStream_t stream)
{
    if (job->D <= 32)
        return is_half(*job) ? forward<__half, 32, 2>(*job, stream) : forward<__nv_bfloat16, 32, 2>(*job, stream);
    return is_half(*job) ? forward<__half, 64, 1>(*job, stream) : forward<__nv_bfloat16, 64, 1>(*job, stream);
}

cudaError_t floyd_cuda_mma_dq(const floyd_job *job, cudaStream_t stream)
{
    if (job->D <= 32)
        return is_half(*job) ? dq<__half, 32, 2>(*job, stream) : dq<__nv_bfloat16, 32, 2>(*job, stream);
    return is_half(*job) ? dq<__half, 64, 1>(*job, stream) : dq<__nv_bfloat16, 64, 1>(*job, stream);
}

cudaError_t floyd_cuda_mma_edges(const floyd_job *job, cudaStream_t stream)
{
    if (job->D <= 32)
        return is_half(*job) ? edges<__half, 32>(*job, stream) : edges<__nv_bfloat16, 32>(*job, stream);
    return is_half(*job) ? edges<__half, 64>(*job, stream) : edges<__nv_bfloat16, 64>(*job, stream);
}
