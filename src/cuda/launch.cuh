/* SPDX-License-Identifier: Apache-2.0 */
/* One way to launch a kernel, on a device or in the tests' emulator. */
#ifndef FLOYD_CUDA_LAUNCH_CUH
#define FLOYD_CUDA_LAUNCH_CUH

#include <cstddef>

#include "device.cuh"

/* Dynamic shared memory that every kernel may have without asking. */
constexpr size_t FLOYD_SHARED_UNASKED = 48 * 1024;

template <class... P>
cudaError_t floyd_launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream, P... args)
{
    if (shared > FLOYD_SHARED_UNASKED) {
        const cudaError_t error =
            cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
        if (error != cudaSuccess) return error;
    }
#ifdef FLOYD_CUDA_EMULATED
    (void)stream;
    floyd_emulate(kernel, grid, block, shared, args...);
    return cudaSuccess;
#else
    kernel<<<grid, block, shared, stream>>>(args...);
    return cudaGetLastError();
#endif
}

#endif
