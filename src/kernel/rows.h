/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to one row (n,m) of scores, between the products: the softmax and its derivative. */
#ifndef FLOYD_ROWS_H
#define FLOYD_ROWS_H

#include <float.h>

#include "exp.h"
#include "kernel.h"
#include "vec.h"

/* Where the row's codes say so, the score of a masked position is replaced, and an absent one is out of reach. */
static inline vec coded_score(vec score, const uint8_t *codes, ptrdiff_t k)
{
    if (!codes) return score;
    score = vselect(vmask_equal_bytes(codes + k, FLOYD_MASKED), vset(-FLT_MAX), score);
    return vselect(vmask_equal_bytes(codes + k, FLOYD_ABSENT), vset(-INFINITY), score);
}

/* s *= scale, codes applied. Returns the greatest score and `greatest` if that is more; NaN if any is NaN. */
static inline real forward_row_scores(real *s, ptrdiff_t k, real scale, const uint8_t *codes, real greatest)
{
    vec most = vset(greatest);
    vmask nan = visnan(most);
    for (ptrdiff_t i = 0; i < k; i += VL) {
        const vec score = coded_score(vmul(vload(s + i), vset(scale)), codes, i);
        vstore(s + i, score);
        nan = vmask_or(nan, visnan(score));
        most = vmax(score, most);
    }
    return vmask_any(nan) ? (real)NAN : vfold_max(most);
}

/*
 * One tile of the online softmax: scores become exp(S - max), the row's max and sum go on, and the factor by which
 * everything summed so far must shrink is returned. While every score is -inf the exponentials are 0, as they will
 * have been if a greater score comes; forward_end gives such rows their NaN.
 */
static inline real forward_row(real *s, ptrdiff_t k, real scale, const uint8_t *codes, real *max, real *sum)
{
    const real before = *max, now = forward_row_scores(s, k, scale, codes, before);
    const vec shift = vset(now == -INFINITY ? 0 : now);
    vec total = vset(0);
    for (ptrdiff_t i = 0; i < k; i += VL) {
        vec weight = vexp(vsub(vload(s + i), shift));
        if (codes) weight = vselect(vmask_equal_bytes(codes + i, FLOYD_ABSENT), vset(0), weight);
        vstore(s + i, weight);
        total = vadd(total, weight);
    }
    real factor = 1;
    if (now != before) {
        real lanes[VL];
        vstore(lanes, vexp(vsub(vset(before), shift)));
        factor = lanes[0];
    }
    *max = now;
    *sum = *sum * factor + vfold(total);
    return factor;
}

/* True where multiplying by 1 / sum is as good as dividing by sum: neither is near the ends of the range. */
static inline int is_ordinary(real sum)
{
    const real size = sum < 0 ? -sum : sum;
    return size >= (real)0x1p-100 && size <= (real)0x1p100;
}

typedef struct backward_row_stats {
    real max, sum, delta;
} backward_row_stats;

/*
 * s holds Q.K and becomes P; dp holds dY.V and becomes dS (NULL: dS is not wanted). Dividing by the sum is
 * multiplying by its reciprocal, except where the reciprocal would be subnormal or infinite.
 */
__attribute__((always_inline)) static inline void backward_row_body(const int divide, real *s, real *dp,
                                                                    ptrdiff_t k, real scale, const uint8_t *codes,
                                                                    int zero_grad, const backward_row_stats *row)
{
    const int fully_masked = row->max <= (real)FLOYD_FULLY_MASKED;
    const vec max = vset(row->max), delta = vset(row->delta), zero = vset(0);
    const vec sum = vset(divide ? row->sum : 1 / row->sum);
    for (ptrdiff_t i = 0; i < k; i += VL) {
        vec score = vmul(vload(s + i), vset(scale));
        if (codes && fully_masked) score = coded_score(score, codes, i);
        vec weight = vexp(vsub(score, max));
        weight = divide ? vdiv(weight, sum) : vmul(weight, sum);
        vmask absent = visnan(zero), out = absent;
        if (codes) {
            absent = vmask_equal_bytes(codes + i, FLOYD_ABSENT);
            out = vmask_or(absent, vmask_equal_bytes(codes + i, FLOYD_MASKED));
            weight = vselect(fully_masked ? absent : out, zero, weight);
        }
        vstore(s + i, weight);
        if (!dp) continue;
        vec dscore = vmul(vmul(weight, vsub(vload(dp + i), delta)), vset(scale));
        if (codes) dscore = vselect(fully_masked && !zero_grad ? absent : out, zero, dscore);
        vstore(dp + i, dscore);
    }
}

static inline void backward_row(real *s, real *dp, ptrdiff_t k, real scale, const uint8_t *codes, int zero_grad,
                                const backward_row_stats *row)
{
    if (is_ordinary(row->sum))
        backward_row_body(0, s, dp, k, scale, codes, zero_grad, row);
    else
        backward_row_body(1, s, dp, k, scale, codes, zero_grad, row);
}

#endif
