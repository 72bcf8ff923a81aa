/* SPDX-License-Identifier: Apache-2.0 */
/* Presence, data types and formats. */
#include "acl/stream.h"
#include "aclnn/check.h"
#include "aclnn/floyd_status.h"

aclnnStatus aclnn_check_present(const aclnn_operator *op, const aclTensor *const *tensors)
{
    for (int i = 0; i < op->count; i++) {
        if (tensors[i] == NULL && !op->arguments[i].optional) {
            return acl_report(ACLNN_ERR_PARAM_NULLPTR, "%sGetWorkspaceSize: %s is NULL, needs a tensor", op->name,
                              op->arguments[i].name);
        }
    }
    return ACLNN_SUCCESS;
}

static const struct {
    aclDataType type;
    const char *name;
    floyd_dtype native;
} TYPES[] = {
    {ACL_FLOAT16, "FLOAT16", FLOYD_F16}, {ACL_BF16, "BFLOAT16", FLOYD_BF16}, {ACL_FLOAT, "FLOAT", FLOYD_F32},
    {ACL_BOOL, "BOOL", FLOYD_U8},        {ACL_UINT8, "UINT8", FLOYD_U8},
};

floyd_dtype aclnn_native_type(aclDataType type)
{
    size_t i = 0;
    while (TYPES[i].type != type) i++;
    return TYPES[i].native;
}

static const char *type_name(aclDataType type)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (TYPES[i].type == type) return TYPES[i].name;
    }
    return "a type that no argument takes";
}

static bool is_operand(aclDataType type)
{
    return type == ACL_FLOAT16 || type == ACL_BF16 || type == ACL_FLOAT;
}

/* NULL where the type is right, else what the argument needs. query is the type of query, itself right. */
static const char *type_needed(aclnn_type_rule rule, aclDataType got, aclDataType query)
{
    switch (rule) {
    case ACLNN_TYPE_OPERAND:
        return got == query ? NULL : type_name(query);
    case ACLNN_TYPE_OPERAND_FLOAT:
        if (got == query || got == ACL_FLOAT) return NULL;
        return query == ACL_FLOAT16 ? "FLOAT16 or FLOAT" : query == ACL_BF16 ? "BFLOAT16 or FLOAT" : "FLOAT";
    case ACLNN_TYPE_MASK:
        return got == ACL_BOOL || got == ACL_UINT8 ? NULL : "BOOL or UINT8";
    case ACLNN_TYPE_FLOAT:
        break;
    }
    return got == ACL_FLOAT ? NULL : "FLOAT";
}

static aclnnStatus check_type(const aclnn_operator *op, const aclTensor *const *tensors, int i)
{
    /* query is there: aclnn_check_present came first. */
    const aclDataType got = tensors[i]->dtype;
    const aclDataType query = tensors[ACLNN_QUERY]->dtype; /* NOLINT(clang-analyzer-core.NullDereference) */
    const bool first = i == ACLNN_QUERY;
    const char *needed = type_needed(op->arguments[i].type, got, query);
    if (first && !is_operand(got)) needed = "FLOAT16, BFLOAT16 or FLOAT";
    if (needed == NULL) return ACLNN_SUCCESS;
    const bool as_query = !first && op->arguments[i].type <= ACLNN_TYPE_OPERAND_FLOAT;
    return acl_report(ACLNN_ERR_PARAM_INVALID, "%sGetWorkspaceSize: %s has data type %d (%s), needs %s%s", op->name,
                      op->arguments[i].name, (int)got, type_name(got), needed, as_query ? " beside query's" : "");
}

aclnnStatus aclnn_check_types(const aclnn_operator *op, const aclTensor *const *tensors)
{
    for (int i = 0; i < op->count; i++) {
        if (tensors[i] == NULL) continue;
        const aclnnStatus status = check_type(op, tensors, i);
        if (status != ACLNN_SUCCESS) return status;
        if (tensors[i]->format != ACL_FORMAT_ND) {
            return acl_report(ACLNN_ERR_PARAM_INVALID, "%sGetWorkspaceSize: %s has format %d, needs %d (ND)",
                              op->name, op->arguments[i].name, (int)tensors[i]->format, (int)ACL_FORMAT_ND);
        }
    }
    return ACLNN_SUCCESS;
}
