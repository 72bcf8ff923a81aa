/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What phase one refuses. Each function reports the first thing wrong, in the order of the operator's
 * table: the argument, what it got and what it needs. They are called in this order, each only after
 * the one before has returned ACLNN_SUCCESS.
 */
#ifndef FLOYD_ACLNN_CHECK_H
#define FLOYD_ACLNN_CHECK_H

#include "aclnn/layout.h"
#include "aclnn/operator.h"

/* 161001: a required tensor is NULL. */
aclnnStatus aclnn_check_present(const aclnn_operator *op, const aclTensor *const *tensors);

/* 161002: a data type, then the format, of each tensor. */
aclnnStatus aclnn_check_types(const aclnn_operator *op, const aclTensor *const *tensors);

/*
 * 561002: numbers of axes; then ranges of sizes; then shapes that disagree; then overflow; then outputs that
 * overlap themselves. Tells where each tensor lies.
 */
aclnnStatus aclnn_check_shapes(const aclnn_operator *op, const aclTensor *const *tensors, aclnn_layout *layouts);

/* For a type that aclnn_check_types has let pass. */
floyd_dtype aclnn_native_type(aclDataType type);

#endif
