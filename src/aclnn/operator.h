/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator as a table: its arguments in the order of its prototype, and the two native calls that it
 * becomes. Everything else, both phases and the control of executors, is the same for all operators.
 */
#ifndef FLOYD_ACLNN_OPERATOR_H
#define FLOYD_ACLNN_OPERATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "aclnn/acl_meta.h"
#include "floydattn.h"

#define ACLNN_MAX_ARGUMENTS 15
#define ACLNN_AXES 5

/* Arguments that every operator begins with. The sizes of the problem are read from these two. */
enum { ACLNN_QUERY = 0, ACLNN_KEY1 = 1 };

typedef enum aclnn_type_rule {
    ACLNN_TYPE_OPERAND,       /* FLOAT16, BFLOAT16 or FLOAT; and as query, after query itself */
    ACLNN_TYPE_OPERAND_FLOAT, /* as query, or FLOAT */
    ACLNN_TYPE_MASK,          /* BOOL or UINT8 */
    ACLNN_TYPE_FLOAT          /* FLOAT */
} aclnn_type_rule;

typedef struct aclnn_argument {
    const char *name; /* the vendor's */
    aclnn_type_rule type;
    const char *shape;       /* one letter an axis: a size by its name, or a digit */
    const char *alternative; /* another shape that is taken too, or NULL */
    bool optional;
    size_t native; /* offset of its floyd_tensor pointer in the arguments of the native call */
} aclnn_argument;

struct aclnn_executor;

typedef struct aclnn_operator {
    const char *name; /* of phase two; phase one adds GetWorkspaceSize */
    int inputs;       /* arguments [0, inputs) are read, [inputs, count) are written */
    int count;
    const aclnn_argument *arguments;
    floyd_status (*query)(const struct aclnn_executor *executor, size_t *bytes);
    floyd_status (*run)(const struct aclnn_executor *executor, void *workspace, size_t bytes);
} aclnn_operator;

/* Phase one and phase two of an operator. tensors: count of them, in the order of the table. */
aclnnStatus aclnn_prepare(const aclnn_operator *op, const aclTensor *const *tensors, double scale,
                          uint64_t *workspace_size, aclOpExecutor **executor);
aclnnStatus aclnn_launch(const aclnn_operator *op, void *workspace, uint64_t workspace_size,
                         aclOpExecutor *executor, aclrtStream stream);

#endif
