/* SPDX-License-Identifier: Apache-2.0 */
#include "golden.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static double *zeros(int64_t count)
{
    double *values = calloc((size_t)count + 1, sizeof *values);
    if (!values) abort();
    return values;
}

/* Element 0 of the R copies. */
static double *row_values(const tensor *t)
{
    floyd_tensor first = t->view;
    first.size[4] = 1;
    return tensor_values(&first);
}

static void load_mask(golden *g, const problem *p)
{
    if (!p->t[T_MASK].block) return;
    tensor full = mask_expanded(p);
    size_t bytes;
    g->mask = tensor_packed(&full.view, &bytes);
    g->ref.mask = g->mask;
    for (int a = 0; a < 5; a++) g->ref.mask_stride[a] = full.view.stride[a];
    tensor_free(&full);
}

static golden golden_new(const problem *p, enum role last)
{
    const spec *s = &p->s;
    const int f64 = s->dtype == FLOYD_F64;
    golden g = {.unit = f64 ? DBL_EPSILON : FLT_EPSILON / 2};
    /* fp64: the reference's own errors are as large, so the unit is doubled. */
    g.tiny = (f64 ? DBL_MIN : (double)FLT_MIN) / (16 * g.unit);
    g.gradual = 64 * (double)(s->N + s->M + s->K + s->D) * (f64 ? 0x1p-1074 : 0x1p-150);
    g.ref = (floyd_reference){.B = s->B, .H = s->H, .N = s->N, .M = s->M, .K = s->K, .D = s->D};
    g.ref.scale = f64 ? s->scale : (double)(float)s->scale;
    g.ref.zero_grad = s->rule == FLOYD_MASK_ZERO_GRAD;
    load_mask(&g, p);
    for (enum role r = T_Q; r <= last; r++)
        if (r != T_MASK) g.in[r] = r == T_MAX || r == T_SUM ? row_values(&p->t[r]) : tensor_values(&p->t[r].view);
    g.ref.q = g.in[T_Q], g.ref.k1 = g.in[T_K1], g.ref.v1 = g.in[T_V1], g.ref.k2 = g.in[T_K2], g.ref.v2 = g.in[T_V2];
    g.ref.y = g.in[T_Y], g.ref.max = g.in[T_MAX], g.ref.sum = g.in[T_SUM], g.ref.dy = g.in[T_DY];
    return g;
}

void golden_free(golden *g)
{
    for (int r = 0; r < ROLES; r++) {
        free(g->in[r]);
        free(g->value[r]);
        free(g->terms[r]);
    }
    free(g->mask);
}

/* Where the vectors of pair (n,m), (n,k) and (k,m) begin, in rows. */
typedef struct place {
    int64_t b, h, n, m, nm, first_nk, first_km; /* first_*: at k = 0 */
} place;

static place place_of(const golden *g, int64_t row)
{
    const floyd_reference *r = &g->ref;
    place at = {.m = row % r->M, .n = row / r->M % r->N, .h = row / (r->M * r->N) % r->H, .nm = row};
    at.b = row / (r->M * r->N * r->H);
    at.first_nk = ((at.b * r->H + at.h) * r->N + at.n) * r->K;
    at.first_km = (at.b * r->H + at.h) * r->K * r->M + at.m;
    return at;
}

static int is_masked(const golden *g, const place *at, int64_t k)
{
    const int64_t *s = g->ref.mask_stride;
    return g->mask && g->mask[at->b * s[0] + at->h * s[1] + at->n * s[2] + at->m * s[3] + k * s[4]];
}

static double size_of_dot(const double *a, int64_t i, const double *b, int64_t j, int64_t D)
{
    double total = 0;
    for (int64_t d = 0; d < D; d++) total += fabs(a[i * D + d] * b[j * D + d]);
    return total;
}

static void add_sizes(double *to, int64_t i, double factor, const double *from, int64_t j, int64_t D)
{
    for (int64_t d = 0; d < D; d++) to[i * D + d] += factor * fabs(from[j * D + d]);
}

/* A of check.h. */
static double row_reach(const golden *g, const place *at)
{
    double reach = 0;
    for (int64_t k = 0; k < g->ref.K; k++) {
        if (is_masked(g, at, k)) continue;
        const double size = size_of_dot(g->ref.q, at->nm, g->ref.k1, at->first_nk + k, g->ref.D) +
                            size_of_dot(g->ref.q, at->nm, g->ref.k2, at->first_km + k * g->ref.M, g->ref.D);
        reach = fmax(reach, fabs(g->ref.scale) * size);
    }
    return reach;
}

static void forward_row_terms(golden *g, const place *at)
{
    const double factor = 4 + row_reach(g, at);
    double weight, dscore;
    g->terms[T_MAX][at->nm] = factor;
    g->terms[T_SUM][at->nm] = factor * g->value[T_SUM][at->nm];
    for (int64_t k = 0; k < g->ref.K; k++) {
        floyd_reference_weight(&g->ref, at->b, at->h, at->n, at->m, k, &weight, &dscore);
        if (weight == 0 && is_masked(g, at, k)) continue;
        const double share = factor * weight + g->tiny;
        add_sizes(g->terms[T_Y], at->nm, share, g->ref.v1, at->first_nk + k, g->ref.D);
        add_sizes(g->terms[T_Y], at->nm, share, g->ref.v2, at->first_km + k * g->ref.M, g->ref.D);
    }
}

golden golden_forward(const problem *p)
{
    golden g = golden_new(p, T_V2);
    const int64_t rows = g.ref.B * g.ref.H * g.ref.N * g.ref.M;
    for (enum role r = T_Y; r <= T_SUM; r++) {
        g.value[r] = zeros(rows * (r == T_Y ? g.ref.D : 1));
        g.terms[r] = zeros(rows * (r == T_Y ? g.ref.D : 1));
    }
    floyd_reference_forward(&g.ref, g.value[T_Y], g.value[T_MAX], g.value[T_SUM]);
    /* floyd_reference_weight() reads these four; only the weight is used here. */
    g.ref.max = g.value[T_MAX], g.ref.sum = g.value[T_SUM], g.ref.y = g.ref.dy = g.value[T_Y];
    for (int64_t row = 0; row < rows; row++) {
        const place at = place_of(&g, row);
        forward_row_terms(&g, &at);
    }
    return g;
}

static void backward_row_terms(golden *g, const place *at)
{
    const floyd_reference *r = &g->ref;
    const double factor = 4 + row_reach(g, at), delta = size_of_dot(r->dy, at->nm, r->y, at->nm, r->D);
    double weight, dscore;
    for (int64_t k = 0; k < r->K; k++) {
        const int64_t nk = at->first_nk + k, km = at->first_km + k * r->M;
        floyd_reference_weight(r, at->b, at->h, at->n, at->m, k, &weight, &dscore);
        if (weight == 0 && is_masked(g, at, k)) continue;
        const double sums =
            size_of_dot(r->dy, at->nm, r->v1, nk, r->D) + size_of_dot(r->dy, at->nm, r->v2, km, r->D);
        const double share = factor * fabs(weight) + g->tiny;
        const double slope = factor * fabs(dscore) + (fabs(weight) + g->tiny) * fabs(r->scale) * (sums + delta);
        add_sizes(g->terms[T_DQ], at->nm, slope, r->k1, nk, r->D);
        add_sizes(g->terms[T_DQ], at->nm, slope, r->k2, km, r->D);
        add_sizes(g->terms[T_DK1], nk, slope, r->q, at->nm, r->D);
        add_sizes(g->terms[T_DK2], km, slope, r->q, at->nm, r->D);
        add_sizes(g->terms[T_DV1], nk, share, r->dy, at->nm, r->D);
        add_sizes(g->terms[T_DV2], km, share, r->dy, at->nm, r->D);
    }
}

golden golden_backward(const problem *p)
{
    golden g = golden_new(p, T_DY);
    const int64_t rows = g.ref.B * g.ref.H * g.ref.N * g.ref.M;
    for (enum role r = T_DQ; r < ROLES; r++) {
        g.value[r] = zeros(tensor_count(&p->t[r].view));
        g.terms[r] = zeros(tensor_count(&p->t[r].view));
    }
    floyd_reference_backward(&g.ref, g.value[T_DQ], g.value[T_DK1], g.value[T_DV1], g.value[T_DK2], g.value[T_DV2]);
    for (int64_t row = 0; row < rows; row++) {
        const place at = place_of(&g, row);
        backward_row_terms(&g, &at);
    }
    return g;
}
