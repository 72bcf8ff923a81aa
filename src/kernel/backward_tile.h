/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gradient of one tile.
 *
 *   for each n   Q[n] and dY[n] are packed; S[n] = Q[n] K1[n]^T, dP[n] = dY[n] V1[n]^T   m x k, over d
 *   for each m   S[:,m] += Q[:,m] K2[m]^T, dP[:,m] += dY[:,m] V2[m]^T; rows become P and dS
 *                dQ[:,m] = dS[:,m] K2[m]                                n x d, over k
 *                dK2[m] += dS[:,m]^T Q[:,m], dV2[m] += P[:,m]^T dY[:,m] k x d, over n
 *   for each n   dQ[n] += dS[n] K1[n]                                   m x d, over k
 *                dK1[n] = dS[n]^T Q[n], dV1[n] = P[n]^T dY[n]           k x d, over m
 *
 * Each product asks for what the next one reads. dK2 and dV2 stay in scratch while the caller goes along n. Other
 * sums are added to a target by the product itself where the target's memory allows, else through scratch.
 */
#ifndef FLOYD_BACKWARD_TILE_H
#define FLOYD_BACKWARD_TILE_H

#include "extras.h"
#include "gemm.h"
#include "pack.h"
#include "rows.h"

/* What a set of gradients needs computed. */
static inline int needs_dscore(int wanted)
{
    return (wanted & (FLOYD_DQ | FLOYD_DK1 | FLOYD_DK2 | FLOYD_DBIAS)) != 0;
}

/* x[n] = rows[n] * other[n]^T for one n: scores from Q and K1, or dP from dY and V1. */
static void backward_product_n(const floyd_backward_tile *t, ptrdiff_t n, const void *rows, const floyd_view *other,
                               void *x, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    real *transposed = t->slab, *scratch = transposed + l->slab_t;
    transpose_image(other, n, t->k, t->d, l, scratch, transposed);
    const gemm product = {.rows = t->m,
                          .columns = round_up(t->k, VL),
                          .depth = t->d,
                          .a = (const real *)rows + n * l->ldd,
                          .a_row = l->slab_m,
                          .a_depth = 1,
                          .b = transposed,
                          .ldb = l->ldk,
                          .c = (real *)x + n * l->slab_s,
                          .ldc = l->ldk,
                          .ahead = next};
    gemm_run(&product);
}

/* x[:,m] += rows[:,m] * other[m]^T for one m: scores from Q and K2, or dP from dY and V2. */
static void backward_product_m(const floyd_backward_tile *t, ptrdiff_t m, const void *rows, const void *other,
                               void *x, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    const gemm product = {.rows = t->n,
                          .columns = round_up(t->k, VL),
                          .depth = t->d,
                          .a = (const real *)rows + m * l->slab_m,
                          .a_row = l->ldd,
                          .a_depth = 1,
                          .b = (const real *)other + m * l->slab_t,
                          .ldb = l->ldk,
                          .c = (real *)x + m * l->ldk,
                          .ldc = l->slab_s,
                          .accumulate = 1,
                          .ahead = next};
    gemm_run(&product);
}

/* The rows of P and dS of one m, close together for the products that follow. */
static inline real *p_of(const floyd_backward_tile *t)
{
    return t->slab;
}
static inline real *ds_of(const floyd_backward_tile *t)
{
    return p_of(t) + t->n * t->layout->ldk;
}

static void backward_rows_m(const floyd_backward_tile *t, ptrdiff_t m)
{
    const floyd_layout *l = t->layout;
    const ptrdiff_t k = round_up(t->k, VL);
    const real scale = (real)t->scale;
    const backward_rules rules = {t->extras ? 1 : scale, (real)t->fill,
                                  floyd_fully_masked(t->fill, sizeof(real) == sizeof(double)), t->zero_grad};
    for (ptrdiff_t n = 0; n < t->n; n++) {
        const ptrdiff_t at = n * t->stat + m, from = n * l->slab_s + m * l->ldk;
        const backward_row_stats stats = {((const real *)t->max)[at], ((const real *)t->sum)[at],
                                          ((const real *)t->delta)[at]};
        const backward_row row = {.s = (real *)t->s + from,
                                  .dp = needs_dscore(t->wanted) ? (real *)t->dp + from : NULL,
                                  .p = p_of(t) + n * l->ldk,
                                  .ds = ds_of(t) + n * l->ldk,
                                  .codes =
                                      t->codes.data ? t->codes.data + n * t->codes.slab + m * t->codes.row : NULL};
        const extra_row extra = {t->extras, n, m, t->k, k};
        const uint8_t *keep = t->extras ? extra_before(&extra, &row, scale) : NULL;
        backward_row_run(&row, k, &rules, &stats);
        if (t->extras) extra_after(&extra, &row, keep, scale, stats.max <= rules.fully_masked && !t->zero_grad);
    }
}

/*
 * Where a product may add to a target's memory itself: rows of whole vectors in the accumulator's type, the last
 * time too when that is the output's.
 */
static inline real *direct(const floyd_target *target, ptrdiff_t slab, ptrdiff_t columns)
{
    if (target->acc.column != 1 || columns % VL != 0) return NULL;
    if (target->last && target->out.data != target->acc.data) return NULL;
    return element(&target->acc, slab, 0, 0);
}

/* sum[m] += weights[:,m]^T * rows[:,m]: dK2 from dS and Q, or dV2 from P and dY. */
static void backward_sum_m(const floyd_backward_tile *t, ptrdiff_t m, const real *weights, const void *rows,
                           void *images, const floyd_target *target, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    real *sum = (real *)images + m * l->slab_k, *to = t->km_alone ? direct(target, m, t->d) : NULL;
    const gemm product = {.rows = t->k,
                          .columns = round_up(t->d, VL),
                          .depth = t->n,
                          .a = weights,
                          .a_row = 1,
                          .a_depth = l->ldk,
                          .b = (const real *)rows + m * l->slab_m,
                          .ldb = l->ldd,
                          .c = to ? to : sum,
                          .ldc = to ? target->acc.row : l->ldd,
                          .accumulate = to ? !target->first : !t->km_first,
                          .last = to && target->last,
                          .ahead = next};
    gemm_run(&product);
    if (t->km_alone && !to) merge_image(target, m, sum, l->ldd, t->k, t->d);
}

static void backward_dq_m(const floyd_backward_tile *t, ptrdiff_t m, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    const gemm product = {.rows = t->n,
                          .columns = round_up(t->d, VL),
                          .depth = t->k,
                          .a = ds_of(t),
                          .a_row = l->ldk,
                          .a_depth = 1,
                          .b = (const real *)t->k2_m + m * l->slab_k,
                          .ldb = l->ldd,
                          .c = (real *)t->dq + m * l->slab_m,
                          .ldc = l->ldd,
                          .ahead = next};
    gemm_run(&product);
}

/* Slab m of dK2 or dV2: where the next product adds to. */
static void backward_ahead_sum(const floyd_backward_tile *t, ptrdiff_t m, const void *images,
                               const floyd_target *target, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    if (t->km_alone)
        ahead_add_target(next, target, m, t->k, t->d);
    else if (!t->km_first)
        ahead_add_image(next, images, l->slab_k, m, t->k, l->ldd);
}

static void backward_m(const floyd_backward_tile *t, ptrdiff_t m)
{
    const floyd_layout *l = t->layout;
    const ptrdiff_t size = (ptrdiff_t)sizeof(real);
    ahead_list s2 = {0}, dp2 = {0}, dv2 = {0}, dq2 = {0}, dk2 = {0};
    ahead_add_image(&s2, t->dy_m, l->slab_m, m, t->n, l->ldd);
    ahead_add_image(&s2, t->v2t, l->slab_t, m, t->d, l->ldk);
    ahead_add(&s2, (const real *)t->dp + m * l->ldk, l->slab_s * size, t->n, t->k * size);
    backward_ahead_sum(t, m, t->dv2, &t->to_dv2, &dp2);
    ahead_add_image(&dp2, t->dq, l->slab_m, m, t->n, l->ldd);
    ahead_add_image(&dv2, t->k2_m, l->slab_k, m, t->k, l->ldd);
    backward_ahead_sum(t, m, t->dk2, &t->to_dk2, &dq2);
    if (m + 1 < t->m) {
        ahead_add_image(&dk2, t->q_m, l->slab_m, m + 1, t->n, l->ldd);
        ahead_add_image(&dk2, t->k2t, l->slab_t, m + 1, t->d, l->ldk);
        ahead_add(&dk2, (const real *)t->s + (m + 1) * l->ldk, l->slab_s * size, t->n, t->k * size);
    }
    backward_product_m(t, m, t->q_m, t->k2t, t->s, &s2);
    if (needs_dscore(t->wanted)) backward_product_m(t, m, t->dy_m, t->v2t, t->dp, &dp2);
    backward_rows_m(t, m);
    if (t->wanted & FLOYD_DV2) backward_sum_m(t, m, p_of(t), t->dy_m, t->dv2, &t->to_dv2, &dv2);
    if (t->wanted & FLOYD_DQ) backward_dq_m(t, m, &dq2);
    if (t->wanted & FLOYD_DK2) backward_sum_m(t, m, ds_of(t), t->q_m, t->dk2, &t->to_dk2, &dk2);
}

static void backward_dq_n(const floyd_backward_tile *t, ptrdiff_t n, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    ptrdiff_t ldb;
    const real *k1 = rows_of(&t->k1, n, t->k, t->d, t->slab, l->ldd, &ldb);
    real *dq = (real *)t->dq + n * l->ldd, *to = direct(&t->to_dq, n, t->d);
    const gemm product = {.rows = t->m,
                          .columns = round_up(t->d, VL),
                          .depth = t->k,
                          .a = (const real *)t->dp + n * l->slab_s,
                          .a_row = l->ldk,
                          .a_depth = 1,
                          .b = k1,
                          .ldb = ldb,
                          .c = to ? to : dq,
                          .ldc = to ? t->to_dq.acc.row : l->slab_m,
                          .also = to ? dq : NULL,
                          .ld_also = l->slab_m,
                          .accumulate = to ? !t->to_dq.first : 1,
                          .last = to && t->to_dq.last,
                          .ahead = next};
    gemm_run(&product);
    if (!to) merge_image(&t->to_dq, n, dq, l->slab_m, t->m, t->d);
}

/* target[n] += weights[n]^T * rows[n]: dK1 from dS and Q, or dV1 from P and dY. */
static void backward_sum_n(const floyd_backward_tile *t, ptrdiff_t n, const void *weights, const void *rows,
                           const floyd_target *target, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    real *to = direct(target, n, t->d);
    const gemm product = {.rows = t->k,
                          .columns = round_up(t->d, VL),
                          .depth = t->m,
                          .a = (const real *)weights + n * l->slab_s,
                          .a_row = 1,
                          .a_depth = l->ldk,
                          .b = (const real *)rows + n * l->ldd,
                          .ldb = l->slab_m,
                          .c = to ? to : t->slab,
                          .ldc = to ? target->acc.row : l->ldd,
                          .accumulate = to && !target->first,
                          .last = to && target->last,
                          .ahead = next};
    gemm_run(&product);
    if (!to) merge_image(target, n, t->slab, l->ldd, t->k, t->d);
}

static void backward_first_n(const floyd_backward_tile *t, ptrdiff_t n)
{
    ahead_list s1 = {0}, dp1 = {0};
    ahead_add_view(&s1, &t->dy, n, t->m, t->d);
    ahead_add_view(&s1, &t->v1, n, t->k, t->d);
    if (n + 1 < t->n) {
        ahead_add_view(&dp1, &t->q, n + 1, t->m, t->d);
        ahead_add_view(&dp1, &t->k1, n + 1, t->k, t->d);
    }
    pack_pairs_image(&t->q, n, t->m, t->d, t->layout, t->q_m);
    backward_product_n(t, n, t->q_m, &t->k1, t->s, &s1);
    pack_pairs_image(&t->dy, n, t->m, t->d, t->layout, t->dy_m);
    if (needs_dscore(t->wanted)) backward_product_n(t, n, t->dy_m, &t->v1, t->dp, &dp1);
}

static void backward_last_n(const floyd_backward_tile *t, ptrdiff_t n)
{
    const floyd_layout *l = t->layout;
    ahead_list dq1 = {0}, dk1 = {0}, dv1 = {0};
    ahead_add_target(&dq1, &t->to_dk1, n, t->k, t->d);
    ahead_add_rows(&dq1, t->q_m, l->slab_m, n, t->m, l->ldd, t->d);
    ahead_add_target(&dk1, &t->to_dv1, n, t->k, t->d);
    ahead_add_rows(&dk1, t->dy_m, l->slab_m, n, t->m, l->ldd, t->d);
    if (n + 1 < t->n) {
        ahead_add_target(&dv1, &t->to_dq, n + 1, t->m, t->d);
        ahead_add_view(&dv1, &t->k1, n + 1, t->k, t->d);
        ahead_add_rows(&dv1, t->dq, l->slab_m, n + 1, t->m, l->ldd, t->d);
    }
    if (t->wanted & FLOYD_DQ) backward_dq_n(t, n, &dq1);
    if (t->wanted & FLOYD_DK1) backward_sum_n(t, n, t->dp, t->q_m, &t->to_dk1, &dk1);
    if (t->wanted & FLOYD_DV1) backward_sum_n(t, n, t->s, t->dy_m, &t->to_dv1, &dv1);
}

static void backward_images(const floyd_backward_tile *t)
{
    real *rows = t->wanted & FLOYD_DQ ? t->k2_m : NULL;
    pack_km_images(&t->k2, t->k, t->m, t->d, t->layout, t->slab, rows, t->k2t);
    if (needs_dscore(t->wanted)) pack_km_images(&t->v2, t->k, t->m, t->d, t->layout, t->slab, NULL, t->v2t);
}

static void backward_tile(const floyd_backward_tile *t)
{
    if (t->km_first) backward_images(t);
    for (ptrdiff_t n = 0; n < t->n; n++) backward_first_n(t, n);
    for (ptrdiff_t m = 0; m < t->m; m++) backward_m(t, m);
    for (ptrdiff_t n = 0; n < t->n; n++) backward_last_n(t, n);
}

static void row_dots(const floyd_view *dy, const floyd_view *y, ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t d,
                     const floyd_layout *layout, void *dy_scratch, void *y_scratch, void *delta)
{
    const ptrdiff_t ldd = layout->ldd;
    ptrdiff_t lda, ldb;
    const real *a = rows_of(dy, slab, rows, d, dy_scratch, ldd, &lda);
    const real *b = rows_of(y, slab, rows, d, y_scratch, ldd, &ldb);
    for (ptrdiff_t r = 0; r < rows; r++, a += lda, b += ldb) {
        vsum dot = vsum_zero();
        for (ptrdiff_t i = 0; i < d; i += SUM_LANES) dot = vsum_product(dot, a + i, b + i);
        ((real *)delta)[r] = vsum_fold(dot);
    }
}

#endif
