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
/* The same for each width and type: 12 chains of a*x + b, which neither grow nor vanish. */
#define FLOYD_CHAINS(name, isa, real, vec, prefix, suffix)                                                         \
    __attribute__((target(isa))) static double name(volatile double *sink)                                         \
    {                                                                                                              \
        vec acc[CHAINS];                                                                                           \
        const vec a = prefix##_set1_##suffix((real)*sink), b = prefix##_set1_##suffix((real)1e-9);                 \
        for (int i = 0; i < CHAINS; i++) acc[i] = prefix##_set1_##suffix((real)i);                                 \
        for (int s = 0; s < STEPS; s++) {                                                                          \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] =                                     \
                prefix##_fmadd_##suffix(acc[i], a, b);                                                             \
        }                                                                                                          \
        for (int i = 1; i < CHAINS; i++) acc[0] = prefix##_add_##suffix(acc[0], acc[i]);                           \
        real lanes[sizeof(vec) / sizeof(real)];                                                                    \
        prefix##_storeu_##suffix(lanes, acc[0]);                                                                   \
        *sink = 0.5 + 0.0 * (double)lanes[0];                                                                      \
        return 2.0 * (sizeof(vec) / sizeof(real)) * CHAINS * STEPS;                                                \
    }

FLOYD_CHAINS(chains_avx2_f32, "avx2,fma", float, __m256, _mm256, ps)
FLOYD_CHAINS(chains_avx2_f64, "avx2,fma", double, __m256d, _mm256, pd)
FLOYD_CHAINS(chains_avx512_f32, "avx512f", float, __m512, _mm512, ps)
FLOYD_CHAINS(chains_avx512_f64, "avx512f", double, __m512d, _mm512, pd)
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
    if (strcmp(isa, "avx512") == 0) chains = fp64 ? chains_avx512_f64 : chains_avx512_f32;
    if (strcmp(isa, "avx2") == 0 || strcmp(isa, "portable-fma") == 0)
        chains = fp64 ? chains_avx2_f64 : chains_avx2_f32;
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
