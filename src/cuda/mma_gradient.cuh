/* SPDX-License-Identifier: Apache-2.0 */
/* What the two gradient kernels share: from scores and dP to P and dS, and their shared memory. */
#ifndef FLOYD_CUDA_MMA_GRADIENT_CUH
#define FLOYD_CUDA_MMA_GRADIENT_CUH

#include <cfloat>
#include <cmath>

#include "mma_tile.cuh"

namespace floyd
{

__device__ __forceinline__ const floyd_row *rows_of(const floyd_job &job, const Place &at, int64_t n)
{
    return job.rows + (at.b * job.H + at.h) * job.row_stride[0] + n * job.row_stride[1];
}

__device__ __forceinline__ floyd_row load_row(const floyd_row *row)
{
    const uint4 word = __ldg(reinterpret_cast<const uint4 *>(row));
    return {__uint_as_float(word.x), __uint_as_float(word.y), __uint_as_float(word.z), word.w};
}

/*
 * s = Q.K becomes P and dp = dY.V becomes dS, with the score rounded as the forward rounds it: only then does its
 * maximum cancel. Of a row without flags, at a position that is not masked.
 */
__device__ __forceinline__ void weigh(float &s, float &dp, const floyd_row &row, float scale)
{
    s = exp2_approx((s * scale - row.max) * LOG2E) * row.factor;
    dp = s * (dp - row.delta) * scale;
}

/* Of any row at any position: the same numbers wherever weigh applies. */
__device__ __forceinline__ void weigh_any(float &s, float &dp, const floyd_row &row, bool masked, bool absent,
                                          const floyd_job &job)
{
    const bool whole = row.flags & FLOYD_ROW_FULLY_MASKED;
    const float above = masked && whole ? -FLT_MAX - row.max : s * job.scale - row.max;
    const float weight = exp2_approx(above * LOG2E);
    s = weight * row.factor * again_of(row);
    dp = s * (dp - row.delta) * job.scale;
    if (absent || (masked && !whole) || (row.flags & FLOYD_ROW_ABSENT))
        s = dp = 0;
    else if (masked && job.zero_grad)
        dp = 0;
}

/* A piece of which every row is without flags, nothing is masked and nothing past an end. row_of(h, i): whose it
 * is. */
template <class RowOf> __device__ __forceinline__ void weigh_piece(Piece &s, Piece &dp, float scale, RowOf row_of)
{
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 4; i++) weigh(s[h][i], dp[h][i], row_of(h, i), scale);
}

template <class L> struct GradientSpace {
    static constexpr int Q = 0, DY = Q + L::PAIRS, K1 = DY + L::PAIRS, V1 = K1 + L::N * L::SLICE,
                         K2 = V1 + L::N * L::SLICE, V2 = K2 + L::M * L::SLICE, S = V2 + L::M * L::SLICE,
                         DP = S + L::EXCHANGE, BYTES = DP + L::EXCHANGE;
};

} // namespace floyd

#endif
