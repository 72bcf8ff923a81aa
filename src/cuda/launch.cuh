/* SPDX-License-Identifier: Apache-2.0 */
/* One way to launch a kernel, on a device or in the tests' emulator. */
#ifndef FLOYD_CUDA_LAUNCH_CUH
#define FLOYD_CUDA_LAUNCH_CUH

#include <cstddef>

#include "device.cuh"

/*
 * Dynamic shared memory that every kernel may have without asking; what every device of compute capability 8.0 or
 * more gives one that asks; and what those of 9.0 and 10.x give.
 */
constexpr size_t FLOYD_SHARED_UNASKED = 48 * 1024, FLOYD_SHARED_ANY = 99 * 1024, FLOYD_SHARED_LARGE = 227 * 1024;

/* Whether kernels that need FLOYD_SHARED_LARGE run on the current device. */
inline bool floyd_shared_is_large()
{
    int device = 0, bytes = 0;
    return cudaGetDevice(&device) == cudaSuccess &&
           cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) == cudaSuccess &&
           bytes >= static_cast<int>(FLOYD_SHARED_LARGE);
}

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
    void *given[] = {&args...};
    return cudaLaunchKernel(reinterpret_cast<const void *>(kernel), grid, block, given, shared, stream);
#endif
}

#endif
