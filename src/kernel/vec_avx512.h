/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 64 bytes with AVX-512 (F, BW, DQ, VL), AVX2, FMA and F16C. See vec.h for what each name means. */
#ifndef FLOYD_VEC_AVX512_H
#define FLOYD_VEC_AVX512_H

#include "vec_x86.h"

#ifdef FLOYD_REAL_F64

typedef __m512d vec;
typedef __mmask8 vmask;
enum { VL = 8 };

static inline vec vload(const real *p)
{
    return _mm512_loadu_pd(p);
}
static inline void vstore(real *p, vec a)
{
    _mm512_storeu_pd(p, a);
}
static inline vec vload_part(const real *p, ptrdiff_t count)
{
    return _mm512_maskz_loadu_pd((vmask)((1u << count) - 1), p);
}
static inline void vstore_part(real *p, vec a, ptrdiff_t count)
{
    _mm512_mask_storeu_pd(p, (vmask)((1u << count) - 1), a);
}
static inline vec vset(real a)
{
    return _mm512_set1_pd(a);
}
static inline vec vbroadcast(const real *p)
{
    return _mm512_set1_pd(*p);
}
static inline vec vadd(vec a, vec b)
{
    return _mm512_add_pd(a, b);
}
static inline vec vsub(vec a, vec b)
{
    return _mm512_sub_pd(a, b);
}
static inline vec vmul(vec a, vec b)
{
    return _mm512_mul_pd(a, b);
}
static inline vec vdiv(vec a, vec b)
{
    return _mm512_div_pd(a, b);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm512_fmadd_pd(a, b, c);
}
static inline vec vmax(vec a, vec b)
{
    return _mm512_max_pd(a, b);
}
static inline vec vmin(vec a, vec b)
{
    return _mm512_min_pd(a, b);
}
static inline vmask visnan(vec a)
{
    return _mm512_cmp_pd_mask(a, a, _CMP_UNORD_Q);
}
static inline vmask vwithin(vec a, real limit)
{
    return _mm512_cmp_pd_mask(_mm512_abs_pd(a), vset(limit), _CMP_LE_OQ);
}
static inline vec vselect(vmask m, vec a, vec b)
{
    return _mm512_mask_blend_pd(m, b, a);
}
static inline vec vexponent(vec shifted)
{
    const __m512i bits = _mm512_slli_epi64(_mm512_castpd_si512(shifted), 52);
    return _mm512_castsi512_pd(_mm512_add_epi64(bits, _mm512_set1_epi64(1023LL << 52)));
}
static inline vec vscale(vec p, vec shifted)
{
    const __m512i bits = _mm512_slli_epi64(_mm512_castpd_si512(shifted), 52);
    return _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(p), bits));
}
static inline vmask vmask_equal_bytes(const uint8_t *p, uint8_t value)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
    return (vmask)_mm_cmpeq_epi8_mask(bytes, _mm_set1_epi8((char)value));
}
static inline real vfold_max(vec a)
{
    return _mm512_reduce_max_pd(a);
}

static inline vsum vsum_add(vsum sum, vec a)
{
    return _mm256_add_pd(_mm256_add_pd(sum, _mm512_castpd512_pd256(a)), _mm512_extractf64x4_pd(a, 1));
}
#else

typedef __m512 vec;
typedef __mmask16 vmask;
enum { VL = 16 };

static inline vec vload(const real *p)
{
    return _mm512_loadu_ps(p);
}
static inline void vstore(real *p, vec a)
{
    _mm512_storeu_ps(p, a);
}
static inline vec vload_part(const real *p, ptrdiff_t count)
{
    return _mm512_maskz_loadu_ps((vmask)((1u << count) - 1), p);
}
static inline void vstore_part(real *p, vec a, ptrdiff_t count)
{
    _mm512_mask_storeu_ps(p, (vmask)((1u << count) - 1), a);
}
static inline vec vset(real a)
{
    return _mm512_set1_ps(a);
}
static inline vec vbroadcast(const real *p)
{
    return _mm512_set1_ps(*p);
}
static inline vec vadd(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}
static inline vec vsub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}
static inline vec vmul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}
static inline vec vdiv(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}
static inline vec vfma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vec vmax(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}
static inline vec vmin(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}
static inline vmask visnan(vec a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
static inline vmask vwithin(vec a, real limit)
{
    return _mm512_cmp_ps_mask(_mm512_abs_ps(a), vset(limit), _CMP_LE_OQ);
}
static inline vec vselect(vmask m, vec a, vec b)
{
    return _mm512_mask_blend_ps(m, b, a);
}
static inline vec vexponent(vec shifted)
{
    const __m512i bits = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(127 << 23)));
}
static inline vec vscale(vec p, vec shifted)
{
    const __m512i bits = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), bits));
}
static inline vmask vmask_equal_bytes(const uint8_t *p, uint8_t value)
{
    return _mm_cmpeq_epi8_mask(_mm_loadu_si128((const __m128i *)p), _mm_set1_epi8((char)value));
}
static inline real vfold_max(vec a)
{
    return _mm512_reduce_max_ps(a);
}

static inline vsum vsum_add(vsum sum, vec a)
{
    return _mm256_add_ps(_mm256_add_ps(sum, _mm512_castps512_ps256(a)), _mm512_extractf32x8_ps(a, 1));
}
static inline vec vload_bf16(const uint16_t *p)
{
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
static inline vec vload_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}
static inline void vstore_f16(uint16_t *p, vec a)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
/* As in vec_avx2.h. The conversion that some processors have would flush subnormals. */
static inline void vstore_bf16(uint16_t *p, vec a)
{
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

#endif

static inline vmask vmask_or(vmask a, vmask b)
{
    return a | b;
}
static inline vmask vmask_and(vmask a, vmask b)
{
    return a & b;
}
static inline int vmask_any(vmask a)
{
    return a != 0;
}
static inline int vmask_all(vmask a)
{
    return a == (vmask)-1;
}

/* VL x VL: dst[j][i] = src[i][j], in quarters. */
static inline void vtranspose(const real *src, ptrdiff_t lds, real *dst, ptrdiff_t ldd)
{
    enum { HALF = VL / 2 };
    transpose_256(src, lds, dst, ldd);
    transpose_256(src + HALF * lds, lds, dst + HALF, ldd);
    transpose_256(src + HALF, lds, dst + HALF * ldd, ldd);
    transpose_256(src + HALF * lds + HALF, lds, dst + HALF * ldd + HALF, ldd);
}

#endif
