/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule about arguments, driven by one table with a line per tensor. */
#include "check.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "tensor.h"

typedef enum kind {
    OPERAND, /* q's type */
    EITHER,  /* q's type, or F32 beside a half type */
    STATS,   /* the accumulator's type */
    MASK,
    BIAS, /* as EITHER */
    DBIAS /* as STATS */
} kind;

typedef struct rule {
    const char *name, *axes; /* axes: a letter per axis, R = any size of 1 or more */
    kind kind;
    bool output_forward, output_backward;
    bool needed_forward, needed_backward;
} rule;

static const rule rules[FLOYD_ROLES] = {
    [FLOYD_ROLE_Q] = {"q", "BHNMD", OPERAND, false, false, true, true},
    [FLOYD_ROLE_K1] = {"k1", "BHNKD", OPERAND, false, false, true, true},
    [FLOYD_ROLE_V1] = {"v1", "BHNKD", OPERAND, false, false, true, true},
    [FLOYD_ROLE_K2] = {"k2", "BHKMD", OPERAND, false, false, true, true},
    [FLOYD_ROLE_V2] = {"v2", "BHKMD", OPERAND, false, false, true, true},
    [FLOYD_ROLE_MASK] = {"mask", "BHNMK", MASK, false, false, false, false},
    [FLOYD_ROLE_Y] = {"y", "BHNMD", EITHER, true, false, true, true},
    [FLOYD_ROLE_MAX] = {"max", "BHNMR", STATS, true, false, false, true},
    [FLOYD_ROLE_SUM] = {"sum", "BHNMR", STATS, true, false, false, true},
    [FLOYD_ROLE_DY] = {"dy", "BHNMD", EITHER, false, false, false, true},
    [FLOYD_ROLE_DQ] = {"dq", "BHNMD", EITHER, false, true, false, false},
    [FLOYD_ROLE_DK1] = {"dk1", "BHNKD", EITHER, false, true, false, false},
    [FLOYD_ROLE_DV1] = {"dv1", "BHNKD", EITHER, false, true, false, false},
    [FLOYD_ROLE_DK2] = {"dk2", "BHKMD", EITHER, false, true, false, false},
    [FLOYD_ROLE_DV2] = {"dv2", "BHKMD", EITHER, false, true, false, false},
    [FLOYD_ROLE_BIAS] = {"bias", "BHNMK", BIAS, false, false, false, false},
    [FLOYD_ROLE_DBIAS] = {"dbias", "BHNMK", DBIAS, false, true, false, false},
};

static bool is_output(const floyd_problem *p, floyd_role role)
{
    return p->backward ? rules[role].output_backward : rules[role].output_forward;
}

/* Tensors of scores, which may have size 1 along any axis. */
static bool is_broadcast(floyd_role role)
{
    return rules[role].kind == MASK || rules[role].kind == BIAS || rules[role].kind == DBIAS;
}

static const char *dtype_name(floyd_dtype dtype)
{
    static const char *const names[] = {"F32", "F64", "F16", "BF16", "U8"};
    return (unsigned)dtype < 5 ? names[(unsigned)dtype] : "no known dtype";
}

/* ---- presence ------------------------------------------------------------------------------------ */

static floyd_status check_presence(const floyd_problem *p)
{
    for (floyd_role role = 0; role < FLOYD_ROLES; role++) {
        const bool carried = !p->backward && p->continued && (role == FLOYD_ROLE_MAX || role == FLOYD_ROLE_SUM);
        const bool needed = p->backward ? rules[role].needed_backward : rules[role].needed_forward || carried;
        if (needed && !p->has[role])
            return floyd_fail(FLOYD_ERROR_NULL,
                              "%s is NULL; it needs a tensor of shape [%.1s,%.1s,%.1s,%.1s,%.1s]%s",
                              rules[role].name, rules[role].axes, rules[role].axes + 1, rules[role].axes + 2,
                              rules[role].axes + 3, rules[role].axes + 4, carried ? " when carry is set" : "");
    }
    return FLOYD_OK;
}

/* ---- data types ---------------------------------------------------------------------------------- */

static bool dtype_allowed(const floyd_problem *p, floyd_role role, floyd_dtype dtype)
{
    const floyd_dtype operand = p->tensor[FLOYD_ROLE_Q].dtype, accumulator = p->fp64 ? FLOYD_F64 : FLOYD_F32;
    switch (rules[role].kind) {
    case OPERAND:
        return dtype == operand;
    case EITHER:
    case BIAS:
        if (p->continued && is_output(p, role)) return dtype == accumulator;
        return dtype == operand || dtype == accumulator;
    case STATS:
    case DBIAS:
        return dtype == accumulator;
    case MASK:
        return dtype == FLOYD_U8;
    }
    return false;
}

static const char *dtype_need(const floyd_problem *p, floyd_role role)
{
    const floyd_dtype operand = p->tensor[FLOYD_ROLE_Q].dtype;
    switch (rules[role].kind) {
    case OPERAND:
        return "q's";
    case EITHER:
    case BIAS:
        if (p->continued && is_output(p, role))
            return p->fp64 ? "F64, since it is continued" : "F32, since it is continued";
        return operand == FLOYD_F16 || operand == FLOYD_BF16 ? "q's or F32" : "q's";
    case STATS:
    case DBIAS:
        return p->fp64 ? "F64" : "F32";
    case MASK:
        return "U8";
    }
    return "";
}

static floyd_status check_dtypes(floyd_problem *p)
{
    const floyd_dtype operand = p->tensor[FLOYD_ROLE_Q].dtype;
    if (operand != FLOYD_F16 && operand != FLOYD_BF16 && operand != FLOYD_F32 && operand != FLOYD_F64)
        return floyd_fail(FLOYD_ERROR_DTYPE, "q has dtype %s (%d); it needs F16, BF16, F32 or F64",
                          dtype_name(operand), (int)operand);
    p->fp64 = operand == FLOYD_F64;
    for (floyd_role role = 0; role < FLOYD_ROLES; role++) {
        const floyd_dtype dtype = p->tensor[role].dtype;
        if (p->has[role] && !dtype_allowed(p, role, dtype))
            return floyd_fail(FLOYD_ERROR_DTYPE, "%s has dtype %s (%d); it needs %s (q is %s)", rules[role].name,
                              dtype_name(dtype), (int)dtype, dtype_need(p, role), dtype_name(operand));
    }
    return FLOYD_OK;
}

/* ---- sizes --------------------------------------------------------------------------------------- */

static int64_t size_of(const floyd_problem *p, char axis)
{
    switch (axis) {
    case 'B':
        return p->B;
    case 'H':
        return p->H;
    case 'N':
        return p->N;
    case 'M':
        return p->M;
    case 'K':
        return p->K;
    default:
        return p->D;
    }
}

static bool size_allowed(const floyd_problem *p, floyd_role role, int axis, int64_t size)
{
    const char letter = rules[role].axes[axis];
    if (letter == 'R') return size >= 1;
    return size == size_of(p, letter) || (is_broadcast(role) && size == 1);
}

static floyd_status check_shape(const floyd_problem *p, floyd_role role)
{
    const int64_t *size = p->tensor[role].size;
    const char *axes = rules[role].axes;
    for (int axis = 0; axis < 5; axis++) {
        if (size_allowed(p, role, axis, size[axis])) continue;
        char need[80] = "1 or more";
        if (axes[axis] != 'R')
            snprintf(need, sizeof need, "%s%lld as q and k1 have it", is_broadcast(role) ? "1 or " : "",
                     (long long)size_of(p, axes[axis]));
        return floyd_fail(FLOYD_ERROR_SHAPE, "%s has shape [%lld,%lld,%lld,%lld,%lld]; axis %d (%c) needs to be %s",
                          rules[role].name, (long long)size[0], (long long)size[1], (long long)size[2],
                          (long long)size[3], (long long)size[4], axis, axes[axis], need);
    }
    return FLOYD_OK;
}

static floyd_status check_sizes(floyd_problem *p)
{
    static const char *const kinds = "BHNMKD";
    const int64_t *q = p->tensor[FLOYD_ROLE_Q].size;
    p->B = q[0], p->H = q[1], p->N = q[2], p->M = q[3], p->D = q[4];
    p->K = p->tensor[FLOYD_ROLE_K1].size[3];
    for (const char *axis = kinds; *axis; axis++)
        if (size_of(p, *axis) < 0)
            return floyd_fail(FLOYD_ERROR_SHAPE, "%s has size %lld on axis %c; it needs 0 or more",
                              *axis == 'K' ? "k1" : "q", (long long)size_of(p, *axis), *axis);
    for (floyd_role role = 0; role < FLOYD_ROLES; role++) {
        if (!p->has[role]) continue;
        const floyd_status status = check_shape(p, role);
        if (status != FLOYD_OK) return status;
    }
    return FLOYD_OK;
}

/* ---- layout -------------------------------------------------------------------------------------- */

static floyd_status check_layout(const floyd_problem *p)
{
    for (floyd_role role = 0; role < FLOYD_ROLES; role++) {
        const floyd_tensor *tensor = &p->tensor[role];
        int64_t low, high;
        if (!p->has[role]) continue;
        if (!floyd_tensor_extent(tensor, &low, &high))
            return floyd_fail(FLOYD_ERROR_OVERFLOW,
                              "%s reaches over more bytes than 64 bits count; it needs smaller "
                              "sizes or strides",
                              rules[role].name);
        if (is_output(p, role) && !floyd_tensor_apart(tensor))
            return floyd_fail(
                FLOYD_ERROR_STRIDE,
                "%s has strides [%lld,%lld,%lld,%lld,%lld], which make elements overlap; an output needs "
                "each stride to exceed the extent of the smaller ones",
                rules[role].name, (long long)tensor->stride[0], (long long)tensor->stride[1],
                (long long)tensor->stride[2], (long long)tensor->stride[3], (long long)tensor->stride[4]);
    }
    return FLOYD_OK;
}

/* ---- numbers ------------------------------------------------------------------------------------- */

static floyd_status check_numbers(floyd_problem *p)
{
    /* What the kernels will see must be an ordinary number, too: NaN fails every comparison. */
    const bool cap_fits = p->fp64 ? p->softmax_cap >= DBL_MIN && p->softmax_cap <= DBL_MAX
                                  : p->softmax_cap >= FLT_MIN && p->softmax_cap <= FLT_MAX;
    if (p->softmax_cap != 0 && !cap_fits)
        return floyd_fail(FLOYD_ERROR_OPTION,
                          "softmax_cap is %g; it needs 0 (none) or a positive number that %s holds", p->softmax_cap,
                          p->fp64 ? "fp64" : "fp32");
    if (p->mask_fill != p->mask_fill)
        return floyd_fail(FLOYD_ERROR_OPTION, "mask_fill is NaN; it needs a number, or 0 for -FLT_MAX");
    if (!(p->dropout >= 0 && p->dropout <= 1))
        return floyd_fail(FLOYD_ERROR_OPTION, "dropout is %g; it needs a probability from 0 to 1", p->dropout);
    if (p->dropout > 0 && p->continued && !p->backward)
        return floyd_fail(FLOYD_ERROR_OPTION, "dropout is %g and carry is set; a continued call needs dropout 0",
                          p->dropout);
    if (p->mask_fill == 0) p->mask_fill = -FLT_MAX;
    return FLOYD_OK;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

floyd_status floyd_check(floyd_problem *p)
{
    floyd_status status = check_presence(p);
    if (status == FLOYD_OK) status = check_dtypes(p);
    if (status == FLOYD_OK) status = check_sizes(p);
    if (status == FLOYD_OK) status = check_layout(p);
    if (status == FLOYD_OK) status = check_numbers(p);
    if (status != FLOYD_OK) return status;
    for (floyd_role role = 0; role < FLOYD_ROLES; role++)
        if (p->has[role] && is_broadcast(role)) floyd_tensor_broadcast(&p->tensor[role]);
    return FLOYD_OK;
}

/* ---- memory -------------------------------------------------------------------------------------- */

typedef struct range {
    uintptr_t low, high;
} range;

static range range_of(const floyd_tensor *tensor)
{
    int64_t low, high;
    floyd_tensor_extent(tensor, &low, &high);
    const uintptr_t base = (uintptr_t)tensor->data;
    return (range){base + (uintptr_t)low, base + (uintptr_t)high};
}

/* Whether the elements lie where addresses can be: what reaches beyond the first or the last is no memory. */
static bool is_addressable(const floyd_tensor *tensor)
{
    int64_t low, high;
    uintptr_t end;
    floyd_tensor_extent(tensor, &low, &high);
    return !__builtin_add_overflow((uintptr_t)tensor->data, low, &end) &&
           !__builtin_add_overflow((uintptr_t)tensor->data, high, &end);
}

static bool meet(range a, range b)
{
    return a.low < a.high && b.low < b.high && a.low < b.high && b.low < a.high;
}

static floyd_status check_output(const floyd_problem *p, floyd_role output)
{
    const range own = range_of(&p->tensor[output]);
    for (floyd_role role = 0; role < FLOYD_ROLES; role++)
        if (role != output && p->has[role] && meet(own, range_of(&p->tensor[role])))
            return floyd_fail(FLOYD_ERROR_OVERLAP, "%s shares bytes with %s; an output needs its own",
                              rules[output].name, rules[role].name);
    return FLOYD_OK;
}

floyd_status floyd_problem_memory(const floyd_problem *p, const void *workspace, size_t bytes, size_t needed)
{
    for (floyd_role role = 0; role < FLOYD_ROLES; role++)
        if (p->has[role] && !p->tensor[role].data && !floyd_tensor_empty(&p->tensor[role]))
            return floyd_fail(FLOYD_ERROR_NULL, "%s has data NULL; it needs memory for its elements",
                              rules[role].name);
    for (floyd_role role = 0; role < FLOYD_ROLES; role++)
        if (p->has[role] && !is_addressable(&p->tensor[role]))
            return floyd_fail(FLOYD_ERROR_OVERFLOW,
                              "%s reaches beyond the addresses that there are; it needs memory for its elements",
                              rules[role].name);
    if (bytes < needed)
        return floyd_fail(FLOYD_ERROR_WORKSPACE, "the workspace has %zu bytes; it needs %zu", bytes, needed);
    if (!workspace && needed > 0)
        return floyd_fail(FLOYD_ERROR_NULL, "workspace is NULL; it needs %zu bytes", needed);
    const range work = {(uintptr_t)workspace, (uintptr_t)workspace + (workspace ? needed : 0)};
    for (floyd_role role = 0; role < FLOYD_ROLES; role++) {
        if (!p->has[role]) continue;
        if (meet(range_of(&p->tensor[role]), work))
            return floyd_fail(FLOYD_ERROR_OVERLAP,
                              "%s shares bytes with the workspace, which is written; it needs "
                              "memory of its own",
                              rules[role].name);
        const floyd_status status = is_output(p, role) ? check_output(p, role) : FLOYD_OK;
        if (status != FLOYD_OK) return status;
    }
    return FLOYD_OK;
}
