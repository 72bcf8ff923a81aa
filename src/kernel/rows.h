/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to one row (n,m) of scores, between the products: the softmax and its derivative. */
#ifndef FLOYD_ROWS_H
#define FLOYD_ROWS_H

#include "exp.h"
#include "kernel.h"
#include "vec.h"

/* Where the row's codes say so, the score of a masked position is replaced, and an absent one is out of reach. */
static inline vec coded_score(vec score, const uint8_t *codes, ptrdiff_t k, real fill)
{
    if (!codes) return score;
    score = vselect(vmask_equal_bytes(codes + k, FLOYD_MASKED), vset(fill), score);
    return vselect(vmask_equal_bytes(codes + k, FLOYD_ABSENT), vset(-INFINITY), score);
}

/* Vectors that are worked on together: their chains of operations overlap. */
enum { ROW_CHUNK = 3 };

/* s *= scale, codes applied. Returns the greatest score and `greatest` if that is more; NaN if any is NaN. */
static inline real forward_row_scores(real *s, ptrdiff_t k, real scale, const uint8_t *codes, real fill,
                                      real greatest)
{
    vec most = vset(greatest);
    vmask nan = visnan(most);
    for (ptrdiff_t i = 0; i < k; i += VL) {
        const vec score = coded_score(vmul(vload(s + i), vset(scale)), codes, i, fill);
        vstore(s + i, score);
        nan = vmask_or(nan, visnan(score));
        most = vmax(score, most);
    }
    return vmask_any(nan) ? (real)NAN : vfold_max(most);
}

/*
 * s becomes exp(s - shift) for count vectors, with a copy in p; total gains them in order. Where codes are given,
 * only live positions weigh anything once the row has met an ordinary score (settled), and absent ones never do.
 * They are kept out of the exponential, too: processors take hundreds of cycles for a result below the normal
 * range.
 */
__attribute__((always_inline)) static inline void
forward_chunk(const int count, const int settled, real *s, real *p, const uint8_t *codes, vec shift, vsum *total)
{
    const vec zero = vset(0);
    vec weight[ROW_CHUNK];
    vmask in[ROW_CHUNK];
    FLOYD_UNROLL
    for (int j = 0; j < count; j++) {
        weight[j] = vsub(vload(s + j * VL), shift);
        in[j] = visnan(zero); /* none */
        if (!codes) continue;
        in[j] = vmask_equal_bytes(codes + j * VL, FLOYD_LIVE);
        if (!settled) in[j] = vmask_or(in[j], vmask_equal_bytes(codes + j * VL, FLOYD_MASKED));
        weight[j] = vselect(in[j], weight[j], zero);
    }
    vexp_each(count, weight);
    FLOYD_UNROLL
    for (int j = 0; j < count; j++) {
        if (codes) weight[j] = vselect(in[j], weight[j], zero);
        vstore(s + j * VL, weight[j]);
        vstore(p + j * VL, weight[j]);
        *total = vsum_add(*total, weight[j]);
    }
}

/*
 * What is taken from the scores of rows with this maximum. While every score is -inf the exponentials are 0, as
 * they will have been if a greater score comes; forward_end gives such rows their NaN.
 */
static inline real forward_shift(real max)
{
    return max == -INFINITY ? 0 : max;
}

/* s becomes exp(s - max), with a copy in p. Returns the sum. A row is settled above fully_masked. */
static inline real forward_row_weights(real *s, real *p, ptrdiff_t k, const uint8_t *codes, double fully_masked,
                                       real max)
{
    const vec shift = vset(forward_shift(max));
    const int settled = !(max <= fully_masked);
    vsum total = vsum_zero();
    ptrdiff_t i = 0;
    if (!codes) {
        for (; i + ROW_CHUNK * VL <= k; i += ROW_CHUNK * VL)
            forward_chunk(ROW_CHUNK, 1, s + i, p + i, NULL, shift, &total);
        for (; i < k; i += VL) forward_chunk(1, 1, s + i, p + i, NULL, shift, &total);
    } else if (settled) {
        for (; i + ROW_CHUNK * VL <= k; i += ROW_CHUNK * VL)
            forward_chunk(ROW_CHUNK, 1, s + i, p + i, codes + i, shift, &total);
        for (; i < k; i += VL) forward_chunk(1, 1, s + i, p + i, codes + i, shift, &total);
    } else {
        for (; i < k; i += VL) forward_chunk(1, 0, s + i, p + i, codes + i, shift, &total);
    }
    return vsum_fold(total);
}

/*
 * factor[i] = exp(before[i] - now[i]): by it everything summed so far must shrink. 1 where nothing changed, and
 * where there is nothing yet: before is -inf.
 */
static inline void forward_factors(const real *before, const real *now, ptrdiff_t count, real *factor)
{
    for (ptrdiff_t i = 0; i < count; i += VL) {
        real change[VL];
        for (ptrdiff_t j = 0; j < VL; j++) {
            const int same = i + j >= count || now[i + j] == before[i + j] || before[i + j] == -INFINITY;
            change[j] = same ? 0 : before[i + j] - forward_shift(now[i + j]);
        }
        vec x = vload(change);
        vexp_each(1, &x);
        vstore(factor + i, x);
    }
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

/* Where a row's values stand: s holds Q.K and becomes P, dp holds dY.V and becomes dS (NULL: not wanted). Copies of
 * both go to p and ds. */
typedef struct backward_row {
    real *s, *dp, *p, *ds;
    const uint8_t *codes;
} backward_row;

typedef struct backward_rules {
    real scale, fill;
    double fully_masked;
    int zero_grad;
} backward_rules;

/*
 * Dividing by the sum is multiplying by its reciprocal, except where the reciprocal would be subnormal or infinite.
 * fully_masked rows keep their masked positions; dS is 0 there all the same where zero_grad says so.
 */
__attribute__((always_inline)) static inline void backward_chunk(const int count, const int divide,
                                                                 const backward_row *row, ptrdiff_t k,
                                                                 const backward_rules rules, const int fully_masked,
                                                                 const backward_row_stats *stats)
{
    const vec zero = vset(0), sum = vset(divide ? stats->sum : 1 / stats->sum);
    const uint8_t *codes = row->codes ? row->codes + k : NULL;
    vec weight[ROW_CHUNK];
    const vmask none = visnan(zero);
    vmask live[ROW_CHUNK], in[ROW_CHUNK]; /* not masked; of some weight */
    FLOYD_UNROLL
    for (int j = 0; j < count; j++) {
        vec score = vmul(vload(row->s + k + j * VL), vset(rules.scale));
        in[j] = live[j] = none;
        if (codes) {
            in[j] = live[j] = vmask_equal_bytes(codes + j * VL, FLOYD_LIVE);
            if (fully_masked) {
                score = coded_score(score, codes, j * VL, rules.fill);
                in[j] = vmask_or(live[j], vmask_equal_bytes(codes + j * VL, FLOYD_MASKED));
            }
        }
        weight[j] = vsub(score, vset(stats->max));
        if (codes) weight[j] = vselect(in[j], weight[j], zero);
    }
    vexp_each(count, weight);
    FLOYD_UNROLL
    for (int j = 0; j < count; j++) {
        const ptrdiff_t at = k + j * VL;
        weight[j] = divide ? vdiv(weight[j], sum) : vmul(weight[j], sum);
        if (codes) weight[j] = vselect(in[j], weight[j], zero);
        vstore(row->s + at, weight[j]);
        vstore(row->p + at, weight[j]);
        if (!row->dp) continue;
        vec dscore = vmul(vmul(weight[j], vsub(vload(row->dp + at), vset(stats->delta))), vset(rules.scale));
        if (codes) dscore = vselect(rules.zero_grad ? live[j] : in[j], dscore, zero);
        vstore(row->dp + at, dscore);
        vstore(row->ds + at, dscore);
    }
}

__attribute__((always_inline)) static inline void backward_row_body(const int divide, const backward_row *row,
                                                                    ptrdiff_t k, const backward_rules rules,
                                                                    const backward_row_stats *stats)
{
    const int fully_masked = stats->max <= rules.fully_masked;
    ptrdiff_t i = 0;
    for (; i + ROW_CHUNK * VL <= k; i += ROW_CHUNK * VL)
        backward_chunk(ROW_CHUNK, divide, row, i, rules, fully_masked, stats);
    for (; i < k; i += VL) backward_chunk(1, divide, row, i, rules, fully_masked, stats);
}

static inline void backward_row_run(const backward_row *row, ptrdiff_t k, const backward_rules *rules,
                                    const backward_row_stats *stats)
{
    if (is_ordinary(stats->sum))
        backward_row_body(0, row, k, *rules, stats);
    else
        backward_row_body(1, row, k, *rules, stats);
}

#endif
