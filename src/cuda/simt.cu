/* SPDX-License-Identifier: Apache-2.0 */
#include "launch.cuh"
#include "launch.h"
#include "simt_dq.cuh"
#include "simt_edges.cuh"
#include "simt_forward.cuh"

namespace
{

using namespace floyd::simt;

/* On devices with shared memory for them, where all tensors can be read by vectors: D up to WIDTH, and beyond. */
typedef Shape<16, 16, 16, 4, 32, true, true> LargePairs;
typedef Shape<16, 16, 16, 4, 16, true, true> LargePairsBackward;
typedef Shape<16, 16, 16, 4, 32, true, false> WidePairs;
typedef Shape<8, 16, 16, 8, 32, true, true> LargeEdges;
typedef Shape<8, 16, 16, 8, 32, true, false> WideEdges;
/* On every device, for everything. */
typedef Shape<8, 16, 16, 4, 32, false, false> AnyPairs;
typedef Shape<8, 16, 16, 8, 32, false, false> AnyEdges;

static_assert(PairSpace<LargePairs>::bytes(1) <= FLOYD_SHARED_LARGE &&
                  PairSpace<LargePairsBackward>::bytes(2) <= FLOYD_SHARED_LARGE,
              "shared memory");
static_assert(PairSpace<WidePairs>::bytes(0) <= FLOYD_SHARED_LARGE &&
                  EdgeSpace<LargeEdges>::BYTES <= FLOYD_SHARED_LARGE,
              "");
static_assert(EdgeSpace<WideEdges>::BYTES <= FLOYD_SHARED_LARGE, "shared memory");
static_assert(PairSpace<AnyPairs>::bytes(0) <= FLOYD_SHARED_ANY && EdgeSpace<AnyEdges>::BYTES <= FLOYD_SHARED_ANY,
              "");

/* Blocks enough for `tiles`: each takes every gridDim-th one. */
dim3 grid_of(int64_t tiles)
{
    constexpr int64_t MOST = 0x7fffffff;
    return dim3(static_cast<unsigned>(tiles < MOST ? tiles : MOST));
}

int64_t tiles_of(const floyd_job &job, int64_t size1, int64_t size2, int tile1, int tile2)
{
    return job.B * job.H * ((size1 + tile1 - 1) / tile1) * ((size2 + tile2 - 1) / tile2);
}

template <class S> cudaError_t launch_forward(const floyd_job &job, cudaStream_t stream)
{
    return floyd_launch(floyd::simt::forward<S>, grid_of(tiles_of(job, job.N, job.M, S::TN, S::TM)),
                        dim3(S::THREADS), PairSpace<S>::bytes(1), stream, job);
}

template <class S> cudaError_t launch_dq(const floyd_job &job, cudaStream_t stream)
{
    return floyd_launch(query_gradient<S>, grid_of(tiles_of(job, job.N, job.M, S::TN, S::TM)), dim3(S::THREADS),
                        PairSpace<S>::bytes(2), stream, job);
}

template <class S> cudaError_t launch_edges(const floyd_job &job, cudaStream_t stream)
{
    return floyd_launch(edge_gradients<S>, grid_of(tiles_of(job, job.N, job.K, S::TN, S::TK)), dim3(S::THREADS),
                        EdgeSpace<S>::BYTES, stream, job);
}

bool is_vectors(const floyd_job &job, int role)
{
    const floyd_view &view = job.tensor[role];
    if (role == FLOYD_ROLE_MASK || role == FLOYD_ROLE_MAX || role == FLOYD_ROLE_SUM || !view.data) return true;
    if (view.dtype != FLOYD_F32 || view.stride[4] != 1 || reinterpret_cast<uintptr_t>(view.data) % 16) return false;
    for (int axis = 0; axis < 4; axis++)
        if (view.stride[axis] % 4) return false;
    return true;
}

/* Whether all tensors can be read 16 bytes at a time, and the device has the shared memory for it. */
bool takes_vectors(const floyd_job &job)
{
    if (job.D == 0 || job.D % 4 || !floyd_shared_is_large()) return false;
    for (int role = 0; role < FLOYD_JOB_ROLES; role++)
        if (!is_vectors(job, role)) return false;
    return true;
}

} // namespace

cudaError_t floyd_cuda_simt_forward(const floyd_job *job, cudaStream_t stream)
{
    if (!takes_vectors(*job)) return launch_forward<AnyPairs>(*job, stream);
    return job->D <= WIDTH ? launch_forward<LargePairs>(*job, stream) : launch_forward<WidePairs>(*job, stream);
}

cudaError_t floyd_cuda_simt_dq(const floyd_job *job, cudaStream_t stream)
{
    if (!takes_vectors(*job)) return launch_dq<AnyPairs>(*job, stream);
    return job->D <= WIDTH ? launch_dq<LargePairsBackward>(*job, stream) : launch_dq<WidePairs>(*job, stream);
}

cudaError_t floyd_cuda_simt_edges(const floyd_job *job, cudaStream_t stream)
{
    if (!takes_vectors(*job)) return launch_edges<AnyEdges>(*job, stream);
    return job->D <= WIDTH ? launch_edges<LargeEdges>(*job, stream) : launch_edges<WideEdges>(*job, stream);
}
