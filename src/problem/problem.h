/* SPDX-License-Identifier: Apache-2.0 */
/* One checked problem: what was asked, in the one form that everything behind the public interface works from. */
#ifndef FLOYD_PROBLEM_H
#define FLOYD_PROBLEM_H

#include <stdbool.h>

#include "floydattn.h"

typedef enum floyd_role {
    FLOYD_ROLE_Q,
    FLOYD_ROLE_K1,
    FLOYD_ROLE_V1,
    FLOYD_ROLE_K2,
    FLOYD_ROLE_V2,
    FLOYD_ROLE_MASK,
    FLOYD_ROLE_Y,
    FLOYD_ROLE_MAX,
    FLOYD_ROLE_SUM,
    FLOYD_ROLE_DY,
    FLOYD_ROLE_DQ,
    FLOYD_ROLE_DK1,
    FLOYD_ROLE_DV1,
    FLOYD_ROLE_DK2,
    FLOYD_ROLE_DV2,
    FLOYD_ROLE_BIAS,
    FLOYD_ROLE_DBIAS,
    FLOYD_ROLES
} floyd_role;

typedef struct floyd_problem {
    int64_t B, H, N, M, K, D;
    double scale; /* rounded to the accumulator's type where it is used, whatever rounding the caller has set */
    bool backward;
    bool continued; /* forward: carry; backward: add */
    bool zero_grad;
    double softmax_cap, mask_fill, dropout; /* mask_fill is -FLT_MAX where none was given */
    uint64_t seed;
    bool fp64;   /* the accumulator's type */
    int threads; /* as asked: 0 = default */
    floyd_progress_fn progress;
    void *progress_user;
    floyd_parallel_fn parallel;
    bool has[FLOYD_ROLES];
    floyd_tensor tensor[FLOYD_ROLES]; /* of those it has; axes of size 1 of the mask and bias have stride 0 */
} floyd_problem;

/*
 * Copies a public structure that starts with its size. A shorter one, from an older header, leaves the new fields
 * 0; a longer one must not ask for anything that this version does not know. name and header are for the message.
 */
floyd_status floyd_take_struct(const char *name, const char *header, const void *from, void *to, size_t size,
                               size_t oldest);

/* From public arguments to a checked problem. Data pointers are not looked at. */
floyd_status floyd_problem_forward(const floyd_forward_args *args, const floyd_options *options,
                                   floyd_problem *problem);
floyd_status floyd_problem_backward(const floyd_backward_args *args, const floyd_options *options,
                                    floyd_problem *problem);

/* What is checked when data is about to be touched: pointers, the workspace, and that outputs share no byte. */
floyd_status floyd_problem_memory(const floyd_problem *problem, const void *workspace, size_t bytes, size_t needed);

#endif
