/* SPDX-License-Identifier: Apache-2.0 */
/* Valid problems, drawn by chance: one seed gives one problem, always the same. */
#ifndef FLOYD_TRUST_DRAW_H
#define FLOYD_TRUST_DRAW_H

#include "problem.h"

typedef struct drawn {
    spec s; /* which points to the layouts below: not to be copied */
    layout inputs, outputs;
    int carry;       /* the forward may, and should, continue a state */
    int add;         /* gradients may, and should, be added to */
    unsigned wanted; /* bits of the outputs to ask for where only some are to be */
} drawn;

/* Sizes at and round the edges of tiles and vectors, with B * H * N * M * K * (D + 4) <= work, where 0 counts as 1.
 */
void draw_problem(drawn *d, uint64_t seed, double work);

/* The rest of it, for sizes that are given: dtype, mask, options, layouts. The sizes of s must be set. */
void draw_rest(drawn *d, uint64_t seed);

#endif
