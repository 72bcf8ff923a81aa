/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "floyd_reference.h"

enum { PLACES = 40, MAX_D = 128 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

void fill_random(uint16_t *values, int64_t count, unsigned seed)
{
    uint64_t state = 0x9E3779B97F4A7C15u * (seed + 1u);
    for (int64_t i = 0; i < count; i++) {
        values[i] = floyd_reference_to_f16((double)next_random(&state) * 0x1p-52 - 1.0);
    }
}

void fill_random_mask(uint8_t *values, int64_t count, unsigned seed)
{
    uint64_t state = 0x9E3779B97F4A7C15u * (seed + 1u);
    for (int64_t i = 0; i < count; i++) values[i] = next_random(&state) % 4 == 0;
}

/* ---- The run as the reference takes it ----------------------------------------------------------- */

typedef struct golden {
    floyd_reference problem;
    double *arrays[9];
    int count;
} golden;

static double *keep(golden *g, int64_t count)
{
    double *array = malloc((size_t)count * sizeof *array);
    if (array == NULL) abort();
    return g->arrays[g->count++] = array;
}

static const double *widened(golden *g, const uint16_t *from, int64_t count)
{
    double *array = keep(g, count);
    for (int64_t i = 0; i < count; i++) array[i] = floyd_reference_from_f16(from[i]);
    return array;
}

static const double *first_of_eight(golden *g, const float *from, int64_t rows)
{
    double *array = keep(g, rows);
    for (int64_t i = 0; i < rows; i++) array[i] = from[8 * i];
    return array;
}

static void golden_open(golden *g, const floyd_run *r)
{
    const int64_t rows = r->B * r->H * r->N * r->M, nk = r->B * r->H * r->N * r->K, km = r->B * r->H * r->K * r->M;
    *g = (golden){.problem = {.B = r->B, .H = r->H, .N = r->N, .M = r->M, .K = r->K, .D = r->D}};
    floyd_reference *p = &g->problem;
    p->scale = (double)(float)r->scale;
    p->q = widened(g, r->q, rows * r->D);
    p->k1 = widened(g, r->k1, nk * r->D);
    p->v1 = widened(g, r->v1, nk * r->D);
    p->k2 = widened(g, r->k2, km * r->D);
    p->v2 = widened(g, r->v2, km * r->D);
    p->mask = r->mask;
    p->mask_stride[0] = r->N * r->K;
    p->mask_stride[2] = r->K;
    p->mask_stride[4] = 1;
    p->max = first_of_eight(g, r->max, rows);
    p->sum = first_of_eight(g, r->sum, rows);
    p->y = widened(g, r->y, rows * r->D);
    if (r->dy != NULL) p->dy = widened(g, r->dy, rows * r->D);
}

static void golden_close(golden *g)
{
    for (int i = 0; i < g->count; i++) free(g->arrays[i]);
}

/* ---- Comparing ----------------------------------------------------------------------------------- */

/* The largest error of a vector, as a share of what is allowed; infinite for NaN. */
static double error_of(const uint16_t *got, const double *expected, int64_t D)
{
    double largest = 0, worst = 0;
    for (int64_t d = 0; d < D; d++) largest = fmax(largest, fabs(expected[d]));
    for (int64_t d = 0; d < D; d++) {
        const double allowed = 0x1p-11 * fabs(expected[d]) + 0x1p-16 * largest + 0x1p-25;
        const double share = fabs(floyd_reference_from_f16(got[d]) - expected[d]) / allowed;
        if (!(share <= worst)) worst = isnan(share) ? INFINITY : share;
    }
    return worst;
}

static double error_of_float(float got, double expected)
{
    const double share = fabs((double)got - expected) / (0x1p-16 * fabs(expected) + 0x1p-16);
    return isnan(share) ? INFINITY : share;
}

static int report(const char *what, double worst)
{
    printf("  %-9s largest error on %d places: %.2f of what is allowed%s\n", what, PLACES, worst,
           worst <= 1 ? "" : "   WRONG");
    return worst <= 1 ? 0 : 1;
}

typedef struct place {
    int64_t b, h, n, m, k;
    int64_t nm, nk, km; /* rows of D */
} place;

static place place_of(const floyd_run *r, uint64_t *state)
{
    place x;
    x.b = (int64_t)next_random(state) % r->B;
    x.h = (int64_t)next_random(state) % r->H;
    x.n = (int64_t)next_random(state) % r->N;
    x.m = (int64_t)next_random(state) % r->M;
    x.k = (int64_t)next_random(state) % r->K;
    const int64_t head = x.b * r->H + x.h;
    x.nm = (head * r->N + x.n) * r->M + x.m;
    x.nk = (head * r->N + x.n) * r->K + x.k;
    x.km = (head * r->K + x.k) * r->M + x.m;
    return x;
}

int check_forward(const floyd_run *r)
{
    golden g;
    double y[MAX_D], max, sum, worst = 0;
    uint64_t state = 12345;
    golden_open(&g, r);
    for (int i = 0; i < PLACES; i++) {
        const place x = place_of(r, &state);
        floyd_reference_row(&g.problem, x.b, x.h, x.n, x.m, y, &max, &sum);
        worst = fmax(worst, error_of(r->y + x.nm * r->D, y, r->D));
        for (int64_t copy = 0; copy < 8; copy++) {
            worst = fmax(worst, error_of_float(r->max[x.nm * 8 + copy], max));
            worst = fmax(worst, error_of_float(r->sum[x.nm * 8 + copy], sum));
        }
    }
    golden_close(&g);
    return report("forward", worst);
}

int check_gradient(const floyd_run *r)
{
    golden g;
    double dq[MAX_D], dk[MAX_D], dv[MAX_D], worst = 0;
    uint64_t state = 54321;
    golden_open(&g, r);
    for (int i = 0; i < PLACES; i++) {
        const place x = place_of(r, &state);
        floyd_reference_dq(&g.problem, x.b, x.h, x.n, x.m, dq);
        worst = fmax(worst, error_of(r->dq + x.nm * r->D, dq, r->D));
        floyd_reference_dk1_dv1(&g.problem, x.b, x.h, x.n, x.k, dk, dv);
        worst = fmax(worst, error_of(r->dk1 + x.nk * r->D, dk, r->D));
        worst = fmax(worst, error_of(r->dv1 + x.nk * r->D, dv, r->D));
        floyd_reference_dk2_dv2(&g.problem, x.b, x.h, x.k, x.m, dk, dv);
        worst = fmax(worst, error_of(r->dk2 + x.km * r->D, dk, r->D));
        worst = fmax(worst, error_of(r->dv2 + x.km * r->D, dv, r->D));
    }
    golden_close(&g);
    return report("gradient", worst);
}
