/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of CUDA's runtime that the host code uses, on the host: device memory is host memory, and
 * kernels run at once whatever their stream. Enumerators have the values of the real runtime.
 */
#ifndef FLOYD_EMULATED_CUDA_RUNTIME_H
#define FLOYD_EMULATED_CUDA_RUNTIME_H

#include <stddef.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInvalidDevice = 101
} cudaError_t;

typedef struct CUstream_st *cudaStream_t;

enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };

enum cudaDeviceAttr {
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

/* Poisoned with 0xFF. */
cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind);

cudaError_t cudaGetLastError(void);
const char *cudaGetErrorString(cudaError_t error);

cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device);
cudaError_t cudaDeviceSynchronize(void);

cudaError_t floyd_emulated_function_attribute(enum cudaFuncAttribute attribute, int value);

#ifdef __cplusplus
}

template <class T> cudaError_t cudaFuncSetAttribute(T *, cudaFuncAttribute attribute, int value)
{
    return floyd_emulated_function_attribute(attribute, value);
}
#endif

#pragma GCC visibility pop

#endif
