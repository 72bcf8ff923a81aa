/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"

#include "floyd_reference.h"
#include "report.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Allowed is the one rounding of the output, half an ulp, and what accumulation in fp32 (fp64) may have added
 * before it: FACTOR roundings of the largest value of the output. An element is a sum of terms some ten times its
 * size (operands are of size 1, scores below 20), whose relative errors are a few roundings: that is within FACTOR,
 * while one operand of a product rounded to half precision inside (2^-11, that is 2^13 roundings) is far beyond.
 */
static const double FACTOR = 256;

/* Scores of fully masked rows are -FLT_MAX: no measure for the others. */
static const double HUGE_SCORE = FLT_MAX / 2;

typedef struct range {
    int64_t begin, count;
} range;

/* A head's box of rows n, columns m and pivots k, in doubles, as a problem of its own. */
typedef struct box {
    floyd_reference p;
    double *operands[TRIAL_TENSORS];
    uint8_t *mask;
} box;

static double load(const floyd_tensor *t, int64_t offset)
{
    switch (t->dtype) {
    case FLOYD_F16:
        return floyd_reference_from_f16(((const uint16_t *)t->data)[offset]);
    case FLOYD_BF16:
        return floyd_reference_from_bf16(((const uint16_t *)t->data)[offset]);
    case FLOYD_F32:
        return (double)((const float *)t->data)[offset];
    case FLOYD_F64:
        return ((const double *)t->data)[offset];
    default:
        return ((const uint8_t *)t->data)[offset];
    }
}

static double *gather(const floyd_tensor *t, int64_t b, int64_t h, range i, range j)
{
    const int64_t length = t->size[4];
    double *values = allocate(sizeof *values * (size_t)(i.count * j.count * length), "the reference"), *at = values;
    for (int64_t x = i.begin; x < i.begin + i.count; x++)
        for (int64_t y = j.begin; y < j.begin + j.count; y++) {
            const int64_t vector = b * t->stride[0] + h * t->stride[1] + x * t->stride[2] + y * t->stride[3];
            for (int64_t d = 0; d < length; d++) *at++ = load(t, vector + d);
        }
    return values;
}

/* An axis of size 1 serves every index. */
static int64_t step(const floyd_tensor *t, int axis, int64_t index)
{
    return t->size[axis] == 1 ? 0 : index * t->stride[axis];
}

static uint8_t *gather_mask(const floyd_tensor *t, int64_t b, int64_t h, range n, range m, range k)
{
    if (!t->data) return NULL;
    uint8_t *values = allocate((size_t)(n.count * m.count * k.count), "the reference"), *at = values;
    for (int64_t x = n.begin; x < n.begin + n.count; x++)
        for (int64_t y = m.begin; y < m.begin + m.count; y++)
            for (int64_t z = k.begin; z < k.begin + k.count; z++)
                *at++ =
                    ((const uint8_t *)
                         t->data)[step(t, 0, b) + step(t, 1, h) + step(t, 2, x) + step(t, 3, y) + step(t, 4, z)];
    return values;
}

static box make_box(const trial *t, int64_t b, int64_t h, range n, range m, range k)
{
    box x = {.mask = gather_mask(&t->mask, b, h, n, m, k)};
    for (int i = 0; i <= TRIAL_SUM; i++) {
        const int first = i == TRIAL_K1 || i == TRIAL_V1, second = i == TRIAL_K2 || i == TRIAL_V2;
        x.operands[i] = gather(&t->tensor[i], b, h, second ? k : n, first ? k : m);
    }
    x.p = (floyd_reference){.B = 1,
                            .H = 1,
                            .N = n.count,
                            .M = m.count,
                            .K = k.count,
                            .D = t->problem.D,
                            .scale = t->problem.dtype == FLOYD_F64 ? t->scale : (double)(float)t->scale,
                            .q = x.operands[TRIAL_Q],
                            .k1 = x.operands[TRIAL_K1],
                            .v1 = x.operands[TRIAL_V1],
                            .k2 = x.operands[TRIAL_K2],
                            .v2 = x.operands[TRIAL_V2],
                            .mask = x.mask,
                            .mask_stride = {0, 0, m.count * k.count, k.count, 1},
                            .zero_grad = t->problem.rule == FLOYD_MASK_ZERO_GRAD,
                            .y = x.operands[TRIAL_Y],
                            .max = x.operands[TRIAL_MAX],
                            .sum = x.operands[TRIAL_SUM],
                            .dy = x.operands[TRIAL_DY]};
    return x;
}

static void free_box(box *x)
{
    for (int i = 0; i < TRIAL_TENSORS; i++) free(x->operands[i]);
    free(x->mask);
}

static void grow(series *s, size_t more)
{
    if (s->count + more <= s->room) return;
    s->room = 2 * (s->count + more);
    s->got = realloc(s->got, s->room * sizeof *s->got);
    s->want = realloc(s->want, s->room * sizeof *s->want);
    if (!s->got || !s->want) die(STATUS_SYSTEM, "no memory to compare results in");
}

/* Notes the vector (b,h,i,j) of an output beside what it should be. */
static void note(comparison *c, trial_tensor which, int64_t b, int64_t h, int64_t i, int64_t j, const double *want)
{
    const floyd_tensor *t = &c->trial->tensor[which];
    const size_t length = (size_t)t->size[4];
    series *s = &c->of[which - TRIAL_Y];
    double *got = gather(t, b, h, (range){i, 1}, (range){j, 1});
    grow(s, length);
    memcpy(s->got + s->count, got, length * sizeof *got);
    memcpy(s->want + s->count, want, length * sizeof *want);
    s->count += length;
    free(got);
}

static range all(int64_t count)
{
    return (range){0, count};
}

static void no_memory(void)
{
    die(STATUS_SYSTEM, "no memory for the reference's scores");
}

static double *vector(const comparison *c)
{
    return allocate((size_t)c->trial->problem.D * sizeof(double), "the reference");
}

void compare_row(comparison *c, int64_t b, int64_t h, int64_t n, int64_t m)
{
    box x = make_box(c->trial, b, h, (range){n, 1}, (range){m, 1}, all(c->trial->problem.K));
    double *want = vector(c), max, sum;
    floyd_reference_no_memory = no_memory;
    floyd_reference_row(&x.p, 0, 0, 0, 0, want, &max, &sum);
    note(c, TRIAL_Y, b, h, n, m, want);
    note(c, TRIAL_MAX, b, h, n, m, &max);
    note(c, TRIAL_SUM, b, h, n, m, &sum);
    floyd_reference_dq(&x.p, 0, 0, 0, 0, want);
    note(c, TRIAL_DQ, b, h, n, m, want);
    free(want);
    free_box(&x);
}

typedef void (*edge_fn)(const floyd_reference *p, int64_t b, int64_t h, int64_t i, int64_t j, double *dk,
                        double *dv);

static void compare_edge(comparison *c, box *x, edge_fn reference, trial_tensor dk, int64_t b, int64_t h, int64_t i,
                         int64_t j)
{
    double *want_dk = vector(c), *want_dv = vector(c);
    reference(&x->p, 0, 0, 0, 0, want_dk, want_dv);
    note(c, dk, b, h, i, j, want_dk);
    note(c, dk + 1, b, h, i, j, want_dv);
    free(want_dk);
    free(want_dv);
    free_box(x);
}

void compare_edge1(comparison *c, int64_t b, int64_t h, int64_t n, int64_t k)
{
    box x = make_box(c->trial, b, h, (range){n, 1}, all(c->trial->problem.M), (range){k, 1});
    compare_edge(c, &x, floyd_reference_dk1_dv1, TRIAL_DK1, b, h, n, k);
}

void compare_edge2(comparison *c, int64_t b, int64_t h, int64_t k, int64_t m)
{
    box x = make_box(c->trial, b, h, all(c->trial->problem.N), (range){m, 1}, (range){k, 1});
    compare_edge(c, &x, floyd_reference_dk2_dv2, TRIAL_DK2, b, h, k, m);
}

/* Half an ulp relative to the value, and about half the smallest step, for a type that an output may have. */
static void rounding_of(floyd_dtype dtype, double *relative, double *absolute)
{
    static const struct {
        double relative, absolute;
    } units[] = {[FLOYD_F32] = {0x1p-24, 0x1p-150},
                 [FLOYD_F64] = {0x1p-53, 0x1p-1074},
                 [FLOYD_F16] = {0x1p-11, 0x1p-25},
                 [FLOYD_BF16] = {0x1p-8, 0x1p-134}};
    *relative = units[dtype].relative;
    *absolute = units[dtype].absolute;
}

static double largest(const series *s)
{
    double value = 0;
    for (size_t i = 0; i < s->count; i++)
        if (fabs(s->want[i]) < HUGE_SCORE && fabs(s->want[i]) > value) value = fabs(s->want[i]);
    return value;
}

/*
 * What the error of an output is measured by: its largest value. A gradient's by that of all gradients: where one
 * pivot has all the weight, dq, dk1 and dk2 all but cancel, and what cancelled is to be seen in dv1 and dv2.
 */
static double measure_of(const comparison *c, trial_tensor which)
{
    if (which < TRIAL_DQ) return largest(&c->of[which - TRIAL_Y]);
    double value = 0;
    for (int i = TRIAL_DQ; i < TRIAL_TENSORS; i++) value = fmax(value, largest(&c->of[i - TRIAL_Y]));
    return value;
}

static void judge_series(const comparison *c, trial_tensor which, verdict *v)
{
    const series *s = &c->of[which - TRIAL_Y];
    const double inside = c->trial->problem.dtype == FLOYD_F64 ? 0x1p-53 : 0x1p-24;
    const double accumulated = FACTOR * inside * measure_of(c, which);
    double relative, absolute;
    rounding_of(c->trial->tensor[which].dtype, &relative, &absolute);
    for (size_t i = 0; i < s->count; i++) {
        const double rounded = relative * fabs(s->want[i]) + absolute;
        const double error = fabs(s->got[i] - s->want[i]) - rounded;
        const double share = error <= 0 ? 0 : error / accumulated;
        if (share <= v->worst) continue; /* a NaN goes on, and stays */
        if (isnan(v->worst)) return;
        *v = (verdict){share, which, s->got[i], s->want[i]};
    }
}

verdict judge(const comparison *c)
{
    verdict v = {.where = TRIAL_Y};
    for (int i = TRIAL_Y; i < TRIAL_TENSORS; i++) judge_series(c, (trial_tensor)i, &v);
    return v;
}

void free_comparison(comparison *c)
{
    for (int i = 0; i < COMPARED; i++) {
        free(c->of[i].got);
        free(c->of[i].want);
    }
}
