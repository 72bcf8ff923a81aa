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
#include <string.h>

typedef floyd_reference ref;

void (*floyd_reference_no_memory)(void) = abort;

/* Where the vectors of the pairs (n,m), (n,k) and (k,m) begin. */
static int64_t at_nm(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m)
{
    return (((b * p->H + h) * p->N + n) * p->M + m) * p->D;
}

static int64_t at_nk(const ref *p, int64_t b, int64_t h, int64_t n, int64_t k)
{
    return (((b * p->H + h) * p->N + n) * p->K + k) * p->D;
}

static int64_t at_km(const ref *p, int64_t b, int64_t h, int64_t k, int64_t m)
{
    return (((b * p->H + h) * p->K + k) * p->M + m) * p->D;
}

static double stored(const ref *p, const double *t, int64_t b, int64_t h, int64_t n, int64_t m)
{
    return t[((b * p->H + h) * p->N + n) * p->M + m];
}

static int64_t offset(const int64_t stride[5], int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    return b * stride[0] + h * stride[1] + n * stride[2] + m * stride[3] + k * stride[4];
}

static int masked(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    return p->mask && p->mask[offset(p->mask_stride, b, h, n, m, k)] != 0;
}

static double dot(const double *a, const double *b, int64_t length)
{
    double total = 0;
    for (int64_t d = 0; d < length; d++) total += a[d] * b[d];
    return total;
}

static void clear(double *values, int64_t count)
{
    for (int64_t i = 0; values && i < count; i++) values[i] = 0;
}

static void add_scaled(double *to, double factor, const double *from, int64_t length)
{
    for (int64_t d = 0; d < length; d++) to[d] += factor * from[d];
}

/* S before anything else is done to it. */
static double plain_score(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    const double *q = p->q + at_nm(p, b, h, n, m);
    return p->scale * (dot(q, p->k1 + at_nk(p, b, h, n, k), p->D) + dot(q, p->k2 + at_km(p, b, h, k, m), p->D));
}

static double mask_fill(const ref *p)
{
    return p->mask_fill != 0 ? p->mask_fill : -FLT_MAX;
}

/* T of floydattn.h: a row counts as fully masked while its max is no more. */
static double masked_limit(const ref *p)
{
    return fmax(mask_fill(p) / 2, mask_fill(p) + 750);
}

/* What softmax sees. */
static double score(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    if (masked(p, b, h, n, m, k)) return mask_fill(p);
    double s = plain_score(p, b, h, n, m, k);
    if (p->softmax_cap != 0) s = p->softmax_cap * tanh(s / p->softmax_cap);
    return p->bias ? s + p->bias[offset(p->bias_stride, b, h, n, m, k)] : s;
}

/* 1 - tanh(S / cap)^2, without its cancellation where the cap saturates. */
static double cap_slope(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    if (p->softmax_cap == 0) return 1;
    const double c = cosh(plain_score(p, b, h, n, m, k) / p->softmax_cap);
    return 1 / (c * c);
}

/* keep / (1 - dropout). A probability of 1 keeps nothing and divides nothing. */
static double kept(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k)
{
    if (p->dropout == 0) return 1;
    const uint32_t counter[] = {(uint32_t)(k / 4), (uint32_t)m, (uint32_t)n, (uint32_t)(b * p->H + h)};
    const uint32_t key[] = {(uint32_t)p->seed, (uint32_t)(p->seed >> 32)};
    uint32_t words[4];
    floyd_reference_philox(counter, key, words);
    return words[k % 4] >= p->dropout * 0x1p32 ? 1 / (1 - p->dropout) : 0;
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
    if (!s) {
        floyd_reference_no_memory();
        return; /* never */
    }
    for (int64_t k = 0; k < p->K; k++) s[k] = score(p, b, h, n, m, k);
    const double top = largest(s, p->K);
    double total = 0;
    for (int64_t k = 0; k < p->K; k++) total += exp(s[k] - top);
    clear(y, p->D);
    for (int64_t k = 0; y && k < p->K; k++) {
        const double weight = exp(s[k] - top) / total * kept(p, b, h, n, m, k);
        add_scaled(y, weight, p->v1 + at_nk(p, b, h, n, k), p->D);
        add_scaled(y, weight, p->v2 + at_km(p, b, h, k, m), p->D);
    }
    free(s);
    if (max) *max = top;
    if (sum) *sum = total;
}

floyd_reference_position floyd_reference_at(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m,
                                            int64_t k)
{
    const double top = stored(p, p->max, b, h, n, m);
    const int is_masked = masked(p, b, h, n, m, k), row_is_masked = top <= masked_limit(p);
    floyd_reference_position x = {.kept = kept(p, b, h, n, m, k), .slope = cap_slope(p, b, h, n, m, k)};
    if (!is_masked || row_is_masked) x.weight = exp(score(p, b, h, n, m, k) - top) / stored(p, p->sum, b, h, n, m);
    if (!is_masked || (row_is_masked && !p->zero_grad)) {
        const double *dy = p->dy + at_nm(p, b, h, n, m);
        const double dp =
            x.kept * (dot(dy, p->v1 + at_nk(p, b, h, n, k), p->D) + dot(dy, p->v2 + at_km(p, b, h, k, m), p->D));
        x.dbias = x.weight * (dp - dot(dy, p->y + at_nm(p, b, h, n, m), p->D));
        x.dscore = x.dbias * x.slope * p->scale;
    }
    return x;
}

void floyd_reference_dq(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m, double *dq)
{
    clear(dq, p->D);
    for (int64_t k = 0; k < p->K; k++) {
        const double ds = floyd_reference_at(p, b, h, n, m, k).dscore;
        add_scaled(dq, ds, p->k1 + at_nk(p, b, h, n, k), p->D);
        add_scaled(dq, ds, p->k2 + at_km(p, b, h, k, m), p->D);
    }
}

/* What the position (n,m,k) adds to a key's and a value's gradient. */
static void add_edge(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k, double *dk, double *dv)
{
    const floyd_reference_position x = floyd_reference_at(p, b, h, n, m, k);
    if (dk) add_scaled(dk, x.dscore, p->q + at_nm(p, b, h, n, m), p->D);
    if (dv) add_scaled(dv, x.weight * x.kept, p->dy + at_nm(p, b, h, n, m), p->D);
}

void floyd_reference_dk1_dv1(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t k, double *dk1,
                             double *dv1)
{
    clear(dk1, p->D);
    clear(dv1, p->D);
    for (int64_t m = 0; m < p->M; m++) add_edge(p, b, h, n, m, k, dk1, dv1);
}

void floyd_reference_dk2_dv2(const floyd_reference *p, int64_t b, int64_t h, int64_t k, int64_t m, double *dk2,
                             double *dv2)
{
    clear(dk2, p->D);
    clear(dv2, p->D);
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

/* What the position (n,m,k) adds to every gradient that is not NULL. */
static void add_position(const ref *p, int64_t b, int64_t h, int64_t n, int64_t m, int64_t k, double *dq,
                         double *dk1, double *dv1, double *dk2, double *dv2)
{
    const int64_t nm = at_nm(p, b, h, n, m), nk = at_nk(p, b, h, n, k), km = at_km(p, b, h, k, m), D = p->D;
    const floyd_reference_position x = floyd_reference_at(p, b, h, n, m, k);
    if (dq) add_scaled(dq + nm, x.dscore, p->k1 + nk, D);
    if (dq) add_scaled(dq + nm, x.dscore, p->k2 + km, D);
    if (dk1) add_scaled(dk1 + nk, x.dscore, p->q + nm, D);
    if (dk2) add_scaled(dk2 + km, x.dscore, p->q + nm, D);
    if (dv1) add_scaled(dv1 + nk, x.weight * x.kept, p->dy + nm, D);
    if (dv2) add_scaled(dv2 + km, x.weight * x.kept, p->dy + nm, D);
}

void floyd_reference_backward(const floyd_reference *p, double *dq, double *dk1, double *dv1, double *dk2,
                              double *dv2)
{
    const int64_t heads = p->B * p->H, K = p->K, M = p->M, N = p->N;
    clear(dq, heads * N * M * p->D);
    clear(dk1, heads * N * K * p->D);
    clear(dv1, heads * N * K * p->D);
    clear(dk2, heads * K * M * p->D);
    clear(dv2, heads * K * M * p->D);
    for (int64_t i = 0; i < heads * N * M * K; i++) {
        const int64_t k = i % K, m = i / K % M, n = i / (K * M) % N, head = i / (K * M * N);
        add_position(p, head / p->H, head % p->H, n, m, k, dq, dk1, dv1, dk2, dv2);
    }
}

void floyd_reference_dbias(const floyd_reference *p, const int64_t size[5], double *dbias)
{
    int64_t stride[5], count = 1;
    for (int a = 4; a >= 0; a--) {
        stride[a] = size[a] == 1 ? 0 : count;
        count *= size[a];
    }
    clear(dbias, count);
    const int64_t K = p->K, M = p->M, N = p->N, H = p->H;
    for (int64_t i = 0; i < p->B * H * N * M * K; i++) {
        const int64_t k = i % K, m = i / K % M, n = i / (K * M) % N, h = i / (K * M * N) % H,
                      b = i / (K * M * N * H);
        dbias[offset(stride, b, h, n, m, k)] += floyd_reference_at(p, b, h, n, m, k).dbias;
    }
}

/* ---- Random numbers ---------------------------------------------------------------------------- */

static void philox_round(uint32_t c[4], const uint32_t key[2])
{
    const uint64_t product0 = UINT64_C(0xD2511F53) * c[0], product1 = UINT64_C(0xCD9E8D57) * c[2];
    c[0] = (uint32_t)(product1 >> 32) ^ c[1] ^ key[0];
    c[1] = (uint32_t)product1;
    c[2] = (uint32_t)(product0 >> 32) ^ c[3] ^ key[1];
    c[3] = (uint32_t)product0;
}

void floyd_reference_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4])
{
    uint32_t round_key[] = {key[0], key[1]};
    memcpy(words, counter, 4 * sizeof *words);
    for (int round = 0; round < 10; round++) {
        philox_round(words, round_key);
        round_key[0] += UINT32_C(0x9E3779B9);
        round_key[1] += UINT32_C(0xBB67AE85);
    }
}

/* ---- Half types -------------------------------------------------------------------------------- */

/* 2^exponent, which is a normal number: ldexp() takes ten times as long. */
static double power_of_two(int exponent)
{
    const uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

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
        value = mantissa * power_of_two(1 - bias - mantissa_bits);
    else
        value = (mantissa + (1 << mantissa_bits)) * power_of_two(exponent - bias - mantissa_bits);
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
    const double units = size * power_of_two(mantissa_bits - exponent), whole = floor(units), rest = units - whole;
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
