/* SPDX-License-Identifier: Apache-2.0 */
/* A problem with made-up operands, for selftest and bench. */
#ifndef FLOYDATTN_CLI_TRIAL_H
#define FLOYDATTN_CLI_TRIAL_H

#include "floydattn.h"

typedef enum trial_mask {
    MASK_NONE,
    MASK_RANDOM,  /* [B,1,N,1,K], one pivot in four */
    MASK_PADDING, /* [B,1,N,1,K], the last pivots of all rows, and all pivots of the last n */
    MASK_FULL     /* [B,H,N,M,K], every second position */
} trial_mask;

typedef struct trial_problem {
    int64_t B, H, N, M, K, D;
    floyd_dtype dtype;
    trial_mask mask;
    floyd_mask_rule rule;
} trial_problem;

/* Operands first; the outputs from TRIAL_Y on, those of the forward before those of the backward. */
typedef enum trial_tensor {
    TRIAL_Q,
    TRIAL_K1,
    TRIAL_V1,
    TRIAL_K2,
    TRIAL_V2,
    TRIAL_DY,
    TRIAL_Y,
    TRIAL_MAX,
    TRIAL_SUM,
    TRIAL_DQ,
    TRIAL_DK1,
    TRIAL_DV1,
    TRIAL_DK2,
    TRIAL_DV2,
    TRIAL_TENSORS
} trial_tensor;

typedef enum trial_pass { TRIAL_FORWARD, TRIAL_BACKWARD, TRIAL_PASSES } trial_pass;

typedef struct trial {
    trial_problem problem;
    double scale; /* 1/sqrt(2D), as FloydNet has it */
    floyd_tensor tensor[TRIAL_TENSORS];
    floyd_tensor mask; /* data NULL for MASK_NONE */
} trial;

/* Values of about N(0,1), the same for the same seed. Outputs hold NaN. */
trial create_trial(const trial_problem *problem, uint64_t seed);
void free_trial(trial *t);

/* Overwrites all outputs with NaN, so that nothing of an earlier run can be taken for a later one's. */
void poison_outputs(trial *t);

floyd_status trial_workspace(const trial *t, trial_pass pass, int threads, size_t *bytes);
floyd_status run_trial(const trial *t, trial_pass pass, int threads, void *workspace, size_t bytes);

const char *trial_tensor_name(trial_tensor which);
size_t tensor_bytes(const floyd_tensor *t);
int64_t tensor_count(const floyd_tensor *t);

#endif
