/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statuses of the aclnn surface by name. No other header here includes this one, and it is not of
 * the vendor: existing programs define these names themselves, as macros or as constants, and go on
 * doing so. A name that is a macro already is left alone.
 */
#ifndef FLOYD_CANN_ACLNN_FLOYD_STATUS_H
#define FLOYD_CANN_ACLNN_FLOYD_STATUS_H

#include "aclnn/acl_meta.h"

#ifndef ACLNN_SUCCESS
#define ACLNN_SUCCESS 0
#endif
/* A required pointer is NULL. */
#ifndef ACLNN_ERR_PARAM_NULLPTR
#define ACLNN_ERR_PARAM_NULLPTR 161001
#endif
/* A data type, a format, an executor, a workspace size or an overlap that cannot be. */
#ifndef ACLNN_ERR_PARAM_INVALID
#define ACLNN_ERR_PARAM_INVALID 161002
#endif
/* No device or stream, or FLOYDATTN_ISA names what is not here. */
#ifndef ACLNN_ERR_RUNTIME_ERROR
#define ACLNN_ERR_RUNTIME_ERROR 361001
#endif
#ifndef ACLNN_ERR_INNER
#define ACLNN_ERR_INNER 561000
#endif
/* A shape or a layout outside the operator's table. */
#ifndef ACLNN_ERR_INNER_TILING_ERROR
#define ACLNN_ERR_INNER_TILING_ERROR 561002
#endif
/* No memory for an executor. */
#ifndef ACLNN_ERR_INNER_CREATE_EXECUTOR
#define ACLNN_ERR_INNER_CREATE_EXECUTOR 561101
#endif
/* A NULL executor or tensor given to the control of executors, or no memory for an answer. */
#ifndef ACLNN_ERR_INNER_NULLPTR
#define ACLNN_ERR_INNER_NULLPTR 561103
#endif

#endif /* FLOYD_CANN_ACLNN_FLOYD_STATUS_H */
