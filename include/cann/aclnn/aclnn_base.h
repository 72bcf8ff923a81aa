/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start and end for programs that call operators alone: lighter stand-ins for aclInit and aclFinalize,
 * which may be used beside them, in any number and order.
 */
#ifndef FLOYD_CANN_ACLNN_ACLNN_BASE_H
#define FLOYD_CANN_ACLNN_ACLNN_BASE_H

#include "aclnn/acl_meta.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* configPath is not read and may be NULL. Return 0. */
aclnnStatus aclnnInit(const char *configPath);
aclnnStatus aclnnFinalize(void);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* FLOYD_CANN_ACLNN_ACLNN_BASE_H */
