/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels use of the device beyond C++: each function is one instruction, or one short idiom.
 * Under FLOYD_CUDA_EMULATED the same names come from the tests' emulator, and kernels run on the host.
 */
#ifndef FLOYD_CUDA_DEVICE_CUH
#define FLOYD_CUDA_DEVICE_CUH

#include <cstdint>

#ifdef FLOYD_CUDA_EMULATED
#include "emulator.h"
#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace floyd
{

/* The block's dynamic shared memory, aligned to 1024 bytes. */
__device__ __forceinline__ char *shared_memory()
{
    extern __shared__ __align__(1024) char floyd_shared_memory[];
    return floyd_shared_memory;
}

__device__ __forceinline__ uint32_t shared_address(const void *shared)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/*
 * Four 8x8 matrices of 16-bit elements: lane 8i + r gives the address of row r of matrix i (16 bytes, aligned).
 * Register i of lane 4g + t then holds elements (g, 2t) and (g, 2t + 1) of matrix i, the first in the low half;
 * of the matrix transposed, with `trans`.
 */
__device__ __forceinline__ void ldmatrix(uint32_t (&r)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void ldmatrix_trans(uint32_t (&r)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/*
 * c (16x8) += a (16x16) b (16x8), fp32 sums of products of 16-bit elements. With g = lane / 4 and t = lane % 4:
 * c[0], c[1] = (g, 2t), (g, 2t + 1); c[2], c[3] = (g + 8, same). a[0] = (g, 2t..), a[1] = (g + 8, 2t..),
 * a[2] = (g, 2t + 8..), a[3] = (g + 8, 2t + 8..), two columns each. b0 = rows 2t, 2t + 1 of column g, b1 = rows
 * 2t + 8, 2t + 9 of it. The first of a pair lies in the low half.
 */
__device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, __nv_bfloat16)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, __half)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/*
 * c (16x8) += a (16x8) b (8x8) in tf32: fp32 words whose low 13 bits are 0. c as above; a[0] = (g, t),
 * a[1] = (g + 8, t), a[2] = (g, t + 4), a[3] = (g + 8, t + 4); b0 = row t of column g, b1 = row t + 4 of it.
 */
__device__ __forceinline__ void mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* 16 bytes from global to shared memory, in the background; zeros, and nothing is read, unless valid. */
__device__ __forceinline__ void copy_async(void *shared, const void *global, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(shared)), "l"(global),
                 "r"(valid ? 16 : 0)
                 : "memory");
}

__device__ __forceinline__ void copy_async_commit()
{
    asm volatile("cp.async.commit_group;\n" ::: "memory");
}

/* Waits until at most Left of this thread's committed groups are under way. */
template <int Left> __device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;\n" ::"n"(Left) : "memory");
}

/* 2^x to within 2^-22 relatively; results below the normal range become 0. */
__device__ __forceinline__ float exp2_approx(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
}

/* The greater one; NaN if either is. */
__device__ __forceinline__ float max_nan(float a, float b)
{
    float y;
    asm("max.NaN.f32 %0, %1, %2;\n" : "=f"(y) : "f"(a), "f"(b));
    return y;
}

} // namespace floyd

#endif
#endif
