/* SPDX-License-Identifier: Apache-2.0 */
/* Where a strided view lies: pure arithmetic on sizes and strides. */
#ifndef FLOYD_ACLNN_LAYOUT_H
#define FLOYD_ACLNN_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "aclnn/tensor.h"

/* Bytes from the address of the storage: element 0, the lowest byte, and the byte past the highest. */
typedef struct aclnn_layout {
    int64_t first, low, high;
} aclnn_layout;

/* Bytes [begin, end). */
typedef struct aclnn_range {
    uintptr_t begin, end;
} aclnn_range;

/* False where the number of bytes, or the distance to one of them, does not fit in 64 bits. No size may be < 1. */
bool aclnn_layout_of(const aclTensor *tensor, int64_t element_bytes, aclnn_layout *layout);

/*
 * True when no two elements can share memory: without the axes of size 1 and sorted by |stride|, each |stride|
 * exceeds the summed extent of the smaller ones. For tensors that aclnn_layout_of accepts.
 */
bool aclnn_layout_injective(const aclTensor *tensor);

/* Ends that lie outside the address space are cut to it. */
aclnn_range aclnn_range_of(const void *data, const aclnn_layout *layout);

bool aclnn_range_meets(aclnn_range a, aclnn_range b);

#endif
