/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor.h"

enum { AXES = 5 };

size_t floyd_dtype_size(floyd_dtype dtype)
{
    switch (dtype) {
    case FLOYD_F32:
        return 4;
    case FLOYD_F64:
        return 8;
    case FLOYD_F16:
    case FLOYD_BF16:
        return 2;
    case FLOYD_U8:
        return 1;
    }
    return 0;
}

floyd_tensor floyd_contiguous(void *data, floyd_dtype dtype, int64_t size0, int64_t size1, int64_t size2,
                              int64_t size3, int64_t size4)
{
    floyd_tensor tensor = {data, dtype, {size0, size1, size2, size3, size4}, {0}};
    /* Products that do not fit wrap here, in unsigned arithmetic, and are refused where the tensor is used. */
    uint64_t stride = 1;
    for (int axis = AXES - 1; axis >= 0; axis--) {
        tensor.stride[axis] = (int64_t)stride;
        stride *= (uint64_t)tensor.size[axis];
    }
    return tensor;
}

bool floyd_tensor_empty(const floyd_tensor *tensor)
{
    for (int axis = 0; axis < AXES; axis++)
        if (tensor->size[axis] == 0) return true;
    return false;
}

static bool product_fits(const floyd_tensor *tensor)
{
    int64_t product = (int64_t)floyd_dtype_size(tensor->dtype);
    for (int axis = 0; axis < AXES; axis++)
        if (__builtin_mul_overflow(product, tensor->size[axis], &product)) return false;
    return true;
}

bool floyd_tensor_extent(const floyd_tensor *tensor, int64_t *low, int64_t *high)
{
    *low = *high = 0;
    if (floyd_tensor_empty(tensor)) return true;
    if (!product_fits(tensor)) return false;
    int64_t first = 0, last = 0;
    for (int axis = 0; axis < AXES; axis++) {
        int64_t reach, *end = tensor->stride[axis] < 0 ? &first : &last;
        if (__builtin_mul_overflow(tensor->size[axis] - 1, tensor->stride[axis], &reach)) return false;
        if (__builtin_add_overflow(*end, reach, end)) return false;
    }
    const int64_t bytes = (int64_t)floyd_dtype_size(tensor->dtype);
    return !__builtin_mul_overflow(first, bytes, low) && !__builtin_add_overflow(last, 1, &last) &&
           !__builtin_mul_overflow(last, bytes, high);
}

/* |stride| and reach of the axes that move, sorted by |stride|; returns how many. */
static int sorted_axes(const floyd_tensor *tensor, int64_t step[AXES], int64_t reach[AXES])
{
    int count = 0;
    for (int axis = 0; axis < AXES; axis++) {
        if (tensor->size[axis] == 1) continue;
        const int64_t size = tensor->stride[axis] < 0 ? -tensor->stride[axis] : tensor->stride[axis];
        int at = count++;
        for (; at > 0 && step[at - 1] > size; at--) {
            step[at] = step[at - 1];
            reach[at] = reach[at - 1];
        }
        step[at] = size;
        reach[at] = size * (tensor->size[axis] - 1);
    }
    return count;
}

bool floyd_tensor_apart(const floyd_tensor *tensor)
{
    int64_t step[AXES], reach[AXES], covered = 0;
    if (floyd_tensor_empty(tensor)) return true;
    const int count = sorted_axes(tensor, step, reach);
    for (int i = 0; i < count; i++) {
        if (step[i] <= covered) return false;
        covered += reach[i];
    }
    return true;
}

void floyd_tensor_broadcast(floyd_tensor *tensor)
{
    for (int axis = 0; axis < AXES; axis++)
        if (tensor->size[axis] == 1) tensor->stride[axis] = 0;
}
