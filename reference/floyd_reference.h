/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floyd attention exactly as the formulas of floydattn.h read, element by element, in double. It shares
 * no code with the library, is as slow as it looks, and exists to check the library: in the tests, in
 * `floydattn selftest` and in the demo.
 *
 * All arrays are double and contiguous, with the shapes of floydattn.h; max and sum are [B,H,N,M].
 */
#ifndef FLOYD_REFERENCE_H
#define FLOYD_REFERENCE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct floyd_reference {
    int64_t B, H, N, M, K, D;
    double scale;
    const double *q, *k1, *v1, *k2, *v2;
    const uint8_t *mask;    /* NULL = nothing masked */
    int64_t mask_stride[5]; /* in bytes along B, H, N, M, K; 0 broadcasts */
    int zero_grad;          /* 0: dS of fully masked rows as the formula stands; 1: 0 at masked positions */
    double softmax_cap;     /* 0 = none */
    const double *bias;     /* NULL = none */
    int64_t bias_stride[5]; /* in elements along B, H, N, M, K; 0 broadcasts */
    double mask_fill;       /* 0 = -FLT_MAX */
    double dropout;
    uint64_t seed;
    /* Read by the backward only: */
    const double *y, *max, *sum, *dy;
} floyd_reference;

/* Called where there is no memory for a row's scores; does not return. abort, unless a program sets another. */
extern void (*floyd_reference_no_memory)(void);

/* One row (n,m): y[D], *max, *sum. Any output may be NULL. */
void floyd_reference_row(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m, double *y,
                         double *max, double *sum);

/* One position (n,m,k), from the given max, sum and Y. */
typedef struct floyd_reference_position {
    double weight; /* P */
    double kept;   /* keep / (1 - dropout) */
    double slope;  /* of the cap: 1 - tanh(S / cap)^2 */
    double dbias;  /* the gradient of what softmax sees */
    double dscore; /* dS */
} floyd_reference_position;

floyd_reference_position floyd_reference_at(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m,
                                            int64_t k);

/* One vector of D of each gradient. Either output of a pair may be NULL. */
void floyd_reference_dq(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t m, double *dq);
void floyd_reference_dk1_dv1(const floyd_reference *p, int64_t b, int64_t h, int64_t n, int64_t k, double *dk1,
                             double *dv1);
void floyd_reference_dk2_dv2(const floyd_reference *p, int64_t b, int64_t h, int64_t k, int64_t m, double *dk2,
                             double *dv2);

/* Everything: y [B,H,N,M,D], max and sum [B,H,N,M]; then each gradient that is not NULL. */
void floyd_reference_forward(const floyd_reference *p, double *y, double *max, double *sum);
void floyd_reference_backward(const floyd_reference *p, double *dq, double *dk1, double *dv1, double *dk2,
                              double *dv2);
/* dbias [B,H,N,M,K], summed over the axes along which size is 1. */
void floyd_reference_dbias(const floyd_reference *p, const int64_t size[5], double *dbias);

/* Philox4x32-10: four words that a counter and a key give. */
void floyd_reference_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4]);

/* Exact values of the half types, and rounding to them to nearest even (overflow gives inf). */
double floyd_reference_from_f16(uint16_t bits);
double floyd_reference_from_bf16(uint16_t bits);
uint16_t floyd_reference_to_f16(double value);
uint16_t floyd_reference_to_bf16(double value);

#ifdef __cplusplus
}
#endif

#endif /* FLOYD_REFERENCE_H */
