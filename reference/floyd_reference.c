/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every function walks the formulas of floydattn.h position by position, so that a reader can hold the
 * two side by side. A position (n,m,k) costs a few dot products of length D; nothing is cached but one
 * row's scores.
 */
#include "floyd_reference.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

typedef floyd_reference ref;

static const double *pair_nm(const ref *p, const double *t, int64_t b, int64_t h, int64_t n, int64_t m)
{
    return t + (((b * p->H + h) * p->N + n) * p->M + m) * p->D;
}

static const double *pair_nk(const ref *p, const double *t, int64_t b, int64_t h, int64_t n, int64_t k)
{
    return t + (((b * p->H + h) * p->N + n) * p->K + k) * p->D;
}

static const double *pair_km(const ref *p, const double *t, int64_t b, int64_t h, int64_t k, int64_t m)
{
    return t + (((b * p->H + h) * p->K + k) * p->M + m) * p->D;
}

static double stored(const ref *p, const double *t, int64_t b, int64_t h, int64_t n, int64_t m)
{
    return t[((b * p->H + h) * p->N + n) * p->M + m];
}

static int masked(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    const int64_t *s = p->mask_stride;
    return p->mask && p->mask[b * s[0] + h * s[1] + n * s[2] + m * s[3] + k * s[4]] != 0;
}

static double dot(const double *a, const double *b, int64_t length)
{
    double total = 0;
    for (int64_t d = 0; d < length; d++) total += a[d] * b[d];
    return total;
}

static void add_scaled(double *to, double factor, const double *from, int64_t length)
{
    for (int64_t d = 0; d < length; d++) to[d] += factor * from[d];
}

static double score(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    if (masked(p, b, h, n, m, k)) return -FLT_MAX;
    const double *q = pair_nm(p, p->q, b, h, n, m);
    return p->scale * (dot(q, pair_nk(p, p->k1, b, h, n, k), p->D) + dot(q, pair_km(p, p->k2, b, h, k, m), p->D));
}

/* fmax() drops a NaN; here one NaN score makes the maximum NaN. */
static double largest(const double *values, int64_t count)
{
    double top = count > 0 ? values[0] : -FLT_MAX;
    for (int64_t i = 1; i < count; i++)
        if (!(values[i] <= top) && !isnan(top)) top = values[i];
    return top;
}

void floyd_reference_row(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m, double *y,
                         double *max, double *sum)
{
    double *s = malloc((size_t)(p->K + 1) * sizeof *s);
    if (!s) abort();
    for (int64_t k = 0; k < p->K; k++) s[k] = score(p, b, h, n, m, k);
    const double top = largest(s, p->K);
    double total = 0;
    for (int64_t k = 0; k < p->K; k++) total += exp(s[k] - top);
    for (int64_t d = 0; y && d < p->D; d++) y[d] = 0;
    for (int64_t k = 0; y && k < p->K; k++) {
        const double weight = exp(s[k] - top) / total;
        add_scaled(y, weight, pair_nk(p, p->v1, b, h, n, k), p->D);
        add_scaled(y, weight, pair_km(p, p->v2, b, h, k, m), p->D);
    }
    free(s);
    if (max) *max = top;
    if (sum) *sum = total;
}

void floyd_reference_weight(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k,
                            double *weight, double *dscore)
{
    const double top = stored(p, p->max, b, h, n, m);
    const int is_masked = masked(p, b, h, n, m, k), row_is_masked = top <= -FLT_MAX / 2;
    double w = 0, ds = 0;
    if (!is_masked || row_is_masked) w = exp(score(p, b, h, n, m, k) - top) / stored(p, p->sum, b, h, n, m);
    if (!is_masked || (row_is_masked && !p->zero_grad)) {
        const double *dy = pair_nm(p, p->dy, b, h, n, m);
        const double dp =
            dot(dy, pair_nk(p, p->v1, b, h, n, k), p->D) + dot(dy, pair_km(p, p->v2, b, h, k, m), p->D);
        ds = w * (dp - dot(dy, pair_nm(p, p->y, b, h, n, m), p->D)) * p->scale;
    }
    *weight = w;
    *dscore = ds;
}

void floyd_reference_dq(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m, double *dq)
{
    for (int64_t d = 0; d < p->D; d++) dq[d] = 0;
    for (int64_t k = 0; k < p->K; k++) {
        double w, ds;
        floyd_reference_weight(p, b, h, n, m, k, &w, &ds);
        add_scaled(dq, ds, pair_nk(p, p->k1, b, h, n, k), p->D);
        add_scaled(dq, ds, pair_km(p, p->k2, b, h, k, m), p->D);
    }
}

/* What the position (n,m,k) adds to a key's and a value's gradient. */
static void add_edge(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k, double *dk, double *dv)
{
    double w, ds;
    floyd_reference_weight(p, b, h, n, m, k, &w, &ds);
    if (dk) add_scaled(dk, ds, pair_nm(p, p->q, b, h, n, m), p->D);
    if (dv) add_scaled(dv, w, pair_nm(p, p->dy, b, h, n, m), p->D);
}

static void clear_edge(double *dk, double *dv, int64_t length)
{
    for (int64_t d = 0; dk && d < length; d++) dk[d] = 0;
    for (int64_t d = 0; dv && d < length; d++) dv[d] = 0;
}

void floyd_reference_dk1_dv1(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t k, double *dk1,
                             double *dv1)
{
    clear_edge(dk1, dv1, p->D);
    for (int64_t m = 0; m < p->M; m++) add_edge(p, b, h, n, m, k, dk1, dv1);
}

void floyd_reference_dk2_dv2(const floyd_reference *p, int64_t b, int64_t h, int64_t k, int64_t m, double *dk2,
                             double *dv2)
{
    clear_edge(dk2, dv2, p->D);
    for (int64_t n = 0; n < p->N; n++) add_edge(p, b, h, n, m, k, dk2, dv2);
}

void floyd_reference_forward(const floyd_reference *p, double *y, double *max, double *sum)
{
    const int64_t rows = p->B * p->H * p->N * p->M;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t m = row % p->M, n = row / p->M % p->N, h = row / (p->M * p->N) % p->H;
        floyd_reference_row(p, row / (p->M * p->N * p->H), h, n, m, y ? y + row * p->D : NULL,
                            max ? max + row : NULL, sum ? sum + row : NULL);
    }
}

/* The part of one head; the offsets are those of the head's first vectors. */
static void backward_head(const ref *p, int64_t b, int64_t h, double *dq, double *dk1, double *dv1, double *dk2,
                          double *dv2)
{
    const int64_t head = b * p->H + h, D = p->D;
    for (int64_t n = 0; dq && n < p->N; n++)
        for (int64_t m = 0; m < p->M; m++)
            floyd_reference_dq(p, b, h, n, m, dq + ((head * p->N + n) * p->M + m) * D);
    for (int64_t n = 0; (dk1 || dv1) && n < p->N; n++)
        for (int64_t k = 0; k < p->K; k++) {
            const int64_t at = ((head * p->N + n) * p->K + k) * D;
            floyd_reference_dk1_dv1(p, b, h, n, k, dk1 ? dk1 + at : NULL, dv1 ? dv1 + at : NULL);
        }
    for (int64_t k = 0; (dk2 || dv2) && k < p->K; k++)
        for (int64_t m = 0; m < p->M; m++) {
            const int64_t at = ((head * p->K + k) * p->M + m) * D;
            floyd_reference_dk2_dv2(p, b, h, k, m, dk2 ? dk2 + at : NULL, dv2 ? dv2 + at : NULL);
        }
}

void floyd_reference_backward(const floyd_reference *p, double *dq, double *dk1, double *dv1, double *dk2,
                              double *dv2)
{
    for (int64_t b = 0; b < p->B; b++)
        for (int64_t h = 0; h < p->H; h++) backward_head(p, b, h, dq, dk1, dv1, dk2, dv2);
}

/* ---- Half types -------------------------------------------------------------------------------- */

/* A sign bit, exponent_bits and mantissa_bits, laid out as IEEE 754 lays them out, in 16 bits. */
static double decode(uint16_t bits, int exponent_bits, int mantissa_bits)
{
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    const int mantissa = bits & ((1 << mantissa_bits) - 1);
    double value;
    if (exponent == (1 << exponent_bits) - 1)
        value = mantissa ? NAN : INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, 1 - bias - mantissa_bits);
    else
        value = ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
    return bits & 0x8000 ? -value : value;
}

/* Floor and remainder rather than rint(): the caller's rounding mode has no say. */
static uint16_t encode(double value, int exponent_bits, int mantissa_bits)
{
    const int bias = (1 << (exponent_bits - 1)) - 1, lowest = 1 - bias;
    const int infinity = ((1 << exponent_bits) - 1) << mantissa_bits;
    const int sign = signbit(value) ? 0x8000 : 0;
    const double size = fabs(value);
    if (isnan(value)) return (uint16_t)(infinity | (1 << (mantissa_bits - 1)));
    if (size == 0) return (uint16_t)sign;
    if (isinf(value) || ilogb(size) > bias) return (uint16_t)(sign | infinity);
    const int exponent = ilogb(size) > lowest ? ilogb(size) : lowest;
    const double units = ldexp(size, mantissa_bits - exponent), whole = floor(units), rest = units - whole;
    /* The hidden bit of a normal number carries one into the exponent field, as rounding up may. */
    int bits = ((exponent - lowest) << mantissa_bits) + (int)whole;
    if (rest > 0.5 || (rest == 0.5 && (bits & 1))) bits++;
    return (uint16_t)(sign | bits);
}

double floyd_reference_from_f16(uint16_t bits)
{
    return decode(bits, 5, 10);
}
double floyd_reference_from_bf16(uint16_t bits)
{
    return decode(bits, 8, 7);
}
uint16_t floyd_reference_to_f16(double value)
{
    return encode(value, 5, 10);
}
uint16_t floyd_reference_to_bf16(double value)
{
    return encode(value, 8, 7);
}
