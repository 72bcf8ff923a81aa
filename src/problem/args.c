/* SPDX-License-Identifier: Apache-2.0 */
/* From the public argument structures, of this or an earlier version's length, to one problem. */
#include <stddef.h>
#include <string.h>

#include "check.h"
#include "message.h"
#include "problem.h"

/* No version will have longer ones: a larger size is not a size. */
enum { LONGEST_STRUCT = 4096 };

static const char floydattn_h[] = "floydattn.h";

floyd_status floyd_take_struct(const char *name, const char *header, const void *from, void *to, size_t size,
                               size_t oldest)
{
    size_t given;
    memcpy(&given, from, sizeof given);
    /* Versions add whole members of a pointer's alignment: a size in between would cut one in two. */
    if (given < oldest || given > LONGEST_STRUCT || given % sizeof(void *) != 0)
        return floyd_fail(FLOYD_ERROR_OPTION, "%s.struct_size is %zu; it needs the initialiser of %s (%zu)", name,
                          given, header, size);
    for (size_t at = size; at < given; at++)
        if (((const unsigned char *)from)[at] != 0)
            return floyd_fail(FLOYD_ERROR_OPTION,
                              "%s sets a field beyond byte %zu, which version %s of the library does not have",
                              name, size, floyd_version());
    memset(to, 0, size);
    memcpy(to, from, given < size ? given : size);
    return FLOYD_OK;
}

static floyd_status take_options(const floyd_options *options, floyd_problem *problem)
{
    floyd_options own = FLOYD_OPTIONS_INIT;
    if (options) {
        const floyd_status status =
            floyd_take_struct("options", floydattn_h, options, &own, sizeof own, offsetof(floyd_options, parallel));
        if (status != FLOYD_OK) return status;
    }
    if (own.threads < 0)
        return floyd_fail(FLOYD_ERROR_OPTION, "options.threads is %d; it needs 0 (default) or more", own.threads);
    problem->threads = own.threads;
    problem->progress = own.progress;
    problem->progress_user = own.progress_user;
    problem->parallel = own.parallel;
    return FLOYD_OK;
}

static void take_tensor(floyd_problem *problem, floyd_role role, const floyd_tensor *tensor)
{
    problem->has[role] = tensor != NULL;
    if (tensor) problem->tensor[role] = *tensor;
}

/* The numbers of a structure, which forward and backward have under the same names. */
#define TAKE_NUMBERS(problem, own)                                                                                 \
    ((problem)->scale = (own).scale, (problem)->softmax_cap = (own).softmax_cap,                                   \
     (problem)->mask_fill = (own).mask_fill, (problem)->dropout = (own).dropout, (problem)->seed = (own).seed)

floyd_status floyd_problem_forward(const floyd_forward_args *args, const floyd_options *options,
                                   floyd_problem *problem)
{
    floyd_forward_args own;
    memset(problem, 0, sizeof *problem);
    if (!args) return floyd_fail(FLOYD_ERROR_NULL, "args is NULL; it needs a floyd_forward_args");
    floyd_status status =
        floyd_take_struct("args", floydattn_h, args, &own, sizeof own, offsetof(floyd_forward_args, bias));
    if (status == FLOYD_OK) status = take_options(options, problem);
    if (status != FLOYD_OK) return status;
    const floyd_tensor *const given[] = {own.q, own.k1, own.v1, own.k2, own.v2, own.mask, own.y, own.max, own.sum};
    for (floyd_role role = FLOYD_ROLE_Q; role <= FLOYD_ROLE_SUM; role++) take_tensor(problem, role, given[role]);
    take_tensor(problem, FLOYD_ROLE_BIAS, own.bias);
    TAKE_NUMBERS(problem, own);
    problem->continued = own.carry != 0;
    return floyd_check(problem);
}

floyd_status floyd_problem_backward(const floyd_backward_args *args, const floyd_options *options,
                                    floyd_problem *problem)
{
    floyd_backward_args own;
    memset(problem, 0, sizeof *problem);
    if (!args) return floyd_fail(FLOYD_ERROR_NULL, "args is NULL; it needs a floyd_backward_args");
    floyd_status status =
        floyd_take_struct("args", floydattn_h, args, &own, sizeof own, offsetof(floyd_backward_args, bias));
    if (status == FLOYD_OK) status = take_options(options, problem);
    if (status != FLOYD_OK) return status;
    if (own.mask_rule != FLOYD_MASK_REPLACE && own.mask_rule != FLOYD_MASK_ZERO_GRAD)
        return floyd_fail(FLOYD_ERROR_OPTION,
                          "mask_rule is %d; it needs FLOYD_MASK_REPLACE (0) or FLOYD_MASK_ZERO_GRAD (1)",
                          (int)own.mask_rule);
    const floyd_tensor *const given[] = {own.q,   own.k1,  own.v1,  own.k2,   own.v2,   own.mask,
                                         own.y,   own.max, own.sum, own.dy,   own.dq,   own.dk1,
                                         own.dv1, own.dk2, own.dv2, own.bias, own.dbias};
    for (floyd_role role = FLOYD_ROLE_Q; role < FLOYD_ROLES; role++) take_tensor(problem, role, given[role]);
    TAKE_NUMBERS(problem, own);
    problem->backward = true;
    problem->continued = own.add != 0;
    problem->zero_grad = own.mask_rule == FLOYD_MASK_ZERO_GRAD;
    return floyd_check(problem);
}
