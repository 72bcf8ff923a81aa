/* SPDX-License-Identifier: Apache-2.0 */
/* The operators keep no state to begin or end: executors and tensors are freed by who made them. */
#include "aclnn/aclnn_base.h"
#include "aclnn/floyd_status.h"

aclnnStatus aclnnInit(const char *configPath)
{
    (void)configPath;
    return ACLNN_SUCCESS;
}

aclnnStatus aclnnFinalize(void)
{
    return ACLNN_SUCCESS;
}
