/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forward of one tile, added to what earlier tiles of the pivot axis left.
 *
 *   for each n   S[n]  = Q[n] K1[n]^T                              m x k, over d
 *   for each m   S[:,m] += Q[:,m] K2[m]^T; rows of it become exp(S - max); Y[:,m] = factor * Y[:,m] + P[:,m] V2[m]
 *   for each n   Y[n] += P[n] V1[n]                                m x d, over k
 *
 * So a row of Y is summed in the order: tiles of k; in a tile first V2, then V1; k ascending.
 */
#ifndef FLOYD_FORWARD_TILE_H
#define FLOYD_FORWARD_TILE_H

#include <float.h>

#include "extras.h"
#include "gemm.h"
#include "pack.h"
#include "rows.h"

static void forward_scores_n(const floyd_forward_tile *t, ptrdiff_t n)
{
    const floyd_layout *l = t->layout;
    real *transposed = t->slab, *scratch = transposed + l->slab_t;
    ahead_list next = {0};
    if (n + 1 < t->n) ahead_add_view(&next, &t->k1, n + 1, t->k, t->d);
    transpose_image(&t->k1, n, t->k, t->d, l, scratch, transposed);
    const gemm product = {.rows = t->m,
                          .columns = round_up(t->k, VL),
                          .depth = t->d,
                          .a = (const real *)t->q_m + n * l->ldd,
                          .a_row = l->slab_m,
                          .a_depth = 1,
                          .b = transposed,
                          .ldb = l->ldk,
                          .c = (real *)t->s + n * l->slab_s,
                          .ldc = l->ldk,
                          .ahead = &next};
    gemm_run(&product);
}

static void scale_row(real *row, ptrdiff_t count, real factor)
{
    for (ptrdiff_t i = 0; i < count; i += VL) vstore(row + i, vmul(vload(row + i), vset(factor)));
}

/*
 * What a row has summed shrinks by the factor; unless it is of masked pivots, while the row knew no others (max was
 * the fill): that weighs nothing, and may be infinite by now. Whether so. Only a fill far below all other scores,
 * of which exp() is 0, is surely the mask's and no live score.
 */
static __attribute__((noinline)) int shrink_row(real *row, ptrdiff_t count, real factor, real max, real fill)
{
    const int void_so_far = factor == 0 && (max <= -FLT_MAX / 2 || (max == fill && fill <= -750));
    if (void_so_far)
        memset(row, 0, (size_t)count * sizeof(real));
    else
        scale_row(row, count, factor);
    return void_so_far;
}

/*
 * One tile of the online softmax for the rows of one m. exp(S - max) goes back to the tile and, rows close together
 * for the next product, to `slab`.
 */
static void forward_softmax_m(const floyd_forward_tile *t, ptrdiff_t m)
{
    const floyd_layout *l = t->layout;
    const ptrdiff_t k = round_up(t->k, VL), count = round_up(t->n, VL);
    real *max = (real *)t->max + m * t->stat, *sum = (real *)t->sum + m * t->stat;
    real *s = (real *)t->s + m * l->ldk, *p = t->slab, *now = p + t->n * l->ldk, *factor = now + count;
    const uint8_t *codes = t->codes.data ? t->codes.data + m * t->codes.row : NULL;
    const real scale = (real)t->scale, fill = (real)t->fill;
    const double fully_masked = floyd_fully_masked(t->fill, sizeof(real) == sizeof(double));
    for (ptrdiff_t n = 0; n < t->n; n++) {
        const extra_row extra = {t->extras, n, m, t->k, k};
        if (t->extras) extra_scores(&extra, s + n * l->slab_s, scale);
        now[n] = forward_row_scores(s + n * l->slab_s, k, t->extras ? 1 : scale,
                                    codes ? codes + n * t->codes.slab : NULL, fill, max[n]);
    }
    forward_factors(max, now, t->n, factor);
    for (ptrdiff_t n = 0; n < t->n; n++) {
        const real weights = forward_row_weights(s + n * l->slab_s, p + n * l->ldk, k,
                                                 codes ? codes + n * t->codes.slab : NULL, fully_masked, now[n]);
        if (t->extras && t->extras->dropout > 0) {
            const extra_row extra = {t->extras, n, m, t->k, k};
            extra_drop(&extra, extra_keep(&extra), s + n * l->slab_s, p + n * l->ldk);
        }
        sum[n] = sum[n] * factor[n] + weights;
        if (factor[n] != 1 &&
            shrink_row((real *)t->y + m * l->slab_m + n * l->ldd, l->ldd, factor[n], max[n], fill))
            sum[n] = weights;
        max[n] = now[n];
    }
}

/* What the products of one m are to ask for: images, or the tensors that they are made from. */
static void forward_ahead_m(const floyd_forward_tile *t, ptrdiff_t m, ahead_list *scores, ahead_list *values)
{
    const floyd_layout *l = t->layout;
    if (t->km_alone)
        ahead_add_view(scores, &t->v2, m, t->k, t->d);
    else
        ahead_add_image(scores, t->v2_m, l->slab_k, m, t->k, l->ldd);
    ahead_add_image(scores, t->y, l->slab_m, m, t->n, l->ldd);
    if (m + 1 == t->m) return;
    ahead_add_image(values, t->q_m, l->slab_m, m + 1, t->n, l->ldd);
    if (t->km_alone)
        ahead_add_view(values, &t->k2, m + 1, t->k, t->d);
    else
        ahead_add_image(values, t->k2t, l->slab_t, m + 1, t->d, l->ldk);
    ahead_add_rows(values, t->s, l->slab_s, m + 1, t->n, l->ldk, t->k);
}

static void forward_m(const floyd_forward_tile *t, ptrdiff_t m)
{
    const floyd_layout *l = t->layout;
    const int alone = t->km_alone;
    real *k2t = (real *)t->k2t + (alone ? 0 : m * l->slab_t), *v2 = (real *)t->v2_m + (alone ? 0 : m * l->slab_k);
    ahead_list during_scores = {0}, during_values = {0};
    forward_ahead_m(t, m, &during_scores, &during_values);
    if (alone) transpose_image(&t->k2, m, t->k, t->d, l, t->slab, k2t);
    const gemm scores = {.rows = t->n,
                         .columns = round_up(t->k, VL),
                         .depth = t->d,
                         .a = (const real *)t->q_m + m * l->slab_m,
                         .a_row = l->ldd,
                         .a_depth = 1,
                         .b = k2t,
                         .ldb = l->ldk,
                         .c = (real *)t->s + m * l->ldk,
                         .ldc = l->slab_s,
                         .accumulate = 1,
                         .ahead = &during_scores};
    gemm_run(&scores);
    forward_softmax_m(t, m);
    if (alone) pack_image(&t->v2, m, t->k, t->d, v2, l->ldd, l->ldd);
    const gemm values = {.rows = t->n,
                         .columns = round_up(t->d, VL),
                         .depth = t->k,
                         .a = t->slab,
                         .a_row = l->ldk,
                         .a_depth = 1,
                         .b = v2,
                         .ldb = l->ldd,
                         .c = (real *)t->y + m * l->slab_m,
                         .ldc = l->ldd,
                         .accumulate = 1,
                         .ahead = &during_values};
    gemm_run(&values);
}

static void forward_values_n(const floyd_forward_tile *t, ptrdiff_t n)
{
    const floyd_layout *l = t->layout;
    ahead_list next = {0};
    if (n + 1 < t->n) {
        ahead_add_view(&next, &t->v1, n + 1, t->k, t->d);
        ahead_add_rows(&next, t->y, l->slab_m, n + 1, t->m, l->ldd, t->d);
    }
    ptrdiff_t ldb;
    const real *v1 = rows_of(&t->v1, n, t->k, t->d, t->slab, l->ldd, &ldb);
    const gemm values = {.rows = t->m,
                         .columns = round_up(t->d, VL),
                         .depth = t->k,
                         .a = (const real *)t->s + n * l->slab_s,
                         .a_row = l->ldk,
                         .a_depth = 1,
                         .b = v1,
                         .ldb = ldb,
                         .c = (real *)t->y + n * l->ldd,
                         .ldc = l->slab_m,
                         .accumulate = 1,
                         .ahead = &next};
    gemm_run(&values);
}

static void forward_tile(const floyd_forward_tile *t)
{
    for (ptrdiff_t n = 0; n < t->n; n++) forward_scores_n(t, n);
    if (t->km_first && !t->km_alone) {
        pack_km_images(&t->k2, t->k, t->m, t->d, t->layout, t->slab, NULL, t->k2t);
        pack_km_images(&t->v2, t->k, t->m, t->d, t->layout, NULL, t->v2_m, NULL);
    }
    for (ptrdiff_t m = 0; m < t->m; m++) forward_m(t, m);
    for (ptrdiff_t n = 0; n < t->n; n++) forward_values_n(t, n);
}

/*
 * A row whose maximum is an ordinary score gives every masked position a weight of exactly 0, so a tile that is
 * masked everywhere may be left out. NaN counts as settled: nothing changes it.
 */
static int forward_settled(const floyd_forward_tile *t)
{
    const double fully_masked = floyd_fully_masked(t->fill, sizeof(real) == sizeof(double));
    for (ptrdiff_t m = 0; m < t->m; m++)
        for (ptrdiff_t n = 0; n < t->n; n++)
            if (((const real *)t->max)[m * t->stat + n] <= fully_masked) return 0;
    return 1;
}

/* ---- the row's state, in and out ------------------------------------------------------------------ */

static void forward_carry_row(const floyd_forward_tile *t, ptrdiff_t n, ptrdiff_t m, const floyd_view *y,
                              const floyd_view *max, const floyd_view *sum)
{
    const floyd_layout *l = t->layout;
    const real before = *(const real *)element(sum, n, m, 0), greatest = *(const real *)element(max, n, m, 0);
    /* Scores of -inf alone weigh exp(-inf) = 0 beside any other: they leave the state empty, their NaN aside. */
    if (before == 0 || greatest == -INFINITY) return;
    ((real *)t->sum)[m * t->stat + n] = before;
    ((real *)t->max)[m * t->stat + n] = greatest;
    real *row = (real *)t->y + m * l->slab_m + n * l->ldd;
    for (ptrdiff_t d = 0; d < t->d; d++) row[d] = *(const real *)element(y, n, m, d) * before;
}

/* y / sum, by the reciprocal unless that is subnormal or infinite: a carried sum may be anything. */
static void normalise_row(real *row, ptrdiff_t count, real sum)
{
    if (is_ordinary(sum))
        scale_row(row, count, 1 / sum);
    else
        for (ptrdiff_t i = 0; i < count; i += VL) vstore(row + i, vdiv(vload(row + i), vset(sum)));
}

static void forward_begin(const floyd_forward_tile *t, const floyd_view *y, const floyd_view *max,
                          const floyd_view *sum)
{
    const floyd_layout *l = t->layout;
    for (ptrdiff_t m = 0; m < t->m; m++) {
        memset((real *)t->y + m * l->slab_m, 0, (size_t)(t->n * l->ldd) * sizeof(real));
        for (ptrdiff_t n = 0; n < t->n; n++) {
            ((real *)t->max)[m * t->stat + n] = -INFINITY;
            ((real *)t->sum)[m * t->stat + n] = 0;
            if (y) forward_carry_row(t, n, m, y, max, sum);
        }
    }
}

static void write_copies(const floyd_view *view, ptrdiff_t slab, ptrdiff_t row, int64_t copies, real value)
{
    /* Adding +0 makes -0 +0, as in every output. */
    for (int64_t c = 0; c < copies; c++) store_one(element(view, slab, row, c), FLOYD_REAL_DTYPE, value + 0);
}

/* What row (n,m) came to: y is divided by its sum, max and sum go to where they are wanted. */
static void forward_end_row(const floyd_forward_tile *t, ptrdiff_t n, ptrdiff_t m, const floyd_view *max,
                            int64_t max_copies, const floyd_view *sum, int64_t sum_copies)
{
    const floyd_layout *l = t->layout;
    const real greatest = ((const real *)t->max)[m * t->stat + n];
    real total = ((const real *)t->sum)[m * t->stat + n];
    if (greatest == -INFINITY) total = FLOYD_NAN; /* exp(-inf + inf), as the formula has it */
    normalise_row((real *)t->y + m * l->slab_m + n * l->ldd, l->ldd, total);
    if (max->data) write_copies(max, n, m, max_copies, greatest);
    if (sum->data) write_copies(sum, n, m, sum_copies, total);
}

static void forward_end(const floyd_forward_tile *t, const floyd_view *y, const floyd_view *max, int64_t max_copies,
                        const floyd_view *sum, int64_t sum_copies)
{
    const floyd_layout *l = t->layout;
    const floyd_target target = {.out = *y, .first = 1, .last = 1};
    for (ptrdiff_t n = 0; n < t->n; n++) {
        for (ptrdiff_t m = 0; m < t->m; m++) forward_end_row(t, n, m, max, max_copies, sum, sum_copies);
        merge_image(&target, n, (real *)t->y + n * l->ldd, l->slab_m, t->m, t->d);
    }
}

#endif
