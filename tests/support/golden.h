/* SPDX-License-Identifier: Apache-2.0 */
/* The reference's results of a problem, with the T of check.h beside every element. */
#ifndef FLOYD_TEST_GOLDEN_H
#define FLOYD_TEST_GOLDEN_H

#include "floyd_reference.h"
#include "problem.h"

typedef struct golden {
    floyd_reference ref;
    double *in[ROLES]; /* what the problem's tensors hold */
    double *value[ROLES], *terms[ROLES];
    uint8_t *mask;
    int64_t dbias_stride[5];
    floyd_reference_position *position; /* at each pivot of one row */
    double *size;                       /* of the score's terms there: |scale| sum(|Q K1| + |Q K2|) */
    double unit;                        /* unit roundoff u */
    double tiny;                        /* what a weight may lose by underflow, over 16 u */
    double gradual;                     /* what denormal intermediate results may lose */
} golden;

golden golden_forward(const problem *p);
golden golden_backward(const problem *p); /* from the Y, max, sum and dY that are stored */
void golden_free(golden *g);

#endif
