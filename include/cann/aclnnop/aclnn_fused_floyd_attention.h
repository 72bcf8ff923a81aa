/* SPDX-License-Identifier: Apache-2.0 */
/* Floyd attention, forward, in two phases. */
#ifndef FLOYD_CANN_ACLNNOP_FUSED_FLOYD_ATTENTION_H
#define FLOYD_CANN_ACLNNOP_FUSED_FLOYD_ATTENTION_H

#include "aclnn/acl_meta.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/*
 *   S = scale * (Q[n,m].K1[n,k] + Q[n,m].K2[k,m]), masked positions replaced by -FLT_MAX
 *   attentionOut[n,m] = sum_k softmax_k(S) * (V1[n,k] + V2[k,m])
 *
 *   tensor                        shape          type
 *   query                         [B,H,N,M,D]    FLOAT16, BFLOAT16 or FLOAT
 *   key1, value1                  [B,H,N,K,D]    as query
 *   key2, value2                  [B,H,K,M,D]    as query
 *   attenMaskOptional             [B,1,N,1,K]    BOOL or UINT8, non-zero = masked; or [B,H,N,M,K]; or NULL
 *   softmaxMaxOut, softmaxSumOut  [B,H,N,M,8]    FLOAT, the row's value 8 times; overwritten
 *   attentionOutOut               [B,H,N,M,D]    as query, or FLOAT; overwritten
 *
 * B 1..2048, H 1..256, N 16..1048576 in steps of 16, M and K 128..1048576 in steps of 128, D 32, 64 or
 * 128. Format ND. Any strides and offset; an output's elements may not overlap. fp32 arithmetic.
 *
 * Phase one checks everything and copies what the tensors say: they may then be destroyed.
 * Returns 0, or, with nothing written:
 *   161001  a required tensor, workspaceSize or executor is NULL
 *   161002  a data type or format outside the table
 *   561002  a shape outside the table, a product beyond 64 bits, an output that overlaps itself
 *   361001  FLOYDATTN_ISA names an instruction set that is not here
 *   561101  no memory
 */
aclnnStatus aclnnFusedFloydAttentionGetWorkspaceSize(const aclTensor *query, const aclTensor *key1,
                                                     const aclTensor *value1, const aclTensor *key2,
                                                     const aclTensor *value2, const aclTensor *attenMaskOptional,
                                                     double scaleValueOptional, const aclTensor *softmaxMaxOut,
                                                     const aclTensor *softmaxSumOut,
                                                     const aclTensor *attentionOutOut, uint64_t *workspaceSize,
                                                     aclOpExecutor **executor);

/*
 * Phase two takes the addresses and enqueues: the result is there after aclrtSynchronizeStream. It consumes
 * the executor unless that is repeatable. The workspace may have any alignment.
 * Returns 0, or, with nothing enqueued and the executor still usable:
 *   161001  executor is NULL, workspace is NULL while its size is not 0, or a tensor has no address
 *   161002  executor unknown or used, workspaceSize too small, an output that shares bytes with another
 *           tensor, or any tensor with the workspace
 *   361001  the stream cannot take work: NULL without a device, or unknown
 *   561101  no memory
 */
aclnnStatus aclnnFusedFloydAttention(void *workspace, uint64_t workspaceSize, aclOpExecutor *executor,
                                     aclrtStream stream);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* FLOYD_CANN_ACLNNOP_FUSED_FLOYD_ATTENTION_H */
