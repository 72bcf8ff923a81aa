/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be done to one row (n,m) of scores beside scale, mask and softmax: cap, bias, dropout, and the bias's
 * gradient. Each is a pass of its own over a row that lies in the first cache; rows without any take none.
 */
#ifndef FLOYD_EXTRAS_H
#define FLOYD_EXTRAS_H

#include "dropout.h"
#include "exp.h"
#include "pack.h"
#include "rows.h"

typedef struct extra_row {
    const floyd_extras *x;
    ptrdiff_t n, m;
    ptrdiff_t k, padded; /* pivots; and up to whole vectors */
} extra_row;

/* s = cap * tanh(scale * s / cap) + bias. Leaves the derivative of the cap in slope where there is one. */
static void extra_scores(const extra_row *e, real *s, real scale)
{
    const floyd_extras *x = e->x;
    const real cap = (real)x->cap;
    real *bias = x->row, *slopes = x->slope;
    if (x->bias.data) {
        const floyd_view row = {element(&x->bias, e->n, e->m, 0), x->bias.dtype, 0, 0, x->bias.column};
        pack_image(&row, 0, 1, e->k, bias, e->padded, e->padded);
    }
    for (ptrdiff_t i = 0; i < e->padded; i += VL) {
        vec score = vmul(vload(s + i), vset(scale));
        if (cap > 0) {
            vec slope;
            score = vmul(vset(cap), vtanh(vdiv(score, vset(cap)), &slope));
            vstore(slopes + i, slope);
        }
        if (x->bias.data) score = vadd(score, vload(bias + i));
        vstore(s + i, score);
    }
}

static const uint8_t *extra_keep(const extra_row *e)
{
    const floyd_extras *x = e->x;
    const uint32_t counter[4] = {0, (uint32_t)(x->first_m + e->m), (uint32_t)(x->first_n + e->n),
                                 (uint32_t)x->head};
    return dropout_row(x->dropout, x->seed, counter, x->first_k, e->k, x->keep);
}

/* a and, if it is not NULL, b, which holds the same: times 0 where dropped, as IEEE has it, and more where kept. */
static void extra_drop(const extra_row *e, const uint8_t *keep, real *a, real *b)
{
    const real kept = e->x->dropout < 1 ? (real)(1 / (1 - e->x->dropout)) : 0;
    for (ptrdiff_t i = 0; i < e->padded; i += VL) {
        const vec factor = vselect(vmask_equal_bytes(keep + i, 1), vset(kept), vset(0));
        const vec value = vmul(vload(a + i), factor);
        vstore(a + i, value);
        if (b) vstore(b + i, value);
    }
}

/* Before P and dS are made of a row: its scores, and dP without what was dropped. Returns what is kept. */
static const uint8_t *extra_before(const extra_row *e, const backward_row *row, real scale)
{
    extra_scores(e, row->s, scale);
    if (!(e->x->dropout > 0)) return NULL;
    const uint8_t *keep = extra_keep(e);
    if (row->dp) extra_drop(e, keep, row->dp, NULL);
    return keep;
}

/* dbias[n,m] += ds. */
static void extra_add(const extra_row *e, const real *ds)
{
    const floyd_view *to = &e->x->dbias;
    real *at = element(to, e->n, e->m, 0);
    ptrdiff_t i = 0;
    if (to->column == 0) {
        vsum sum = vsum_zero();
        for (; i < e->padded; i += VL) sum = vsum_add(sum, vload(ds + i));
        store_one(at, FLOYD_REAL_DTYPE, *at + vsum_fold(sum) + 0);
        return;
    }
    if (to->column == 1) {
        for (; i + VL <= e->k; i += VL) vstore(at + i, finished(vadd(vload(at + i), vload(ds + i))));
        const ptrdiff_t rest = e->k - i;
        if (rest > 0) vstore_part(at + i, finished(vadd(vload_part(at + i, rest), vload(ds + i))), rest);
        return;
    }
    for (; i < e->k; i++) {
        real *one = at + i * to->column;
        store_one(one, FLOYD_REAL_DTYPE, *one + ds[i] + 0);
    }
}

/*
 * After: the bias's gradient, dS through the cap and the scale, P without what was dropped. Masked positions count
 * in rows that are fully masked, unless their dS is to be 0.
 */
static void extra_after(const extra_row *e, const backward_row *row, const uint8_t *keep, real scale,
                        int masked_count)
{
    const floyd_extras *x = e->x;
    const real *slopes = x->slope;
    if (keep) extra_drop(e, keep, row->s, row->p);
    if (!row->dp) return;
    if (x->dbias.data) extra_add(e, row->ds);
    for (ptrdiff_t i = 0; i < e->padded; i += VL) {
        vec dscore = vload(row->ds + i);
        if (x->cap > 0) dscore = vmul(dscore, vload(slopes + i));
        dscore = vmul(dscore, vset(scale));
        if (row->codes) { /* whatever lies there, what does not count stays 0 */
            vmask in = vmask_equal_bytes(row->codes + i, FLOYD_LIVE);
            if (masked_count) in = vmask_or(in, vmask_equal_bytes(row->codes + i, FLOYD_MASKED));
            dscore = vselect(in, dscore, vset(0));
        }
        vstore(row->dp + i, dscore);
        vstore(row->ds + i, dscore);
    }
}

#endif
