/* SPDX-License-Identifier: Apache-2.0 */
/* aclnnFusedFloydAttentionGrad: one floyd_backward. */
#include "aclnnop/aclnn_fused_floyd_attention_grad.h"

#include "aclnn/executor.h"

#define NATIVE(field) offsetof(floyd_backward_args, field)

static const aclnn_argument ARGUMENTS[] = {
    {"query", ACLNN_TYPE_OPERAND, "BHNMD", NULL, false, NATIVE(q)},
    {"key1", ACLNN_TYPE_OPERAND, "BHNKD", NULL, false, NATIVE(k1)},
    {"value1", ACLNN_TYPE_OPERAND, "BHNKD", NULL, false, NATIVE(v1)},
    {"key2", ACLNN_TYPE_OPERAND, "BHKMD", NULL, false, NATIVE(k2)},
    {"value2", ACLNN_TYPE_OPERAND, "BHKMD", NULL, false, NATIVE(v2)},
    {"dy", ACLNN_TYPE_OPERAND, "BHNMD", NULL, false, NATIVE(dy)},
    {"attenMaskOptional", ACLNN_TYPE_MASK, "B1N1K", NULL, true, NATIVE(mask)},
    {"softmaxMax", ACLNN_TYPE_FLOAT, "BHNM8", NULL, false, NATIVE(max)},
    {"softmaxSum", ACLNN_TYPE_FLOAT, "BHNM8", NULL, false, NATIVE(sum)},
    {"attentionIn", ACLNN_TYPE_OPERAND, "BHNMD", NULL, false, NATIVE(y)},
    {"dqOut", ACLNN_TYPE_OPERAND, "BHNMD", NULL, false, NATIVE(dq)},
    {"dk1Out", ACLNN_TYPE_OPERAND, "BHNKD", NULL, false, NATIVE(dk1)},
    {"dv1Out", ACLNN_TYPE_OPERAND, "BHNKD", NULL, false, NATIVE(dv1)},
    {"dk2Out", ACLNN_TYPE_OPERAND, "BHKMD", NULL, false, NATIVE(dk2)},
    {"dv2Out", ACLNN_TYPE_OPERAND, "BHKMD", NULL, false, NATIVE(dv2)},
};

static floyd_backward_args native_args(const aclnn_executor *executor)
{
    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    args.scale = executor->scale;
    args.mask_rule = FLOYD_MASK_REPLACE;
    aclnn_executor_bind(executor, &args);
    return args;
}

static floyd_status query(const aclnn_executor *executor, size_t *bytes)
{
    const floyd_backward_args args = native_args(executor);
    const floyd_options options = aclnn_executor_options(executor);
    return floyd_backward_workspace(&args, &options, bytes);
}

static floyd_status run(const aclnn_executor *executor, void *workspace, size_t bytes)
{
    const floyd_backward_args args = native_args(executor);
    const floyd_options options = aclnn_executor_options(executor);
    return floyd_backward(&args, &options, workspace, bytes);
}

static const aclnn_operator GRADIENT = {
    "aclnnFusedFloydAttentionGrad", 10, sizeof ARGUMENTS / sizeof *ARGUMENTS, ARGUMENTS, query, run};

aclnnStatus aclnnFusedFloydAttentionGradGetWorkspaceSize(
    const aclTensor *query, const aclTensor *key1, const aclTensor *value1, const aclTensor *key2,
    const aclTensor *value2, const aclTensor *dy, const aclTensor *attenMaskOptional, const aclTensor *softmaxMax,
    const aclTensor *softmaxSum, const aclTensor *attentionIn, double scaleValue, const aclTensor *dqOut,
    const aclTensor *dk1Out, const aclTensor *dv1Out, const aclTensor *dk2Out, const aclTensor *dv2Out,
    uint64_t *workspaceSize, aclOpExecutor **executor)
{
    const aclTensor *tensors[] = {query,      key1,       value1,      key2,  value2, dy,     attenMaskOptional,
                                  softmaxMax, softmaxSum, attentionIn, dqOut, dk1Out, dv1Out, dk2Out,
                                  dv2Out};
    return aclnn_prepare(&GRADIENT, tensors, scaleValue, workspaceSize, executor);
}

aclnnStatus aclnnFusedFloydAttentionGrad(void *workspace, uint64_t workspaceSize, aclOpExecutor *executor,
                                         aclrtStream stream)
{
    return aclnn_launch(&GRADIENT, workspace, workspaceSize, executor, stream);
}
