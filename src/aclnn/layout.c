/* SPDX-License-Identifier: Apache-2.0 */
#include "aclnn/layout.h"

#define MULTIPLY __builtin_mul_overflow
#define ADD __builtin_add_overflow

bool aclnn_layout_of(const aclTensor *tensor, int64_t element_bytes, aclnn_layout *layout)
{
    int64_t bytes = element_bytes;
    bool overflow = MULTIPLY(tensor->offset, element_bytes, &layout->first);
    layout->low = layout->first;
    overflow |= ADD(layout->first, element_bytes, &layout->high);
    for (uint64_t a = 0; a < tensor->axes; a++) {
        int64_t reach = 0;
        overflow |= MULTIPLY(bytes, tensor->size[a], &bytes);
        if (tensor->size[a] == 1) continue;
        overflow |= MULTIPLY(tensor->size[a] - 1, tensor->stride[a], &reach);
        overflow |= MULTIPLY(reach, element_bytes, &reach);
        overflow |= reach < 0 ? ADD(layout->low, reach, &layout->low) : ADD(layout->high, reach, &layout->high);
    }
    int64_t extent;
    return !overflow && !__builtin_sub_overflow(layout->high, layout->low, &extent);
}

static uint64_t magnitude(int64_t stride)
{
    return stride < 0 ? 0 - (uint64_t)stride : (uint64_t)stride;
}

/* The axes of size above 1, by rising |stride|. Returns how many. */
static int sorted_axes(const aclTensor *tensor, uint64_t axes[ACLNN_MAX_AXES])
{
    int count = 0;
    for (uint64_t a = 0; a < tensor->axes; a++) {
        if (tensor->size[a] == 1) continue;
        int at = count++;
        for (; at > 0 && magnitude(tensor->stride[axes[at - 1]]) > magnitude(tensor->stride[a]); at--) {
            axes[at] = axes[at - 1];
        }
        axes[at] = a;
    }
    return count;
}

bool aclnn_layout_injective(const aclTensor *tensor)
{
    uint64_t axes[ACLNN_MAX_AXES], extent = 0;
    const int count = sorted_axes(tensor, axes);
    for (int i = 0; i < count; i++) {
        const uint64_t step = magnitude(tensor->stride[axes[i]]);
        if (step <= extent) return false;
        extent += step * (uint64_t)(tensor->size[axes[i]] - 1);
    }
    return true;
}

static uintptr_t moved(uintptr_t address, int64_t bytes)
{
    uintptr_t result;
    if (!ADD(address, bytes, &result)) return result;
    return bytes < 0 ? 0 : UINTPTR_MAX;
}

aclnn_range aclnn_range_of(const void *data, const aclnn_layout *layout)
{
    const uintptr_t address = (uintptr_t)data;
    return (aclnn_range){moved(address, layout->low), moved(address, layout->high)};
}

bool aclnn_range_meets(aclnn_range a, aclnn_range b)
{
    return a.begin < b.end && b.begin < a.end;
}
