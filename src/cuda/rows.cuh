/* SPDX-License-Identifier: Apache-2.0 */
/* What the backward needs of each row (n,m), prepared once: floyd_row of job.h. */
#ifndef FLOYD_CUDA_ROWS_CUH
#define FLOYD_CUDA_ROWS_CUH

#include "numbers.cuh"

namespace floyd
{

constexpr int ROWS_THREADS = 256, ROW_LANES = 8, ROWS_AT_ONCE = ROWS_THREADS / ROW_LANES;

/* Elements d .. d + 7 of a row of D that begins at element `at`; 0 past its end. */
__device__ __forceinline__ void load_eight(float (&value)[8], const floyd_view &view, int64_t at, int64_t d,
                                           int64_t D)
{
    const int size = view.dtype == FLOYD_F32 ? 4 : 2;
    const char *const from = view.data + (at + d) * size;
    if (view.stride[4] == 1 && d + 8 <= D && reinterpret_cast<uintptr_t>(from) % 16 == 0) {
        const uint4 low = *reinterpret_cast<const uint4 *>(from);
        const uint32_t word[4] = {low.x, low.y, low.z, low.w};
        if (size == 4) {
            const uint4 high = *reinterpret_cast<const uint4 *>(from + 16);
            const uint32_t more[4] = {high.x, high.y, high.z, high.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                value[i] = __uint_as_float(word[i]);
                value[4 + i] = __uint_as_float(more[i]);
            }
            return;
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const bool half = view.dtype == FLOYD_F16;
            value[2 * i] = half ? low_half(word[i], __half()) : low_half(word[i], __nv_bfloat16());
            value[2 * i + 1] = half ? high_half(word[i], __half()) : high_half(word[i], __nv_bfloat16());
        }
        return;
    }
    for (int i = 0; i < 8; i++) value[i] = d + i < D ? load_float(view, at + (d + i) * view.stride[4]) : 0;
}

/* dY.Y of a row, in one order whatever its layout: by eight lanes, eight neighbours each, and then across them. */
__device__ __forceinline__ float delta_of(const floyd_view &dy, int64_t dy_at, const floyd_view &y, int64_t y_at,
                                          int64_t D, int part)
{
    float delta = 0;
    for (int64_t d = 8 * part; d < D; d += 8 * ROW_LANES) {
        float a[8], b[8];
        load_eight(a, dy, dy_at, d, D);
        load_eight(b, y, y_at, d, D);
#pragma unroll
        for (int i = 0; i < 8; i++) delta = fmaf(a[i], b[i], delta);
    }
    for (int flip = ROW_LANES / 2; flip > 0; flip /= 2) delta += __shfl_xor_sync(0xffffffffu, delta, flip);
    return delta;
}

__global__ void __launch_bounds__(ROWS_THREADS) rows_kernel(const __grid_constant__ floyd_job job)
{
    const floyd_view &y = job.tensor[FLOYD_ROLE_Y], &dy = job.tensor[FLOYD_ROLE_DY];
    const floyd_view &max = job.tensor[FLOYD_ROLE_MAX], &sum = job.tensor[FLOYD_ROLE_SUM];
    const int64_t count = job.B * job.H * job.N * job.M, step = static_cast<int64_t>(gridDim.x) * ROWS_AT_ONCE;
    const int group = threadIdx.x / ROW_LANES, part = threadIdx.x % ROW_LANES;
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * ROWS_AT_ONCE; first < count; first += step) {
        /* Lanes past the last row go along with it: the warp stays whole for the sum across lanes. */
        const int64_t row = first + group < count ? first + group : count - 1;
        const int64_t m = row % job.M, line = row / job.M, n = line % job.N, head = line / job.N;
        const int64_t b = head / job.H, h = head % job.H;
        const auto at = [=](const floyd_view &view) {
            return b * view.stride[0] + h * view.stride[1] + n * view.stride[2] + m * view.stride[3];
        };
        const float delta = delta_of(dy, at(dy), y, at(y), job.D, part);
        if (part != 0 || first + group >= count) continue;
        const Reciprocal by(load_float(sum, at(sum)));
        floyd_row out = {load_float(max, at(max)), by.factor, delta, 0};
        if (out.max <= FLOYD_FULLY_MASKED) out.flags |= FLOYD_ROW_FULLY_MASKED;
        if (by.again > 1) out.flags |= FLOYD_ROW_TINY_SUM;
        if (by.again < 1) out.flags |= FLOYD_ROW_HUGE_SUM;
        job.rows[head * job.row_stride[0] + n * job.row_stride[1] + m * job.row_stride[2]] = out;
    }
}

} // namespace floyd

#endif
