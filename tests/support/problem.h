/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One problem of Floyd attention with memory for everything in it: made from a spec, run through the
 * library, judged by check.h.
 */
#ifndef FLOYD_TEST_PROBLEM_H
#define FLOYD_TEST_PROBLEM_H

#include "tensor.h"

enum role {
    T_Q,
    T_K1,
    T_V1,
    T_K2,
    T_V2,
    T_MASK,
    T_Y,
    T_MAX,
    T_SUM,
    T_DY,
    T_DQ,
    T_DK1,
    T_DV1,
    T_DK2,
    T_DV2,
    T_BIAS,
    T_DBIAS,
    ROLES
};
extern const char *const role_names[ROLES]; /* as the messages of the library spell them */

enum { FORWARD_OUTPUTS = 1 << T_Y | 1 << T_MAX | 1 << T_SUM };
enum { EDGE_GRADIENTS = 1 << T_DQ | 1 << T_DK1 | 1 << T_DV1 | 1 << T_DK2 | 1 << T_DV2 };
enum { GRADIENTS = EDGE_GRADIENTS | 1 << T_DBIAS };
/* roles that may be fp32 beside half inputs */
enum { HALVES = 1 << T_Y | 1 << T_DY | 1 << T_BIAS | EDGE_GRADIENTS };
/* roles that a spec must ask for, and whose axes may have size 1 */
enum { BROADCAST = 1 << T_MASK | 1 << T_BIAS | 1 << T_DBIAS };

enum mask_kind { MASK_NONE, MASK_ZERO, MASK_ONES, MASK_RANDOM, MASK_PADDING, MASK_ROWS };
/* BIAS_HOLES: -inf at some pivots, never at the first. */
enum bias_kind { BIAS_NONE, BIAS_ZERO, BIAS_NORMAL, BIAS_HOLES };
enum { AXES_USUAL = 1 << 0 | 1 << 2 | 1 << 4, AXES_FULL = 31, AXES_ROW = 1 << 4 }; /* bit a: axis a is full */

typedef struct spec {
    int64_t B, H, N, M, K, D, R;
    floyd_dtype dtype;
    unsigned wide; /* bit r: role r is stored in fp32 (HALVES only) */
    double scale, mean, deviation;
    enum mask_kind mask;
    unsigned mask_axes;
    floyd_mask_rule rule;
    double softmax_cap, mask_fill, dropout;
    uint64_t dropout_seed;
    enum bias_kind bias;
    int dbias; /* whether it is among the gradients */
    unsigned bias_axes, dbias_axes;
    const layout *inputs, *outputs;
    int threads;
    uint64_t seed;
} spec;

/* fp32, normal inputs, scale 1/sqrt(2D), nothing done to scores and weights, contiguous, one thread. */
spec spec_of(int64_t B, int64_t H, int64_t N, int64_t M, int64_t K, int64_t D);

/* All of it in words, for messages. */
enum { SPEC_TEXT = 800 };
const char *spec_text(const spec *s, char text[SPEC_TEXT]);

/* What may be done to scores and weights. FILL is one beside which masked pivots still weigh something. */
enum { CAP = 1, BIAS = 2, DBIAS = 4, FILL = 8, DROPOUT = 16, EXTRAS = 31 };
void add_extras(spec *s, unsigned extras);

typedef struct problem {
    spec s;
    tensor t[ROLES]; /* block is NULL where there is none */
} problem;

/* Inputs filled; Y, max, sum and gradients poisoned. */
problem problem_new(const spec *s);
void problem_free(problem *p);

floyd_dtype accumulator_of(floyd_dtype dtype);
void role_size(const spec *s, enum role r, int64_t size[5]);
/* The mask in full, [B,H,N,M,K] contiguous. */
tensor mask_expanded(const problem *p);

/* Arguments over the problem's tensors. wanted: bits of the outputs that are not NULL. */
floyd_forward_args forward_args(const problem *p, unsigned wanted);
floyd_backward_args backward_args(const problem *p, unsigned wanted);
/* The member for this role: &args->q and so on. NULL where there is none. */
const floyd_tensor **forward_slot(floyd_forward_args *args, enum role r);
const floyd_tensor **backward_slot(floyd_backward_args *args, enum role r);

/*
 * Query, then run in exactly the workspace asked for, at an odd address between guard bytes. Fails the
 * test when a guard or a byte between an output's elements changes.
 */
floyd_status run_forward_args(const floyd_forward_args *args, const floyd_options *options);
floyd_status run_backward_args(const floyd_backward_args *args, const floyd_options *options);
/* The same for the whole problem, which must succeed. */
void run_forward(problem *p);
void run_backward(problem *p);
void run_backward_wanted(problem *p, unsigned wanted);

#endif
