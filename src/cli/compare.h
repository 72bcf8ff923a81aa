/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's results against the reference's. A row or an edge needs only the operands that touch it, so the
 * reference is given just those: one row of a problem of any size can be checked without the doubles of the whole.
 */
#ifndef FLOYDATTN_CLI_COMPARE_H
#define FLOYDATTN_CLI_COMPARE_H

#include "trial.h"

enum { COMPARED = TRIAL_TENSORS - TRIAL_Y };

typedef struct series {
    double *got, *want;
    size_t count, room;
} series;

/* Values gathered so far, by output. */
typedef struct comparison {
    const trial *trial;
    series of[COMPARED];
} comparison;

/* Each runs the reference for one vector and notes both results: y, max, sum, dq; dk1, dv1; dk2, dv2. */
void compare_row(comparison *c, int64_t b, int64_t h, int64_t n, int64_t m);
void compare_edge1(comparison *c, int64_t b, int64_t h, int64_t n, int64_t k);
void compare_edge2(comparison *c, int64_t b, int64_t h, int64_t k, int64_t m);

typedef struct verdict {
    double worst; /* the largest error beyond the output's own rounding, as a share of what is allowed; above 1, or
                     NaN, is wrong */
    trial_tensor where;
    double got, want;
} verdict;

verdict judge(const comparison *c);
void free_comparison(comparison *c);

#endif
