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
 * dK2 and dV2 stay in scratch while the caller goes along n. dQ, dK1 and dV1 are merged into their targets here.
 */
#ifndef FLOYD_BACKWARD_TILE_H
#define FLOYD_BACKWARD_TILE_H

#include "gemm.h"
#include "pack.h"
#include "rows.h"

/* What a set of gradients needs computed. */
static inline int needs_dscore(int wanted)
{
    return (wanted & (FLOYD_DQ | FLOYD_DK1 | FLOYD_DK2)) != 0;
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
                          .a = (const real *)rows + n * l->slab_n,
                          .a_row = l->ldd,
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

static void backward_rows_m(const floyd_backward_tile *t, ptrdiff_t m)
{
    const floyd_layout *l = t->layout;
    const ptrdiff_t k = round_up(t->k, VL);
    for (ptrdiff_t n = 0; n < t->n; n++) {
        const uint8_t *codes = t->codes.data ? t->codes.data + n * t->codes.slab + m * t->codes.row : NULL;
        const ptrdiff_t at = n * t->stat + m, row = n * l->slab_s + m * l->ldk;
        const backward_row_stats stats = {((const real *)t->max)[at], ((const real *)t->sum)[at],
                                          ((const real *)t->delta)[at]};
        real *dp = needs_dscore(t->wanted) ? (real *)t->dp + row : NULL;
        backward_row((real *)t->s + row, dp, k, (real)t->scale, codes, t->zero_grad, &stats);
    }
}

/* sum[m] += weights[:,m]^T * rows[:,m]: dK2 from dS and Q, or dV2 from P and dY. */
static void backward_sum_m(const floyd_backward_tile *t, ptrdiff_t m, const void *weights, const void *rows,
                           void *sum, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    const gemm product = {.rows = t->k,
                          .columns = round_up(t->d, VL),
                          .depth = t->n,
                          .a = (const real *)weights + m * l->ldk,
                          .a_row = 1,
                          .a_depth = l->slab_s,
                          .b = (const real *)rows + m * l->slab_m,
                          .ldb = l->ldd,
                          .c = (real *)sum + m * l->slab_k,
                          .ldc = l->ldd,
                          .accumulate = !t->km_first,
                          .ahead = next};
    gemm_run(&product);
}

static void backward_dq_m(const floyd_backward_tile *t, ptrdiff_t m, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    const gemm product = {.rows = t->n,
                          .columns = round_up(t->d, VL),
                          .depth = t->k,
                          .a = (const real *)t->dp + m * l->ldk,
                          .a_row = l->slab_s,
                          .a_depth = 1,
                          .b = (const real *)t->k2 + m * l->slab_k,
                          .ldb = l->ldd,
                          .c = (real *)t->dq + m * l->slab_m,
                          .ldc = l->ldd,
                          .ahead = next};
    gemm_run(&product);
}

/* What m + 1 reads of the images, in the order of use. */
static ahead_list backward_ahead_m(const floyd_backward_tile *t, ptrdiff_t m)
{
    const floyd_layout *l = t->layout;
    const ptrdiff_t pairs = t->n * l->ldd * (ptrdiff_t)sizeof(real),
                    pivots = t->k * l->ldd * (ptrdiff_t)sizeof(real);
    const ptrdiff_t across = t->d * l->ldk * (ptrdiff_t)sizeof(real);
    ahead_list next = {0};
    if (m >= t->m) return next;
    ahead_add(&next, (const real *)t->q_m + m * l->slab_m, 0, 1, pairs);
    ahead_add(&next, (const real *)t->k2t + m * l->slab_t, 0, 1, across);
    ahead_add(&next, (const real *)t->dy_m + m * l->slab_m, 0, 1, pairs);
    ahead_add(&next, (const real *)t->v2t + m * l->slab_t, 0, 1, across);
    ahead_add(&next, (const real *)t->k2 + m * l->slab_k, 0, 1, pivots);
    if (!t->km_first) ahead_add(&next, (const real *)t->dk2 + m * l->slab_k, 0, 1, pivots);
    if (!t->km_first) ahead_add(&next, (const real *)t->dv2 + m * l->slab_k, 0, 1, pivots);
    ahead_spread(&next, 5, t->n, (t->k + t->d) / 2);
    return next;
}

static void backward_m(const floyd_backward_tile *t, ptrdiff_t m)
{
    ahead_list next = backward_ahead_m(t, m + 1);
    backward_product_m(t, m, t->q_m, t->k2t, t->s, &next);
    if (needs_dscore(t->wanted)) backward_product_m(t, m, t->dy_m, t->v2t, t->dp, &next);
    backward_rows_m(t, m);
    if (t->wanted & FLOYD_DQ) backward_dq_m(t, m, &next);
    if (t->wanted & FLOYD_DK2) backward_sum_m(t, m, t->dp, t->q_m, t->dk2, &next);
    if (t->wanted & FLOYD_DV2) backward_sum_m(t, m, t->s, t->dy_m, t->dv2, &next);
}

static void backward_dq_n(const floyd_backward_tile *t, ptrdiff_t n, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    ptrdiff_t ldb;
    const real *k1 = rows_of(&t->k1, n, t->k, t->d, t->slab, l->ldd, &ldb);
    real *dq = (real *)t->dq + n * l->ldd;
    const gemm product = {.rows = t->m,
                          .columns = round_up(t->d, VL),
                          .depth = t->k,
                          .a = (const real *)t->dp + n * l->slab_s,
                          .a_row = l->ldk,
                          .a_depth = 1,
                          .b = k1,
                          .ldb = ldb,
                          .c = dq,
                          .ldc = l->slab_m,
                          .accumulate = 1,
                          .ahead = next};
    gemm_run(&product);
    merge_image(&t->to_dq, n, dq, l->slab_m, t->m, t->d);
}

/* target[n] += weights[n]^T * rows[n]: dK1 from dS and Q, or dV1 from P and dY. */
static void backward_sum_n(const floyd_backward_tile *t, ptrdiff_t n, const void *weights, const void *rows,
                           const floyd_target *target, ahead_list *next)
{
    const floyd_layout *l = t->layout;
    const gemm product = {.rows = t->k,
                          .columns = round_up(t->d, VL),
                          .depth = t->m,
                          .a = (const real *)weights + n * l->slab_s,
                          .a_row = 1,
                          .a_depth = l->ldk,
                          .b = (const real *)rows + n * l->slab_n,
                          .ldb = l->ldd,
                          .c = t->slab,
                          .ldc = l->ldd,
                          .ahead = next};
    gemm_run(&product);
    merge_image(target, n, t->slab, l->ldd, t->k, t->d);
}

static void backward_first_n(const floyd_backward_tile *t, ptrdiff_t n)
{
    ahead_list next = {0};
    if (n + 1 < t->n) {
        ahead_add_view(&next, &t->q, n + 1, t->m, t->d);
        ahead_add_view(&next, &t->k1, n + 1, t->k, t->d);
        ahead_add_view(&next, &t->dy, n + 1, t->m, t->d);
        ahead_add_view(&next, &t->v1, n + 1, t->k, t->d);
        ahead_spread(&next, needs_dscore(t->wanted) ? 2 : 1, t->m, t->k);
    }
    pack_pairs_image(&t->q, n, t->m, t->d, t->layout, t->q_n, t->q_m);
    backward_product_n(t, n, t->q_n, &t->k1, t->s, &next);
    pack_pairs_image(&t->dy, n, t->m, t->d, t->layout, t->dy_n, t->dy_m);
    if (needs_dscore(t->wanted)) backward_product_n(t, n, t->dy_n, &t->v1, t->dp, &next);
}

static inline void ahead_add_target(ahead_list *a, const floyd_target *target, ptrdiff_t slab, ptrdiff_t rows,
                                    ptrdiff_t columns)
{
    ahead_add_view(a, target->first ? &target->out : &target->acc, slab, rows, columns);
}

static void backward_last_n(const floyd_backward_tile *t, ptrdiff_t n)
{
    ahead_list next = {0};
    if (n + 1 < t->n) {
        ahead_add_view(&next, &t->k1, n + 1, t->k, t->d);
        ahead_add_target(&next, &t->to_dq, n + 1, t->m, t->d);
        ahead_add_target(&next, &t->to_dk1, n + 1, t->k, t->d);
        ahead_add_target(&next, &t->to_dv1, n + 1, t->k, t->d);
        ahead_spread(&next, 3, t->m, t->d);
    }
    if (t->wanted & FLOYD_DQ) backward_dq_n(t, n, &next);
    if (t->wanted & FLOYD_DK1) backward_sum_n(t, n, t->dp, t->q_n, &t->to_dk1, &next);
    if (t->wanted & FLOYD_DV1) backward_sum_n(t, n, t->s, t->dy_n, &t->to_dv1, &next);
}

static void backward_tile(const floyd_backward_tile *t)
{
    for (ptrdiff_t n = 0; n < t->n; n++) backward_first_n(t, n);
    for (ptrdiff_t m = 0; m < t->m; m++) backward_m(t, m);
    for (ptrdiff_t n = 0; n < t->n; n++) backward_last_n(t, n);
}

static void row_dots(const void *dy, const void *y, ptrdiff_t ldd, ptrdiff_t rows, ptrdiff_t d, void *delta)
{
    for (ptrdiff_t r = 0; r < rows; r++) {
        const real *a = (const real *)dy + r * ldd, *b = (const real *)y + r * ldd;
        vec dot = vset(0);
        for (ptrdiff_t i = 0; i < d; i += VL) dot = vfma(vload(a + i), vload(b + i), dot);
        ((real *)delta)[r] = vfold(dot);
    }
}

#endif
