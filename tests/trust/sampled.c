/* SPDX-License-Identifier: Apache-2.0 */
#include "sampled.h"

#include "check.h"
#include "floyd_reference.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
    int64_t b, h, n, m, k;
} place;

/* ---- sums ------------------------------------------------------------------------------------------ */

typedef struct walk {
    double value, squares, running, common;
    int64_t terms;
} walk;

static void add(walk *w, double term, double error, double common)
{
    w->value += term;
    w->squares += error * error;
    w->common += common;
    if (++w->terms % 16 == 0) w->running += w->value * w->value;
}

static sample finish(const walk *w, const floyd_tensor *t, double factor)
{
    const double unit = t->dtype == FLOYD_F64 ? DBL_EPSILON : FLT_EPSILON / 2;
    const double error = factor * fabs(w->value) + sqrt(w->squares) + sqrt(w->running) + w->common;
    return (sample){w->value, half_ulp(t->dtype, w->value) + 16 * unit * error + FLT_MIN};
}

/* ---- elements -------------------------------------------------------------------------------------- */

/* As tensor_get(); the types of large problems without its calls. */
static double element(const floyd_tensor *t, int64_t at)
{
    const unsigned char *from = (const unsigned char *)t->data + at * (int64_t)floyd_dtype_size(t->dtype);
    static const int64_t first[5];
    const floyd_tensor one = {(void *)(uintptr_t)from, t->dtype, {1, 1, 1, 1, 1}, {0}};
    float f32;
    uint16_t half;
    uint32_t bits;
    if (t->dtype != FLOYD_F32 && t->dtype != FLOYD_BF16) return tensor_get(&one, first);
    memcpy(&f32, from, t->dtype == FLOYD_F32 ? sizeof f32 : 0);
    if (t->dtype == FLOYD_BF16) {
        memcpy(&half, from, sizeof half);
        bits = (uint32_t)half << 16;
        memcpy(&f32, &bits, sizeof f32);
    }
    return (double)f32;
}

static double get(const problem *p, enum role r, int64_t b, int64_t h, int64_t i, int64_t j, int64_t d)
{
    const floyd_tensor *t = &p->t[r].view;
    const int64_t *z = t->stride;
    return element(t, b * z[0] + h * z[1] + i * z[2] + j * z[3] + d * z[4]);
}

static double get_nm(const problem *p, enum role r, const place *at, int64_t d)
{
    return get(p, r, at->b, at->h, at->n, at->m, d);
}
static double get_nk(const problem *p, enum role r, const place *at, int64_t d)
{
    return get(p, r, at->b, at->h, at->n, at->k, d);
}
static double get_km(const problem *p, enum role r, const place *at, int64_t d)
{
    return get(p, r, at->b, at->h, at->k, at->m, d);
}

/* Of mask or bias; 0 where there is none. An axis of size 1 stands for any index. */
static double get_nmk(const problem *p, enum role r, const place *at)
{
    const floyd_tensor *t = &p->t[r].view;
    int64_t index[5] = {at->b, at->h, at->n, at->m, at->k};
    if (!p->t[r].block) return 0;
    for (int a = 0; a < 5; a++) index[a] = t->size[a] == 1 ? 0 : index[a];
    return tensor_get(t, index);
}

static double kept(const problem *p, const place *at)
{
    const spec *s = &p->s;
    if (s->dropout == 0) return 1;
    const uint32_t counter[] = {(uint32_t)(at->k / 4), (uint32_t)at->m, (uint32_t)at->n,
                                (uint32_t)(at->b * s->H + at->h)};
    const uint32_t key[] = {(uint32_t)s->dropout_seed, (uint32_t)(s->dropout_seed >> 32)};
    uint32_t words[4];
    floyd_reference_philox(counter, key, words);
    return words[at->k % 4] >= s->dropout * 0x1p32 ? 1 / (1 - s->dropout) : 0;
}

/* a . (x1 + x2) with x1 at (n,k) and x2 at (k,m); *size sums the magnitudes. */
static double dot(const problem *p, enum role a, enum role x1, enum role x2, const place *at, double *size)
{
    double total = 0;
    *size = 0;
    for (int64_t d = 0; d < p->s.D; d++) {
        const double left = get_nm(p, a, at, d), first = get_nk(p, x1, at, d), second = get_km(p, x2, at, d);
        total += left * (first + second);
        *size += fabs(left) * (fabs(first) + fabs(second));
    }
    return total;
}

/* ---- one position ---------------------------------------------------------------------------------- */

/* size: of the score's terms. -INFINITY where masked: no row of these problems is masked in full. */
static double score(const problem *p, const place *at, double *size)
{
    const double scale = p->s.dtype == FLOYD_F64 ? p->s.scale : (double)(float)p->s.scale;
    const double bias = get_nmk(p, T_BIAS, at), product = scale * dot(p, T_Q, T_K1, T_K2, at, size);
    *size = fabs(scale) * *size + fabs(bias);
    if (get_nmk(p, T_MASK, at) == 0) return product + bias;
    *size = 0;
    return -INFINITY;
}

typedef struct position {
    double weight, kept, dbias; /* P, keep / (1 - dropout), P (dP - delta) */
    double factor;              /* 4 + A, of this position alone: max and sum are given */
    double error, common;       /* of dbias: its own, and delta's */
} position;

static position position_at(const problem *p, const place *at, double delta, double delta_size)
{
    double size, sums;
    const double s = score(p, at, &size), dp = dot(p, T_DY, T_V1, T_V2, at, &sums);
    position x = {.kept = kept(p, at), .factor = 4 + size};
    x.weight = exp(s - get_nm(p, T_MAX, at, 0)) / get_nm(p, T_SUM, at, 0);
    x.dbias = x.weight * (x.kept * dp - delta);
    x.error = x.factor * fabs(x.dbias) + x.weight * x.kept * sums;
    x.common = x.weight * delta_size;
    return x;
}

static double delta_of(const problem *p, const place *at, double *size)
{
    double total = 0;
    *size = 0;
    for (int64_t d = 0; d < p->s.D; d++) {
        const double term = get_nm(p, T_DY, at, d) * get_nm(p, T_Y, at, d);
        total += term;
        *size += fabs(term);
    }
    return total;
}

/* ---- forward --------------------------------------------------------------------------------------- */

static sample forward_sample(const problem *p, enum role r, place at, int64_t d)
{
    double *scores = malloc((size_t)p->s.K * sizeof *scores), max = -INFINITY, sum = 0, reach = 0, size;
    walk w = {0};
    if (!scores) abort();
    for (at.k = 0; at.k < p->s.K; at.k++) {
        scores[at.k] = score(p, &at, &size);
        max = fmax(max, scores[at.k]);
        reach = fmax(reach, size);
    }
    for (int64_t k = 0; k < p->s.K; k++) sum += exp(scores[k] - max);
    for (at.k = 0; at.k < p->s.K; at.k++) {
        const double weight = exp(scores[at.k] - max);
        if (r == T_SUM) add(&w, weight, (4 + reach) * weight, 0);
        if (r != T_Y || weight == 0) continue;
        const double first = get_nk(p, T_V1, &at, d), second = get_km(p, T_V2, &at, d);
        const double share = weight / sum * kept(p, &at);
        add(&w, share * (first + second), (4 + reach) * share * (fabs(first) + fabs(second)), 0);
    }
    free(scores);
    if (r == T_MAX) w = (walk){.value = max, .common = 4 + reach};
    return finish(&w, &p->t[r].view, 4 + reach);
}

/* ---- backward -------------------------------------------------------------------------------------- */

/* One more position of the sum that a gradient is. */
static void add_position(const problem *p, enum role r, const place *at, int64_t d, const double delta[2], walk *w)
{
    const position x = position_at(p, at, delta[0], delta[1]);
    const double scale = fabs(p->s.scale), slope = scale * (x.error + x.common), share = x.weight * x.kept;
    const double other = get_nm(p, r == T_DV1 || r == T_DV2 ? T_DY : T_Q, at, d);
    if (r == T_DV1 || r == T_DV2)
        add(w, share * other, x.factor * share * fabs(other), 0);
    else if (r != T_DQ)
        add(w, x.dbias * p->s.scale * other, slope * fabs(other), 0);
    else {
        const double first = get_nk(p, T_K1, at, d), second = get_km(p, T_K2, at, d);
        add(w, x.dbias * p->s.scale * (first + second), scale * x.error * (fabs(first) + fabs(second)),
            scale * x.common * fabs(first + second));
    }
}

static sample edge_sample(const problem *p, enum role r, const int64_t index[5])
{
    const int along_n = r == T_DK2 || r == T_DV2, along_m = r == T_DK1 || r == T_DV1;
    place at = {index[0], index[1], index[2], index[3], index[3]};
    int64_t *moving = along_n ? &at.n : along_m ? &at.m : &at.k;
    const int64_t count = along_n ? p->s.N : along_m ? p->s.M : p->s.K;
    double delta[2];
    walk w = {0};
    if (along_n) at.k = index[2];
    for (*moving = 0; *moving < count; ++*moving) {
        if (*moving == 0 || along_n || along_m) delta[0] = delta_of(p, &at, &delta[1]);
        add_position(p, r, &at, index[4], delta, &w);
    }
    return finish(&w, &p->t[r].view, 16);
}

/* Full along every axis. */
static sample dbias_sample(const problem *p, const int64_t index[5])
{
    const place at = {index[0], index[1], index[2], index[3], index[4]};
    double delta[2];
    delta[0] = delta_of(p, &at, &delta[1]);
    const position x = position_at(p, &at, delta[0], delta[1]);
    const walk w = {.value = x.dbias, .common = x.error + x.common};
    return finish(&w, &p->t[T_DBIAS].view, x.factor);
}

sample sampled(const problem *p, enum role r, const int64_t index[5])
{
    const place at = {index[0], index[1], index[2], index[3], 0};
    if (r <= T_SUM) return forward_sample(p, r, at, index[4]);
    return r == T_DBIAS ? dbias_sample(p, index) : edge_sample(p, r, index);
}
