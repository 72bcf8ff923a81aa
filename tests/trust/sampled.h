/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single elements of the results of problems too large for the reference: from the formulas of floydattn.h, in
 * double, straight from the tensors. What they may differ by is derived as in check.h, but errors of different
 * terms are taken as independent, which sums of a million terms need: with u the unit roundoff of the arithmetic,
 *     |out - value| <= ulp / 2 + 16 u ((4 + A) |value| + sqrt(sum e^2) + sqrt(sum S^2) + sum c)
 * where e is what a term counts as in check.h, S the running sum after every 16th term (it is rounded no more often
 * once it leaves a tile), and c what all terms of a row err by alike. So one term that is missing from a sum, or
 * was taken from elsewhere, is seen, unless it is smaller than what rounding leaves of the others.
 */
#ifndef FLOYD_TRUST_SAMPLED_H
#define FLOYD_TRUST_SAMPLED_H

#include "problem.h"

typedef struct sample {
    double value, allowed;
} sample;

/* An element of Y, max, sum or a gradient. No cap, no mask_fill, no row that is masked in full. */
sample sampled(const problem *p, enum role r, const int64_t index[5]);

#endif
