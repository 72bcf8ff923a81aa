/* SPDX-License-Identifier: Apache-2.0 */
/* Needs every part of the vendor's surface, finds each header as its users do, and computes nothing. */
#include "acl/acl.h"
#include "acl_meta.h"
#include "aclnn_fused_floyd_attention.h"
#include "aclnnop/aclnn_fused_floyd_attention_grad.h"
#include <stdio.h>

int main(void)
{
    uint64_t bytes = 0;
    aclOpExecutor *executor = NULL;
    aclnnStatus status;

    if (aclInit(NULL) != ACL_SUCCESS || aclrtSetDevice(0) != ACL_SUCCESS) return 1;
    status = aclnnFusedFloydAttentionGetWorkspaceSize(NULL, NULL, NULL, NULL, NULL, NULL, 1.0, NULL, NULL, NULL,
                                                      &bytes, &executor);
    printf("%d: %s\n", (int)status, aclGetRecentErrMsg());
    if (status != 161001) return 1;
    status = aclnnFusedFloydAttentionGrad(NULL, 0, NULL, NULL);
    if (status != 161001) return 1;
    return aclrtResetDevice(0) != ACL_SUCCESS || aclFinalize() != ACL_SUCCESS;
}
