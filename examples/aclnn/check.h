/* SPDX-License-Identifier: Apache-2.0 */
/* Host data for the examples, and the check of what came back against the reference. */
#ifndef FLOYD_EXAMPLES_ACLNN_CHECK_H
#define FLOYD_EXAMPLES_ACLNN_CHECK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* fp16 values between -1 and 1; and one byte in four that is not zero. The same for the same seed. */
void fill_random(uint16_t *values, int64_t count, unsigned seed);
void fill_random_mask(uint8_t *values, int64_t count, unsigned seed);

/* What went in and what came back, contiguous, with the shapes of the operators' headers. */
typedef struct floyd_run {
    int64_t B, H, N, M, K, D;
    double scale;
    const uint16_t *q, *k1, *v1, *k2, *v2, *dy;
    const uint8_t *mask;
    const float *max, *sum; /* out of the forward, into the gradient; so is y */
    const uint16_t *y;
    const uint16_t *dq, *dk1, *dv1, *dk2, *dv2;
} floyd_run;

/*
 * Compares vectors of D elements at some forty places with the formulas in double, and prints one line.
 * An element may be off by its rounding to fp16, 2^-11 of it, and by 2^-16 of the vector's largest: what
 * precedes the rounding is fp32. Returns 0 when all are within.
 */
int check_forward(const floyd_run *run);
int check_gradient(const floyd_run *run);

#ifdef __cplusplus
}
#endif

#endif
