/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers on their way into and out of the kernels. */
#ifndef FLOYD_CUDA_NUMBERS_CUH
#define FLOYD_CUDA_NUMBERS_CUH

#include "device.cuh"
#include "job.h"

namespace floyd
{

constexpr float LOG2E = 1.4426950408889634f;

__device__ __forceinline__ int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

__device__ __forceinline__ float low_half(uint32_t pair, __nv_bfloat16)
{
    return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float high_half(uint32_t pair, __nv_bfloat16)
{
    return __uint_as_float(pair & 0xffff0000u);
}

__device__ __forceinline__ float low_half(uint32_t pair, __half)
{
    return __half2float(__ushort_as_half(static_cast<unsigned short>(pair & 0xffffu)));
}

__device__ __forceinline__ float high_half(uint32_t pair, __half)
{
    return __half2float(__ushort_as_half(static_cast<unsigned short>(pair >> 16)));
}

/* A little more than 1: by it the rest of a number that has been cut off keeps its sign and is not 0. */
constexpr float NUDGE = 1 + 0x1p-23f;

/*
 * What is left of a when its upper bits, `high`, are taken away, to within 2^-23 a. It has the sign of a, and is
 * not 0 unless a is, or is tiny (parts below 2^-126 are lost): so the products of the parts with inf agree, and
 * only 0 * inf makes a NaN, as without parts. Of an infinite a, where there may be one, it is a.
 */
template <bool Finite> __device__ __forceinline__ float rest_of(float a, float high)
{
    const float rest = fmaf(a, NUDGE, -high);
    return !Finite && fabsf(a) == INFINITY ? a : rest;
}

__device__ __forceinline__ float upper_bits(float a, uint32_t mask)
{
    return __uint_as_float(__float_as_uint(a) & mask);
}

/* The upper halves of two floats, a's first: bf16 numbers, rounded towards 0. */
__device__ __forceinline__ uint32_t pack_upper(float a, float b)
{
    return __byte_perm(__float_as_uint(a), __float_as_uint(b), 0x7632);
}

__device__ __forceinline__ float load_float(const floyd_view &view, int64_t at)
{
    switch (view.dtype) {
    case FLOYD_F32:
        return reinterpret_cast<const float *>(view.data)[at];
    case FLOYD_F16:
        return __half2float(reinterpret_cast<const __half *>(view.data)[at]);
    default:
        return __bfloat162float(reinterpret_cast<const __nv_bfloat16 *>(view.data)[at]);
    }
}

/* Division by one number, as two products: also where its own reciprocal would be subnormal or infinite. */
struct Reciprocal {
    float factor, again;

    __device__ explicit Reciprocal(float divisor) : again(1)
    {
        if (fabsf(divisor) < 0x1p-100f) again = 0x1p64f;
        if (fabsf(divisor) > 0x1p100f) again = 0x1p-64f;
        factor = 1 / (divisor * again);
    }

    __device__ __forceinline__ float operator()(float value) const { return value * factor * again; }
};

/* The second factor of a row's weights, behind job.h's first one. */
__device__ __forceinline__ float again_of(const floyd_row &row)
{
    if (row.flags & FLOYD_ROW_TINY_SUM) return 0x1p64f;
    return row.flags & FLOYD_ROW_HUGE_SUM ? 0x1p-64f : 1;
}

/* Every output passes here: NaN has one pattern, and a sum of -0 becomes +0. */
__device__ __forceinline__ float output_float(float value)
{
    return value == value ? value + 0.0f : __uint_as_float(0x7fc00000u);
}

/* Rounded once, to nearest even. */
__device__ __forceinline__ uint16_t output_half(float value)
{
    return value == value ? __half_as_ushort(__float2half_rn(value + 0.0f)) : uint16_t(0x7e00);
}

__device__ __forceinline__ uint16_t output_bfloat16(float value)
{
    return value == value ? __bfloat16_as_ushort(__float2bfloat16_rn(value + 0.0f)) : uint16_t(0x7fc0);
}

__device__ __forceinline__ void store_float(const floyd_view &view, int64_t at, float value)
{
    switch (view.dtype) {
    case FLOYD_F32:
        reinterpret_cast<float *>(view.data)[at] = output_float(value);
        break;
    case FLOYD_F16:
        reinterpret_cast<uint16_t *>(view.data)[at] = output_half(value);
        break;
    default:
        reinterpret_cast<uint16_t *>(view.data)[at] = output_bfloat16(value);
        break;
    }
}

/* Two neighbours at once; the address is a multiple of their size. */
__device__ __forceinline__ void store_pair(const floyd_view &view, int64_t at, float a, float b)
{
    switch (view.dtype) {
    case FLOYD_F32:
        *reinterpret_cast<float2 *>(view.data + at * 4) = make_float2(output_float(a), output_float(b));
        break;
    case FLOYD_F16:
        *reinterpret_cast<uint32_t *>(view.data + at * 2) = output_half(a) | static_cast<uint32_t>(output_half(b))
                                                                                 << 16;
        break;
    default:
        *reinterpret_cast<uint32_t *>(view.data + at * 2) =
            output_bfloat16(a) | static_cast<uint32_t>(output_bfloat16(b)) << 16;
        break;
    }
}

} // namespace floyd

#endif
