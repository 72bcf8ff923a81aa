/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of the two operators: what each is like in a plain call of the smallest size, and memory for it. */
#ifndef FLOYD_FUZZ_ACLNN_CALLS_H
#define FLOYD_FUZZ_ACLNN_CALLS_H

#include "acl/acl.h"
#include "aclnn/acl_meta.h"

#include "input.h"

typedef enum argument {
    A_QUERY,
    A_KEY1,
    A_VALUE1,
    A_KEY2,
    A_VALUE2,
    A_DY,
    A_MASK,
    A_MAX,
    A_SUM,
    A_ATTENTION,
    A_DQ,
    A_DK1,
    A_DV1,
    A_DK2,
    A_DV2,
    ARGUMENTS
} argument;

/* What an aclTensor is made from. */
typedef struct description {
    argument argument;
    uint64_t axes, storage_axes;
    int64_t size[32], stride[32], offset;
    bool sizes, strides; /* whether they are given */
    aclDataType type;
    aclFormat format;
    void *data;
} description;

description describe(argument a);
/* Changes some of it. */
void bend(description *d, input *in);
/* Whether every element lies in the argument's memory. */
bool in_memory(const description *d);
void *memory_of(argument a);

aclTensor *new_tensor(const description *d);
aclnnStatus init_tensor(aclTensor *t, const description *d);
void release_array(int64_t *values);

/* Whether the operator, forward or gradient, has this argument. */
bool takes(bool gradient, argument a);
aclnnStatus call_phase_one(bool gradient, const aclTensor *const t[ARGUMENTS], uint64_t *bytes,
                           aclOpExecutor **executor);
aclnnStatus call_phase_two(bool gradient, void *workspace, uint64_t bytes, aclOpExecutor *executor,
                           aclrtStream stream);

/* Whether calls that reach the CPU library compute; else it has checked them, and that is all. */
extern bool computing;

#endif
