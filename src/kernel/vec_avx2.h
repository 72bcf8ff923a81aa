/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 32 bytes with AVX2, FMA and F16C. See vec.h for what each name means. */
#ifndef FLOYD_VEC_AVX2_H
#define FLOYD_VEC_AVX2_H

#include "vec_x86.h"

#ifdef FLOYD_REAL_F64

typedef __m256d vec;
typedef __m256d vmask;
enum { VL = 4 };

static inline vec vload(const real *p)
{
    return _mm256_loadu_pd(p);
}
static inline void vstore(real *p, vec a)
{
    _mm256_storeu_pd(p, a);
}
static inline __m256i first_lanes(ptrdiff_t count)
{
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
}
static inline vec vload_part(const real *p, ptrdiff_t count)
{
    return _mm256_maskload_pd(p, first_lanes(count));
}
static inline void vstore_part(real *p, vec a, ptrdiff_t count)
{
    _mm256_maskstore_pd(p, first_lanes(count), a);
}
static inline vec vset(real a)
{
    return _mm256_set1_pd(a);
}
static inline vec vbroadcast(const real *p)
{
    return _mm256_broadcast_sd(p);
}
static inline vec vadd(vec a, vec b)
{
    return _mm256_add_pd(a, b);
}
static inline vec vsub(vec a, vec b)
{
    return _mm256_sub_pd(a, b);
}
static inline vec vmul(vec a, vec b)
{
    return _mm256_mul_pd(a, b);
}
static inline vec vdiv(vec a, vec b)
{
    return _mm256_div_pd(a, b);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm256_fmadd_pd(a, b, c);
}
static inline vec vmax(vec a, vec b)
{
    return _mm256_max_pd(a, b);
}
static inline vec vmin(vec a, vec b)
{
    return _mm256_min_pd(a, b);
}
static inline vmask visnan(vec a)
{
    return _mm256_cmp_pd(a, a, _CMP_UNORD_Q);
}
static inline vmask vmask_or(vmask a, vmask b)
{
    return _mm256_or_pd(a, b);
}
static inline int vmask_any(vmask a)
{
    return _mm256_movemask_pd(a) != 0;
}
static inline vec vselect(vmask m, vec a, vec b)
{
    return _mm256_blendv_pd(b, a, m);
}
static inline vec vexponent(vec shifted)
{
    const __m256i bits = _mm256_slli_epi64(_mm256_castpd_si256(shifted), 52);
    return _mm256_castsi256_pd(_mm256_add_epi64(bits, _mm256_set1_epi64x(1023LL << 52)));
}
static inline vec vscale(vec p, vec shifted)
{
    const __m256i bits = _mm256_slli_epi64(_mm256_castpd_si256(shifted), 52);
    return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(p), bits));
}
static inline vmask vwithin(vec a, real limit)
{
    return _mm256_cmp_pd(_mm256_andnot_pd(vset(-0.0), a), vset(limit), _CMP_LE_OQ);
}
static inline vmask vmask_and(vmask a, vmask b)
{
    return _mm256_and_pd(a, b);
}
static inline int vmask_all(vmask a)
{
    return _mm256_movemask_pd(a) == 0xf;
}
static inline vsum vsum_add(vsum sum, vec a)
{
    return vadd(sum, a);
}
static inline real vfold_max(vec a)
{
    const __m128d two = _mm_max_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_max_sd(two, _mm_unpackhi_pd(two, two)));
}
static inline vmask vmask_equal_bytes(const uint8_t *p, uint8_t value)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    const __m256i wide = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
    return _mm256_castsi256_pd(_mm256_cmpeq_epi64(wide, _mm256_set1_epi64x(value)));
}

#else

typedef __m256 vec;
typedef __m256 vmask;
enum { VL = 8 };

static inline vec vload(const real *p)
{
    return _mm256_loadu_ps(p);
}
static inline void vstore(real *p, vec a)
{
    _mm256_storeu_ps(p, a);
}
static inline __m256i first_lanes(ptrdiff_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vec vload_part(const real *p, ptrdiff_t count)
{
    return _mm256_maskload_ps(p, first_lanes(count));
}
static inline void vstore_part(real *p, vec a, ptrdiff_t count)
{
    _mm256_maskstore_ps(p, first_lanes(count), a);
}
static inline vec vset(real a)
{
    return _mm256_set1_ps(a);
}
static inline vec vbroadcast(const real *p)
{
    return _mm256_broadcast_ss(p);
}
static inline vec vadd(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}
static inline vec vsub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}
static inline vec vmul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}
static inline vec vdiv(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vec vmax(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}
static inline vec vmin(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}
static inline vmask visnan(vec a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
static inline vmask vmask_or(vmask a, vmask b)
{
    return _mm256_or_ps(a, b);
}
static inline int vmask_any(vmask a)
{
    return _mm256_movemask_ps(a) != 0;
}
static inline vec vselect(vmask m, vec a, vec b)
{
    return _mm256_blendv_ps(b, a, m);
}
static inline vec vexponent(vec shifted)
{
    const __m256i bits = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(bits, _mm256_set1_epi32(127 << 23)));
}
static inline vec vscale(vec p, vec shifted)
{
    const __m256i bits = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), bits));
}
static inline vmask vwithin(vec a, real limit)
{
    return _mm256_cmp_ps(_mm256_andnot_ps(vset(-0.0f), a), vset(limit), _CMP_LE_OQ);
}
static inline vmask vmask_and(vmask a, vmask b)
{
    return _mm256_and_ps(a, b);
}
static inline int vmask_all(vmask a)
{
    return _mm256_movemask_ps(a) == 0xff;
}
static inline vsum vsum_add(vsum sum, vec a)
{
    return vadd(sum, a);
}
static inline real vfold_max(vec a)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
static inline vmask vmask_equal_bytes(const uint8_t *p, uint8_t value)
{
    const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(wide, _mm256_set1_epi32(value)));
}

static inline vec vload_bf16(const uint16_t *p)
{
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
static inline vec vload_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}
static inline void vstore_f16(uint16_t *p, vec a)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
/* a holds no NaN but the canonical one, whose lower half is 0 and which no rounding can carry out of. */
static inline void vstore_bf16(uint16_t *p, vec a)
{
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i half = _mm256_srli_epi32(rounded, 16);
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(half, half), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(packed));
}

#endif

static inline void vtranspose(const real *src, ptrdiff_t lds, real *dst, ptrdiff_t ldd)
{
    transpose_256(src, lds, dst, ldd);
}

#endif
