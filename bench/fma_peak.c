/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "fma_peak.h"

#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CHAINS = 12, STEPS = 200000 }; /* 12 chains cover latency 4-5 at two a cycle, in 16 registers */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Each returns the flops it did; `sink` keeps the compiler from dropping the work. */
typedef double (*chains_fn)(volatile double *sink);

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static double chains_avx2_f32(volatile double *sink)
{
    __m256 acc[CHAINS];
    const __m256 a = _mm256_set1_ps((float)*sink), b = _mm256_set1_ps(1e-9f);
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm256_set1_ps((float)i);
    for (int s = 0; s < STEPS; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) acc[i] = _mm256_fmadd_ps(acc[i], a, b);
    }
    for (int i = 1; i < CHAINS; i++) acc[0] = _mm256_add_ps(acc[0], acc[i]);
    *sink = 0.5 + 0.0 * (double)_mm256_cvtss_f32(acc[0]);
    return 2.0 * 8 * CHAINS * STEPS;
}

__attribute__((target("avx2,fma"))) static double chains_avx2_f64(volatile double *sink)
{
    __m256d acc[CHAINS];
    const __m256d a = _mm256_set1_pd(*sink), b = _mm256_set1_pd(1e-9);
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm256_set1_pd((double)i);
    for (int s = 0; s < STEPS; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) acc[i] = _mm256_fmadd_pd(acc[i], a, b);
    }
    for (int i = 1; i < CHAINS; i++) acc[0] = _mm256_add_pd(acc[0], acc[i]);
    *sink = 0.5 + 0.0 * _mm256_cvtsd_f64(acc[0]);
    return 2.0 * 4 * CHAINS * STEPS;
}
#endif

typedef float wide_f32 __attribute__((vector_size(16)));
typedef double wide_f64 __attribute__((vector_size(16)));

static double chains_plain_f32(volatile double *sink)
{
    wide_f32 acc[CHAINS];
    const float a = (float)*sink;
    for (int i = 0; i < CHAINS; i++) acc[i] = (wide_f32){(float)i, 1, 2, 3};
    for (int s = 0; s < STEPS; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) acc[i] = acc[i] * a + 1e-9f;
    }
    for (int i = 1; i < CHAINS; i++) acc[0] += acc[i];
    *sink = 0.5 + 0.0 * (double)acc[0][0];
    return 2.0 * 4 * CHAINS * STEPS;
}

static double chains_plain_f64(volatile double *sink)
{
    wide_f64 acc[CHAINS];
    const double a = *sink;
    for (int i = 0; i < CHAINS; i++) acc[i] = (wide_f64){(double)i, 1};
    for (int s = 0; s < STEPS; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) acc[i] = acc[i] * a + 1e-9;
    }
    for (int i = 1; i < CHAINS; i++) acc[0] += acc[i];
    *sink = 0.5 + 0.0 * acc[0][0];
    return 2.0 * 2 * CHAINS * STEPS;
}

double floyd_fma_peak(const char *isa, int fp64, int repeats)
{
    chains_fn chains = fp64 ? chains_plain_f64 : chains_plain_f32;
#if defined(__x86_64__)
    if (strcmp(isa, "avx2") == 0) chains = fp64 ? chains_avx2_f64 : chains_avx2_f32;
#else
    (void)isa;
#endif
    volatile double sink = 0.5;
    double best = 0;
    for (int r = 0; r < repeats; r++) {
        double flops = 0, start = now(), spent = 0;
        do {
            flops += chains(&sink);
            spent = now() - start;
        } while (spent < 0.01);
        if (flops / spent > best) best = flops / spent;
    }
    return best;
}
