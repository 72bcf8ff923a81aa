/* SPDX-License-Identifier: Apache-2.0 */
/* What the backward needs of each row (n,m), and what it makes of a position. */
#ifndef FLOYD_CUDA_SIMT_ROWS_CUH
#define FLOYD_CUDA_SIMT_ROWS_CUH

#include "simt_tile.cuh"

namespace floyd
{
namespace simt
{

/* In shared memory, the upper 16 bits of a row's flags are its masked positions. */
constexpr uint32_t ROW_MASKED = 16;

__device__ __forceinline__ floyd_row load_row(const floyd_job &job, const Tile &tile, int64_t n, int64_t m)
{
    if (n >= job.N || m >= job.M) return {0, 0, 0, FLOYD_ROW_ABSENT};
    const int64_t head = tile.b * job.H + tile.h;
    const float4 row = *reinterpret_cast<const float4 *>(job.rows + head * job.row_stride[0] +
                                                         n * job.row_stride[1] + m * job.row_stride[2]);
    return {row.x, row.y, row.z, __float_as_uint(row.w)};
}

__device__ __forceinline__ void put_row(float *rows, int index, const floyd_row &row, uint32_t masked)
{
    *reinterpret_cast<float4 *>(rows + 4 * index) =
        make_float4(row.max, row.factor, row.delta, __uint_as_float(row.flags | masked << ROW_MASKED));
}

__device__ __forceinline__ floyd_row get_row(const float *rows, int index)
{
    const float4 row = vector_at(rows, 4 * index);
    return {row.x, row.y, row.z, __float_as_uint(row.w)};
}

/*
 * From the products of four positions of a row to their weights P and to dS. What is masked has neither, except in
 * fully masked rows. `left`: of the positions, so many lie in the tensors. `bit` is the first one's among the
 * masked.
 */
__device__ __forceinline__ void derive(const floyd_job &job, const floyd_row &row, int bit, int64_t left,
                                       const float4 &score, const float *product, float *weight, float *derivative)
{
    const uint32_t masked = row.flags >> (ROW_MASKED + bit);
    const bool fully_masked = row.flags & FLOYD_ROW_FULLY_MASKED;
    if (row.flags & FLOYD_ROW_ABSENT) left = 0;
#pragma unroll
    for (int l = 0; l < 4; l++)
        weight[l] = exp_difference(masked >> l & 1 ? -FLT_MAX : part(score, l) * job.scale, row.max);
    const float again = again_of(row);
#pragma unroll
    for (int l = 0; l < 4; l++) weight[l] = weight[l] * row.factor * again;
#pragma unroll
    for (int l = 0; l < 4; l++) {
        const bool out = masked >> l & 1;
        if (l >= left || (out && !fully_masked)) weight[l] = 0;
        derivative[l] = weight[l] * (product[l] - row.delta) * job.scale;
        if (l >= left || (out && (!fully_masked || job.zero_grad))) derivative[l] = 0;
    }
}

} // namespace simt
} // namespace floyd

#endif
