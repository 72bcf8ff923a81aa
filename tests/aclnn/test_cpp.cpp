/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A C++ program of the vendor's manner: it defines status names of its own, and delete[]s what it is handed.
 * Whether operator new[] made that, AddressSanitizer sees; without it, operators of the program's own count.
 */
#include "acl/acl.h"
#include "aclnnop/aclnn_fused_floyd_attention.h"
#include "aclnnop/aclnn_fused_floyd_attention_grad.h"

#ifdef ACLNN_SUCCESS
#error "a vendor-named header defines a name that programs define"
#endif

constexpr aclnnStatus ACLNN_SUCCESS = 0;
constexpr aclnnStatus ACLNN_ERR_PARAM_NULLPTR = 161001;

#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

/* clang says so by a feature, gcc by a macro; a sanitizer's own operators then do the counting. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARRAYS_ARE_WATCHED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARRAYS_ARE_WATCHED
#endif

#ifdef ARRAYS_ARE_WATCHED
static bool live_arrays(int)
{
    return true;
}
#else
static int arrays = 0;

void *operator new[](std::size_t size, const std::nothrow_t &) noexcept
{
    arrays++;
    return std::malloc(size);
}

void operator delete[](void *block) noexcept
{
    arrays--;
    std::free(block);
}

static bool live_arrays(int count)
{
    return arrays == count;
}
#endif

namespace
{

typedef aclnnStatus (*Getter)(const aclTensor *, int64_t **, uint64_t *);

bool holds(Getter get, const aclTensor *tensor, const std::vector<int64_t> &expected)
{
    int64_t *values = nullptr;
    uint64_t count = 0;
    if (get(tensor, &values, &count) != OK) return false;
    const bool same = std::vector<int64_t>(values, values + count) == expected && live_arrays(1);
    delete[] values;
    return same && live_arrays(0);
}

} // namespace

int main()
{
    const std::vector<int64_t> shape = {1, 2, 16, 128, 32};
    aclTensor *tensor = aclCreateTensor(shape.data(), shape.size(), aclDataType::ACL_FLOAT16, nullptr, 0,
                                        aclFormat::ACL_FORMAT_ND, shape.data(), shape.size(), nullptr);
    const bool right = holds(aclGetViewShape, tensor, shape) && holds(aclGetStorageShape, tensor, shape) &&
                       holds(aclGetViewStrides, tensor, {131072, 65536, 4096, 32, 1}) &&
                       aclDestroyTensor(tensor) == ACLNN_SUCCESS &&
                       aclnnFusedFloydAttention(nullptr, 0, nullptr, nullptr) == ACLNN_ERR_PARAM_NULLPTR;
    if (!right) std::puts("the tensor says something else than it was told");
    return right ? 0 : 1;
}
