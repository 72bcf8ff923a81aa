/* SPDX-License-Identifier: Apache-2.0 */
/* What an aclTensor holds: a description of a view, and the address of a storage that is not its own. */
#ifndef FLOYD_ACLNN_TENSOR_H
#define FLOYD_ACLNN_TENSOR_H

#include <stdatomic.h>

#include "aclnn/acl_meta.h"

/* As many axes as the vendor's tensors may have; the operators take five. */
#define ACLNN_MAX_AXES 25

struct aclTensor {
    aclDataType dtype;
    aclFormat format;
    uint64_t axes, storage_axes;
    int64_t size[ACLNN_MAX_AXES];
    int64_t stride[ACLNN_MAX_AXES]; /* in elements */
    int64_t storage_size[ACLNN_MAX_AXES];
    int64_t offset; /* in elements */
    /* Atomic: aclSet*TensorAddr of two executors may name the same tensor from two threads. */
    _Atomic(void *) data;
};

struct aclTensorList {
    uint64_t count;
    const aclTensor *tensors[];
};

#endif
