/* SPDX-License-Identifier: Apache-2.0 */
/* aclnnFusedFloydAttention: one floyd_forward. */
#include "aclnnop/aclnn_fused_floyd_attention.h"

#include "aclnn/executor.h"

#define NATIVE(field) offsetof(floyd_forward_args, field)

static const aclnn_argument ARGUMENTS[] = {
    {"query", ACLNN_TYPE_OPERAND, "BHNMD", NULL, false, NATIVE(q)},
    {"key1", ACLNN_TYPE_OPERAND, "BHNKD", NULL, false, NATIVE(k1)},
    {"value1", ACLNN_TYPE_OPERAND, "BHNKD", NULL, false, NATIVE(v1)},
    {"key2", ACLNN_TYPE_OPERAND, "BHKMD", NULL, false, NATIVE(k2)},
    {"value2", ACLNN_TYPE_OPERAND, "BHKMD", NULL, false, NATIVE(v2)},
    {"attenMaskOptional", ACLNN_TYPE_MASK, "B1N1K", "BHNMK", true, NATIVE(mask)},
    {"softmaxMaxOut", ACLNN_TYPE_FLOAT, "BHNM8", NULL, false, NATIVE(max)},
    {"softmaxSumOut", ACLNN_TYPE_FLOAT, "BHNM8", NULL, false, NATIVE(sum)},
    {"attentionOutOut", ACLNN_TYPE_OPERAND_FLOAT, "BHNMD", NULL, false, NATIVE(y)},
};

static floyd_forward_args native_args(const aclnn_executor *executor)
{
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    args.scale = executor->scale;
    aclnn_executor_bind(executor, &args);
    return args;
}

static floyd_status query(const aclnn_executor *executor, size_t *bytes)
{
    const floyd_forward_args args = native_args(executor);
    const floyd_options options = aclnn_executor_options(executor);
    return floyd_forward_workspace(&args, &options, bytes);
}

static floyd_status run(const aclnn_executor *executor, void *workspace, size_t bytes)
{
    const floyd_forward_args args = native_args(executor);
    const floyd_options options = aclnn_executor_options(executor);
    return floyd_forward(&args, &options, workspace, bytes);
}

static const aclnn_operator FORWARD = {
    "aclnnFusedFloydAttention", 6, sizeof ARGUMENTS / sizeof *ARGUMENTS, ARGUMENTS, query, run};

aclnnStatus aclnnFusedFloydAttentionGetWorkspaceSize(const aclTensor *query, const aclTensor *key1,
                                                     const aclTensor *value1, const aclTensor *key2,
                                                     const aclTensor *value2, const aclTensor *attenMaskOptional,
                                                     double scaleValueOptional, const aclTensor *softmaxMaxOut,
                                                     const aclTensor *softmaxSumOut,
                                                     const aclTensor *attentionOutOut, uint64_t *workspaceSize,
                                                     aclOpExecutor **executor)
{
    const aclTensor *tensors[] = {query,         key1,          value1,         key2, value2, attenMaskOptional,
                                  softmaxMaxOut, softmaxSumOut, attentionOutOut};
    return aclnn_prepare(&FORWARD, tensors, scaleValueOptional, workspaceSize, executor);
}

aclnnStatus aclnnFusedFloydAttention(void *workspace, uint64_t workspaceSize, aclOpExecutor *executor,
                                     aclrtStream stream)
{
    return aclnn_launch(&FORWARD, workspace, workspaceSize, executor, stream);
}
