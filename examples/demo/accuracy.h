/* SPDX-License-Identifier: Apache-2.0 */
/* How exact the operator is: a sample of every output beside the formulas in fp64. */
#ifndef FLOYD_DEMO_ACCURACY_H
#define FLOYD_DEMO_ACCURACY_H

#include "problem.h"

/* How one output compares with the fp64 reference on the elements looked at. */
typedef struct accuracy {
    int64_t elements, rounded; /* rounded: equal to the reference rounded to the output's type */
    double error, half_ulp;    /* the largest error, and half an ulp at that element */
    double worst;              /* the largest error in half ulps of its own element */
} accuracy;

/*
 * Checks `positions` random places of each face: rows (n,m) for Y, max, sum and dQ, (n,k) for dK1 and dV1, (k,m)
 * for dK2 and dV2; all of D at each. result[] is indexed like problem.t; inputs keep zero elements.
 */
void accuracy_sample(const problem *p, int positions, accuracy result[TENSORS]);

#endif
