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

/* Packed values in row-major order, of which an axis of size 1 stands for any index. */
static void broadcast_strides(const floyd_tensor *t, int64_t stride[5])
{
    int64_t step = 1;
    for (int a = 4; a >= 0; a--) {
        stride[a] = t->size[a] == 1 ? 0 : step;
        step *= t->size[a];
    }
}

/* A number other than 0 that rounds to 0 still is a fill. */
static double rounded_fill(double fill, int f64)
{
    const double rounded = f64 ? fill : (double)(float)fill;
    return fill != 0 && rounded == 0 ? DBL_MIN : rounded;
}

static void set_reference(floyd_reference *r, const spec *s)
{
    const int f64 = s->dtype == FLOYD_F64;
    *r = (floyd_reference){.B = s->B, .H = s->H, .N = s->N, .M = s->M, .K = s->K, .D = s->D};
    r->scale = f64 ? s->scale : (double)(float)s->scale;
    r->zero_grad = s->rule == FLOYD_MASK_ZERO_GRAD;
    r->softmax_cap = f64 ? s->softmax_cap : (double)(float)s->softmax_cap;
    r->mask_fill = rounded_fill(s->mask_fill, f64);
    r->dropout = s->dropout, r->seed = s->dropout_seed;
}

enum { OPERANDS = 1 << T_Q | 1 << T_K1 | 1 << T_V1 | 1 << T_K2 | 1 << T_V2 | 1 << T_BIAS };

static golden golden_new(const problem *p, unsigned inputs)
{
    const spec *s = &p->s;
    const int f64 = s->dtype == FLOYD_F64;
    golden g = {.unit = f64 ? DBL_EPSILON : FLT_EPSILON / 2};
    /* fp64: the reference's own errors are as large, so the unit is doubled. */
    g.tiny = (f64 ? DBL_MIN : (double)FLT_MIN) / (16 * g.unit);
    g.gradual = 64 * (double)(s->N + s->M + s->K + s->D) * (f64 ? 0x1p-1074 : 0x1p-150);
    g.size = zeros(s->K);
    g.position = calloc((size_t)s->K + 1, sizeof *g.position);
    if (!g.position) abort();
    set_reference(&g.ref, s);
    load_mask(&g, p);
    for (enum role r = T_Q; r < ROLES; r++)
        if ((inputs >> r & 1) && p->t[r].block)
            g.in[r] = r == T_MAX || r == T_SUM ? row_values(&p->t[r]) : tensor_values(&p->t[r].view);
    g.ref.q = g.in[T_Q], g.ref.k1 = g.in[T_K1], g.ref.v1 = g.in[T_V1], g.ref.k2 = g.in[T_K2], g.ref.v2 = g.in[T_V2];
    g.ref.y = g.in[T_Y], g.ref.max = g.in[T_MAX], g.ref.sum = g.in[T_SUM], g.ref.dy = g.in[T_DY];
    g.ref.bias = g.in[T_BIAS];
    broadcast_strides(&p->t[T_BIAS].view, g.ref.bias_stride);
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
    free(g->position);
    free(g->size);
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

static int64_t offset(const int64_t stride[5], const place *at, int64_t k)
{
    return at->b * stride[0] + at->h * stride[1] + at->n * stride[2] + at->m * stride[3] + k * stride[4];
}

static int is_masked(const golden *g, const place *at, int64_t k)
{
    return g->mask && g->mask[offset(g->ref.mask_stride, at, k)];
}

static double bias_at(const golden *g, const place *at, int64_t k)
{
    return g->ref.bias ? g->ref.bias[offset(g->ref.bias_stride, at, k)] : 0;
}

/* Where a weight of 0 is one exactly, and no rounding error. */
static int is_hidden(const golden *g, const place *at, int64_t k)
{
    return is_masked(g, at, k) || bias_at(g, at, k) == -INFINITY;
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

/* A of check.h, and what golden holds of the row. */
static double row_reach(golden *g, const place *at)
{
    const double fill = g->ref.mask_fill != 0 ? g->ref.mask_fill : -(double)FLT_MAX;
    double reach = 0;
    for (int64_t k = 0; k < g->ref.K; k++) {
        const double terms = size_of_dot(g->ref.q, at->nm, g->ref.k1, at->first_nk + k, g->ref.D) +
                             size_of_dot(g->ref.q, at->nm, g->ref.k2, at->first_km + k * g->ref.M, g->ref.D);
        g->size[k] = fabs(g->ref.scale) * terms;
        g->position[k] = floyd_reference_at(&g->ref, at->b, at->h, at->n, at->m, k);
        if (g->position[k].weight == 0) continue;
        const double own = is_masked(g, at, k) ? fill - g->ref.max[at->nm] : g->size[k] + fabs(bias_at(g, at, k));
        reach = fmax(reach, fabs(own));
    }
    return reach;
}

static void forward_row_terms(golden *g, const place *at)
{
    const double factor = 4 + row_reach(g, at);
    g->terms[T_MAX][at->nm] = factor;
    g->terms[T_SUM][at->nm] = factor * g->value[T_SUM][at->nm];
    for (int64_t k = 0; k < g->ref.K; k++) {
        const floyd_reference_position x = g->position[k];
        if (x.weight == 0 && is_hidden(g, at, k)) continue;
        const double share = (factor * x.weight + g->tiny) * x.kept;
        add_sizes(g->terms[T_Y], at->nm, share, g->ref.v1, at->first_nk + k, g->ref.D);
        add_sizes(g->terms[T_Y], at->nm, share, g->ref.v2, at->first_km + k * g->ref.M, g->ref.D);
    }
}

golden golden_forward(const problem *p)
{
    golden g = golden_new(p, OPERANDS);
    const int64_t rows = g.ref.B * g.ref.H * g.ref.N * g.ref.M;
    for (enum role r = T_Y; r <= T_SUM; r++) {
        g.value[r] = zeros(rows * (r == T_Y ? g.ref.D : 1));
        g.terms[r] = zeros(rows * (r == T_Y ? g.ref.D : 1));
    }
    floyd_reference_forward(&g.ref, g.value[T_Y], g.value[T_MAX], g.value[T_SUM]);
    /* floyd_reference_at() reads these four; only weights are used here. */
    g.ref.max = g.value[T_MAX], g.ref.sum = g.value[T_SUM], g.ref.y = g.ref.dy = g.value[T_Y];
    for (int64_t row = 0; row < rows; row++) {
        const place at = place_of(&g, row);
        forward_row_terms(&g, &at);
    }
    return g;
}

/* What dS counts as, from what the gradient of the score that softmax sees counts as. */
static double slope_terms(const golden *g, const floyd_reference_position *x, double size, double dbias_terms)
{
    const double cap = g->ref.softmax_cap;
    const double of_cap = cap != 0 ? fabs(x->dbias) * (1 + 2 * x->slope * size / cap) : 0;
    return fabs(g->ref.scale) * (x->slope * dbias_terms + of_cap);
}

static void backward_row_terms(golden *g, const place *at)
{
    const floyd_reference *r = &g->ref;
    const double factor = 4 + row_reach(g, at), delta = size_of_dot(r->dy, at->nm, r->y, at->nm, r->D);
    for (int64_t k = 0; k < r->K; k++) {
        const int64_t nk = at->first_nk + k, km = at->first_km + k * r->M;
        const floyd_reference_position x = g->position[k];
        if (x.weight == 0 && is_hidden(g, at, k)) continue;
        const double sums =
            x.kept * (size_of_dot(r->dy, at->nm, r->v1, nk, r->D) + size_of_dot(r->dy, at->nm, r->v2, km, r->D));
        const double share = (factor * fabs(x.weight) + g->tiny) * x.kept;
        const int is_zero = r->zero_grad && is_masked(g, at, k);
        const double dbias = is_zero ? 0 : factor * fabs(x.dbias) + (fabs(x.weight) + g->tiny) * (sums + delta);
        const double slope = slope_terms(g, &x, g->size[k], dbias);
        add_sizes(g->terms[T_DQ], at->nm, slope, r->k1, nk, r->D);
        add_sizes(g->terms[T_DQ], at->nm, slope, r->k2, km, r->D);
        add_sizes(g->terms[T_DK1], nk, slope, r->q, at->nm, r->D);
        add_sizes(g->terms[T_DK2], km, slope, r->q, at->nm, r->D);
        add_sizes(g->terms[T_DV1], nk, share, r->dy, at->nm, r->D);
        add_sizes(g->terms[T_DV2], km, share, r->dy, at->nm, r->D);
        if (g->terms[T_DBIAS]) g->terms[T_DBIAS][offset(g->dbias_stride, at, k)] += dbias;
    }
}

golden golden_backward(const problem *p)
{
    golden g = golden_new(p, OPERANDS | 1u << T_Y | 1u << T_MAX | 1u << T_SUM | 1u << T_DY);
    const int64_t rows = g.ref.B * g.ref.H * g.ref.N * g.ref.M;
    for (enum role r = T_DQ; r < ROLES; r++) {
        if (!(GRADIENTS >> r & 1) || !p->t[r].block) continue;
        g.value[r] = zeros(tensor_count(&p->t[r].view));
        g.terms[r] = zeros(tensor_count(&p->t[r].view));
    }
    broadcast_strides(&p->t[T_DBIAS].view, g.dbias_stride);
    floyd_reference_backward(&g.ref, g.value[T_DQ], g.value[T_DK1], g.value[T_DV1], g.value[T_DK2], g.value[T_DV2]);
    if (g.value[T_DBIAS]) floyd_reference_dbias(&g.ref, p->t[T_DBIAS].view.size, g.value[T_DBIAS]);
    for (int64_t row = 0; row < rows; row++) {
        const place at = place_of(&g, row);
        backward_row_terms(&g, &at);
    }
    return g;
}
