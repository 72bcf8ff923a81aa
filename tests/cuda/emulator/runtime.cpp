// SPDX-License-Identifier: Apache-2.0
// The emulated runtime: device memory is host memory from one list.
#include "cuda_runtime.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace
{

constexpr size_t shared_default = 48 * 1024, shared_most = 232448;

std::mutex mutex;
std::map<uintptr_t, size_t> allocations; // by address
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
    const bool shared = attribute == cudaFuncAttributeMaxDynamicSharedMemorySize;
    if (shared && (value < 0 || static_cast<size_t>(value) > shared_most)) return note(cudaErrorInvalidValue);
    return cudaSuccess;
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
    allocations[reinterpret_cast<uintptr_t>(block)] = bytes;
    return cudaSuccess;
}

cudaError_t cudaFree(void *memory)
{
    if (!memory) return cudaSuccess;
    const std::lock_guard<std::mutex> lock(mutex);
    if (!allocations.erase(reinterpret_cast<uintptr_t>(memory))) return note(cudaErrorInvalidValue);
    std::free(memory);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind)
{
    if (bytes) std::memcpy(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t)
{
    return cudaMemcpy(to, from, bytes, kind);
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes)
{
    if (bytes) std::memset(memory, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t)
{
    return cudaMemset(memory, value, bytes);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *memory)
{
    const std::lock_guard<std::mutex> lock(mutex);
    const uintptr_t address = reinterpret_cast<uintptr_t>(memory);
    auto after = allocations.upper_bound(address);
    const bool known = after != allocations.begin() && (--after, address - after->first < after->second);
    void *plain = const_cast<void *>(memory);
    *attributes = {known ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered, known ? 0 : -2,
                   known ? plain : nullptr, known ? nullptr : plain};
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

const char *cudaGetErrorName(cudaError_t error)
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

const char *cudaGetErrorString(cudaError_t error)
{
    return cudaGetErrorName(error);
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device ? note(cudaErrorInvalidDevice) : cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    static const std::map<int, int> values = {
        {cudaDevAttrMaxThreadsPerBlock, 1024},
        {cudaDevAttrMaxGridDimX, 0x7FFFFFFF},
        {cudaDevAttrMaxGridDimY, 65535},
        {cudaDevAttrMaxGridDimZ, 65535},
        {cudaDevAttrMaxSharedMemoryPerBlock, static_cast<int>(shared_default)},
        {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMultiProcessorCount, 132},
        {cudaDevAttrL2CacheSize, 50 << 20},
        {cudaDevAttrComputeCapabilityMajor, 9},
        {cudaDevAttrComputeCapabilityMinor, 0},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, 233472},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(shared_most)},
    };
    if (device) return note(cudaErrorInvalidDevice);
    const auto found = values.find(attribute);
    if (found == values.end()) return note(cudaErrorInvalidValue);
    *value = found->second;
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    *stream = nullptr;
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t)
{
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize(void)
{
    return cudaSuccess;
}

} // extern "C"
