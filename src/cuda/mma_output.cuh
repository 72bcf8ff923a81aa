/* SPDX-License-Identifier: Apache-2.0 */
/* How results leave a block: sums of the phase by m to those of the phase by n, and rows of D to their tensor. */
#ifndef FLOYD_CUDA_MMA_OUTPUT_CUH
#define FLOYD_CUDA_MMA_OUTPUT_CUH

#include "mma_tile.cuh"

namespace floyd
{

/* Where fp32 results [n][m][d] of the phase by m lie for the phase by n: this lane's pair of columns 8j + 2t. */
template <class L> __device__ __forceinline__ float2 *result_at(char *shared, int n, int m, int j, int t)
{
    const int pair = (4 * j + t) ^ (((n ^ m) & 3) << 2);
    return reinterpret_cast<float2 *>(shared + ((n * L::M + m) * L::COLUMNS * 4 + pair) * 8);
}

template <class L>
__device__ __forceinline__ void put_results(char *shared, const float (&sum)[L::COLUMNS][4], int m, const Lane &my)
{
#pragma unroll
    for (int j = 0; j < L::COLUMNS; j++) {
        *result_at<L>(shared, my.g, m, j, my.t) = make_float2(sum[j][0], sum[j][1]);
        *result_at<L>(shared, my.g + 8, m, j, my.t) = make_float2(sum[j][2], sum[j][3]);
    }
}

template <class L>
__device__ __forceinline__ void add_results(float (&sum)[L::COLUMNS][4], char *shared, int n, int m0,
                                            const Lane &my)
{
#pragma unroll
    for (int j = 0; j < L::COLUMNS; j++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const float2 other = *result_at<L>(shared, n, m0 + my.g + 8 * i, j, my.t);
            sum[j][2 * i] += other.x;
            sum[j][2 * i + 1] += other.y;
        }
    }
}

/* Columns 2t, 2t + 1 of every 8 of a row of D, one element at a time. at: offset of the row in elements. */
template <int COLUMNS>
__device__ __noinline__ void store_row_any(const floyd_view &view, int64_t at, const float (&values)[COLUMNS][2],
                                           bool add, int64_t D, int t)
{
    for (int j = 0; j < COLUMNS; j++) {
        for (int e = 0; e < 2; e++) {
            const int64_t d = 8 * j + 2 * t + e;
            if (d >= D) continue;
            float value = values[j][e];
            if (add) value += load_float(view, at + d * view.stride[4]);
            store_float(view, at + d * view.stride[4], value);
        }
    }
}

/* Two elements at a time are written where that is possible. */
__device__ __forceinline__ bool in_pairs(const floyd_view &view, int64_t at)
{
    const int size = view.dtype == FLOYD_F32 ? 4 : 2;
    return view.stride[4] == 1 && (reinterpret_cast<uintptr_t>(view.data) + at * size) % (2 * size) == 0;
}

/* One row of a fragment, divided, into columns of a row of D. D is a multiple of 8. */
template <int COLUMNS>
__device__ __forceinline__ void store_row(const floyd_view &view, int64_t at, const float (&sum)[COLUMNS][4],
                                          int row, const Reciprocal &by, bool add, int64_t D, int t)
{
    if (add || !in_pairs(view, at)) {
        float values[COLUMNS][2];
#pragma unroll
        for (int j = 0; j < COLUMNS; j++)
#pragma unroll
            for (int e = 0; e < 2; e++) values[j][e] = by(sum[j][2 * row + e]);
        store_row_any<COLUMNS>(view, at, values, add, D, t);
        return;
    }
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
        if (8 * j >= D) continue;
        store_pair(view, at + 8 * j + 2 * t, by(sum[j][2 * row]), by(sum[j][2 * row + 1]));
    }
}

__device__ __forceinline__ int64_t row_at(const floyd_view &view, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return b * view.stride[0] + h * view.stride[1] + i * view.stride[2] + j * view.stride[3];
}

__device__ __forceinline__ void store_copies(const floyd_view &view, int64_t at, int64_t copies, float value)
{
    for (int64_t i = 0; i < copies; i++) store_float(view, at + i * view.stride[4], value);
}

} // namespace floyd

#endif
