/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference wants whole arrays of double, eight bytes where the operands have two. A vector of an output
 * depends on a thin slab of the inputs only, so each place is checked on its slab, cut out as a small problem of
 * its own:
 *
 *   Y, max, sum, dQ at (n,m)   1 x 1 x K        dK1, dV1 at (n,k)   1 x M x 1        dK2, dV2 at (k,m)   N x 1 x 1
 *
 * The gradients are compared with those that follow from the max, sum and Y that the library wrote: the backward
 * takes them as given.
 */
#include "accuracy.h"

#include "floyd_reference.h"
#include "util.h"

/* A half-open range of one axis, or all of it. */
typedef struct range {
    int64_t first, count;
} range;

typedef struct slab {
    int64_t b, h;
    range n, m, k;
    double *t[TENSORS]; /* inputs of the reference, contiguous */
    floyd_reference reference;
} slab;

static double element(const floyd_tensor *t, int64_t b, int64_t h, int64_t i, int64_t j, int64_t d)
{
    const int64_t at = b * t->stride[0] + h * t->stride[1] + i * t->stride[2] + j * t->stride[3] + d * t->stride[4];
    if (t->dtype == FLOYD_F32) return (double)((const float *)t->data)[at];
    return floyd_reference_from_f16(((const uint16_t *)t->data)[at]);
}

static double *cut(const floyd_tensor *t, const slab *s, range i, range j)
{
    const int64_t D = t->size[4];
    double *out = allocate((size_t)(i.count * j.count * D), sizeof *out), *next = out;
    for (int64_t x = i.first; x < i.first + i.count; x++) {
        for (int64_t y = j.first; y < j.first + j.count; y++) {
            for (int64_t d = 0; d < D; d++) *next++ = element(t, s->b, s->h, x, y, d);
        }
    }
    return out;
}

static slab slab_new(const problem *p, int64_t b, int64_t h, range n, range m, range k)
{
    slab s = {.b = b, .h = h, .n = n, .m = m, .k = k};
    s.t[Q] = cut(&p->t[Q], &s, n, m);
    s.t[Y] = cut(&p->t[Y], &s, n, m);
    s.t[DY] = cut(&p->t[DY], &s, n, m);
    s.t[MAX] = cut(&p->t[MAX], &s, n, m);
    s.t[SUM] = cut(&p->t[SUM], &s, n, m);
    s.t[K1] = cut(&p->t[K1], &s, n, k);
    s.t[V1] = cut(&p->t[V1], &s, n, k);
    s.t[K2] = cut(&p->t[K2], &s, k, m);
    s.t[V2] = cut(&p->t[V2], &s, k, m);
    s.reference = (floyd_reference){.B = 1,
                                    .H = 1,
                                    .N = n.count,
                                    .M = m.count,
                                    .K = k.count,
                                    .D = p->D,
                                    .scale = (double)(float)p->scale, /* as the library rounds it */
                                    .q = s.t[Q],
                                    .k1 = s.t[K1],
                                    .v1 = s.t[V1],
                                    .k2 = s.t[K2],
                                    .v2 = s.t[V2],
                                    .y = s.t[Y],
                                    .max = s.t[MAX],
                                    .sum = s.t[SUM],
                                    .dy = s.t[DY]};
    return s;
}

static void slab_free(slab *s)
{
    for (int i = 0; i < TENSORS; i++) free(s->t[i]);
}

/* ---- Judging ------------------------------------------------------------------------------------- */

/* Half the distance between neighbours around a value: fp16 has 11 bits and ends at 2^-24, fp32 24 and 2^-149. */
static double half_ulp(floyd_dtype dtype, double value)
{
    int exponent = 0;
    frexp(value, &exponent);
    const int ulp = exponent - (dtype == FLOYD_F16 ? 11 : 24), smallest = dtype == FLOYD_F16 ? -24 : -149;
    return ldexp(0.5, ulp > smallest ? ulp : smallest);
}

static double rounded_to(floyd_dtype dtype, double value)
{
    return dtype == FLOYD_F16 ? floyd_reference_from_f16(floyd_reference_to_f16(value)) : (double)(float)value;
}

static void compare(const floyd_tensor *t, int64_t b, int64_t h, int64_t i, int64_t j, const double *expected,
                    accuracy *a)
{
    for (int64_t d = 0; d < t->size[4]; d++) {
        const double got = element(t, b, h, i, j, d), error = fabs(got - expected[d]);
        const double half = half_ulp(t->dtype, expected[d]);
        a->elements++;
        a->rounded += got == rounded_to(t->dtype, expected[d]);
        a->worst = error / half <= a->worst ? a->worst : error / half; /* a NaN stays */
        if (error <= a->error) continue;
        a->error = error;
        a->half_ulp = half;
    }
}

/* ---- Places -------------------------------------------------------------------------------------- */

typedef struct place {
    int64_t b, h, n, m, k;
} place;

static int64_t below(uint64_t *random, int64_t end)
{
    return (int64_t)(random_unit(random) * (double)end);
}

static range one(int64_t index)
{
    return (range){index, 1};
}
static range whole(int64_t count)
{
    return (range){0, count};
}

static void check_row(const problem *p, const place *at, double *expected, accuracy *result)
{
    double max = 0, sum = 0;
    slab s = slab_new(p, at->b, at->h, one(at->n), one(at->m), whole(p->K));
    floyd_reference_row(&s.reference, 0, 0, 0, 0, expected, &max, &sum);
    compare(&p->t[Y], at->b, at->h, at->n, at->m, expected, &result[Y]);
    compare(&p->t[MAX], at->b, at->h, at->n, at->m, &max, &result[MAX]);
    compare(&p->t[SUM], at->b, at->h, at->n, at->m, &sum, &result[SUM]);
    floyd_reference_dq(&s.reference, 0, 0, 0, 0, expected);
    compare(&p->t[DQ], at->b, at->h, at->n, at->m, expected, &result[DQ]);
    slab_free(&s);
}

static void check_first_edge(const problem *p, const place *at, double *expected, accuracy *result)
{
    slab s = slab_new(p, at->b, at->h, one(at->n), whole(p->M), one(at->k));
    floyd_reference_dk1_dv1(&s.reference, 0, 0, 0, 0, expected, expected + p->D);
    compare(&p->t[DK1], at->b, at->h, at->n, at->k, expected, &result[DK1]);
    compare(&p->t[DV1], at->b, at->h, at->n, at->k, expected + p->D, &result[DV1]);
    slab_free(&s);
}

static void check_second_edge(const problem *p, const place *at, double *expected, accuracy *result)
{
    slab s = slab_new(p, at->b, at->h, whole(p->N), one(at->m), one(at->k));
    floyd_reference_dk2_dv2(&s.reference, 0, 0, 0, 0, expected, expected + p->D);
    compare(&p->t[DK2], at->b, at->h, at->k, at->m, expected, &result[DK2]);
    compare(&p->t[DV2], at->b, at->h, at->k, at->m, expected + p->D, &result[DV2]);
    slab_free(&s);
}

void accuracy_sample(const problem *p, int positions, accuracy result[TENSORS])
{
    double *expected = allocate((size_t)(2 * p->D), sizeof *expected);
    uint64_t random = 2;
    for (int i = 0; i < TENSORS; i++) result[i] = (accuracy){0};
    for (int i = 0; i < positions; i++) {
        const place at = {below(&random, p->B), below(&random, p->H), below(&random, p->N), below(&random, p->M),
                          below(&random, p->K)};
        check_row(p, &at, expected, result);
        check_first_edge(p, &at, expected, result);
        check_second_edge(p, &at, expected, result);
    }
    free(expected);
}
