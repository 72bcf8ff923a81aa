/* SPDX-License-Identifier: Apache-2.0 */
/* What vectors of 32 and 64 bytes share on x86-64: sums over lanes, which are 32 bytes wide everywhere, and
 * transposition. */
#ifndef FLOYD_VEC_X86_H
#define FLOYD_VEC_X86_H

#include <immintrin.h>

#ifdef FLOYD_REAL_F64

typedef __m256d vsum;

static inline vsum vsum_zero(void)
{
    return _mm256_setzero_pd();
}
static inline vsum vsum_product(vsum sum, const real *a, const real *b)
{
    return _mm256_fmadd_pd(_mm256_loadu_pd(a), _mm256_loadu_pd(b), sum);
}
static inline real vsum_fold(vsum a)
{
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* 32 bytes square: dst[j][i] = src[i][j]. */
static inline void transpose_256(const real *src, ptrdiff_t lds, real *dst, ptrdiff_t ldd)
{
    const __m256d r0 = _mm256_loadu_pd(src), r1 = _mm256_loadu_pd(src + lds);
    const __m256d r2 = _mm256_loadu_pd(src + 2 * lds), r3 = _mm256_loadu_pd(src + 3 * lds);
    const __m256d a = _mm256_unpacklo_pd(r0, r1), b = _mm256_unpackhi_pd(r0, r1);
    const __m256d c = _mm256_unpacklo_pd(r2, r3), d = _mm256_unpackhi_pd(r2, r3);
    _mm256_storeu_pd(dst, _mm256_permute2f128_pd(a, c, 0x20));
    _mm256_storeu_pd(dst + ldd, _mm256_permute2f128_pd(b, d, 0x20));
    _mm256_storeu_pd(dst + 2 * ldd, _mm256_permute2f128_pd(a, c, 0x31));
    _mm256_storeu_pd(dst + 3 * ldd, _mm256_permute2f128_pd(b, d, 0x31));
}

#else

typedef __m256 vsum;

static inline vsum vsum_zero(void)
{
    return _mm256_setzero_ps();
}
static inline vsum vsum_product(vsum sum, const real *a, const real *b)
{
    return _mm256_fmadd_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b), sum);
}
static inline real vsum_fold(vsum a)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* 32 bytes square: dst[j][i] = src[i][j]. */
static inline void transpose_256(const real *src, ptrdiff_t lds, real *dst, ptrdiff_t ldd)
{
    __m256 r[8], t[8];
    /* Rows i and i+4 share a register: the exchange of halves is then done by the loads. */
    for (int i = 0; i < 4; i++) {
        const real *low = src + i * lds, *high = src + (i + 4) * lds;
        r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
        r[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low + 4)), _mm_loadu_ps(high + 4), 1);
    }
    for (int i = 0; i < 8; i += 4) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
        t[i + 2] = _mm256_unpacklo_ps(r[i + 2], r[i + 3]);
        t[i + 3] = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
    }
    for (int i = 0; i < 8; i += 4) {
        _mm256_storeu_ps(dst + (i + 0) * ldd, _mm256_shuffle_ps(t[i], t[i + 2], 0x44));
        _mm256_storeu_ps(dst + (i + 1) * ldd, _mm256_shuffle_ps(t[i], t[i + 2], 0xee));
        _mm256_storeu_ps(dst + (i + 2) * ldd, _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44));
        _mm256_storeu_ps(dst + (i + 3) * ldd, _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee));
    }
}

#endif
#endif
