/* SPDX-License-Identifier: Apache-2.0 */
/* Floyd attention, gradient, in two phases. */
#ifndef FLOYD_CANN_ACLNNOP_FUSED_FLOYD_ATTENTION_GRAD_H
#define FLOYD_CANN_ACLNNOP_FUSED_FLOYD_ATTENTION_GRAD_H

#include "aclnn/acl_meta.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/*
 * From softmaxMax, softmaxSum and attentionIn as given (never recomputed), with S as in the forward:
 *   P  = exp(S - max) / sum
 *   dS = P * (dY[n,m].V1[n,k] + dY[n,m].V2[k,m] - dY[n,m].Y[n,m]) * scale
 *   dQ[n,m]  = sum_k dS * (K1[n,k] + K2[k,m])
 *   dK1[n,k] = sum_m dS * Q[n,m]        dK2[k,m] = sum_n dS * Q[n,m]
 *   dV1[n,k] = sum_m P * dY[n,m]        dV2[k,m] = sum_n P * dY[n,m]
 *
 *   tensor                          shape          type
 *   query, dy, attentionIn          [B,H,N,M,D]    FLOAT16, BFLOAT16 or FLOAT
 *   key1, value1                    [B,H,N,K,D]    as query
 *   key2, value2                    [B,H,K,M,D]    as query
 *   attenMaskOptional               [B,1,N,1,K]    BOOL or UINT8, non-zero = masked; or NULL
 *   softmaxMax, softmaxSum          [B,H,N,M,8]    FLOAT, element 0 of the 8 is read
 *   dqOut                           [B,H,N,M,D]    as query; overwritten, as are all outputs
 *   dk1Out, dv1Out                  [B,H,N,K,D]    as query
 *   dk2Out, dv2Out                  [B,H,K,M,D]    as query
 *
 * !! Where a row is fully masked (max <= -FLT_MAX/2) the formula stands: its gradient is not zero.
 * Sizes, format, layout and the statuses of both phases: as in aclnn_fused_floyd_attention.h.
 */
aclnnStatus aclnnFusedFloydAttentionGradGetWorkspaceSize(
    const aclTensor *query, const aclTensor *key1, const aclTensor *value1, const aclTensor *key2,
    const aclTensor *value2, const aclTensor *dy, const aclTensor *attenMaskOptional, const aclTensor *softmaxMax,
    const aclTensor *softmaxSum, const aclTensor *attentionIn, double scaleValue, const aclTensor *dqOut,
    const aclTensor *dk1Out, const aclTensor *dv1Out, const aclTensor *dk2Out, const aclTensor *dv2Out,
    uint64_t *workspaceSize, aclOpExecutor **executor);

aclnnStatus aclnnFusedFloydAttentionGrad(void *workspace, uint64_t workspaceSize, aclOpExecutor *executor,
                                         aclrtStream stream);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* FLOYD_CANN_ACLNNOP_FUSED_FLOYD_ATTENTION_GRAD_H */
