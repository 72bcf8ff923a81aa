// SPDX-License-Identifier: Apache-2.0
// The emulated runtime: device memory is host memory from one list.
#include "emulator.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

namespace
{

std::mutex mutex;
std::set<void *> allocations;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t note(cudaError_t error)
{
    if (error != cudaSuccess) last_error = error;
    return error;
}

} // namespace

extern "C" {

cudaError_t floyd_emulated_function_attribute(cudaFuncAttribute attribute, int value)
{
    const bool known = attribute == cudaFuncAttributeMaxDynamicSharedMemorySize;
    const bool fits = value >= 0 && static_cast<size_t>(value) <= floyd::emulated::most_shared();
    return known && fits ? cudaSuccess : note(cudaErrorInvalidValue);
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    *memory = nullptr;
    if (!bytes) return cudaSuccess;
    void *block = nullptr;
    if (posix_memalign(&block, 256, bytes)) return note(cudaErrorMemoryAllocation);
    std::memset(block, 0xFF, bytes);
    *memory = block;
    const std::lock_guard<std::mutex> lock(mutex);
    allocations.insert(block);
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (!memory) return cudaSuccess;
    const std::lock_guard<std::mutex> lock(mutex);
    if (!allocations.erase(memory)) return note(cudaErrorInvalidValue);
    std::free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind)
{
    if (bytes) std::memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaSuccess:
        return "cudaSuccess";
    case cudaErrorInvalidValue:
        return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
        return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidDevice:
        return "cudaErrorInvalidDevice";
    default:
        return "cudaErrorUnknown";
    }
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    if (device) return note(cudaErrorInvalidDevice);
    switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
        *value = 9;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = 0;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(floyd::emulated::most_shared());
        return cudaSuccess;
    }
    return note(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceSynchronize(void)
{
    return cudaSuccess;
}

} // extern "C"
