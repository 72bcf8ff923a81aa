/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of 32 bytes in the compiler's own vector types, for any processor. See vec.h for what each name means.
 *
 * A vector is made of parts. There is one, except for GCC where registers have 16 bytes: it would keep a wider one
 * in memory, and multiply-add it lane by lane.
 */
#ifndef FLOYD_VEC_PORTABLE_H
#define FLOYD_VEC_PORTABLE_H

#include "half.h"

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || (defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF))
#define FLOYD_FUSES
#endif

#if defined(__AVX__) || defined(__clang__)
#define FLOYD_PART_BYTES 32
#else
#define FLOYD_PART_BYTES 16
#if defined(__aarch64__)
#include <arm_neon.h>
#define FLOYD_NEON
#endif
#endif

#ifdef FLOYD_REAL_F64
typedef int64_t lane_int;
enum { VL = 4, MANTISSA_BITS = 52, EXPONENT_BIAS = 1023 };
#define FLOYD_LANE_FMA __builtin_fma
#else
typedef int32_t lane_int;
enum { VL = 8, MANTISSA_BITS = 23, EXPONENT_BIAS = 127 };
#define FLOYD_LANE_FMA __builtin_fmaf
#endif
enum { PARTS = 32 / FLOYD_PART_BYTES, PL = VL / PARTS }; /* PL lanes each */

typedef real vpart __attribute__((vector_size(FLOYD_PART_BYTES)));
typedef lane_int vpart_mask __attribute__((vector_size(FLOYD_PART_BYTES)));

typedef struct vec {
    vpart p[PARTS];
} vec;
typedef vec vsum;
typedef struct vmask {
    vpart_mask p[PARTS];
} vmask;

#define FLOYD_EACH_PART for (int i = 0; i < PARTS; i++)

static inline vec vload(const real *p)
{
    vec a;
    FLOYD_EACH_PART memcpy(&a.p[i], p + i * PL, FLOYD_PART_BYTES);
    return a;
}
static inline void vstore(real *p, vec a)
{
    FLOYD_EACH_PART memcpy(p + i * PL, &a.p[i], FLOYD_PART_BYTES);
}
static inline vec vload_part(const real *p, ptrdiff_t count)
{
    real lane[VL] = {0};
    for (ptrdiff_t i = 0; i < count; i++) lane[i] = p[i];
    return vload(lane);
}
static inline void vstore_part(real *p, vec a, ptrdiff_t count)
{
    real lane[VL];
    vstore(lane, a);
    for (ptrdiff_t i = 0; i < count; i++) p[i] = lane[i];
}
static inline vec vset(real a)
{
    vec all;
    FLOYD_EACH_PART all.p[i] = a - (vpart){0};
    return all;
}
static inline vec vbroadcast(const real *p)
{
    return vset(*p);
}
static inline vec vadd(vec a, vec b)
{
    FLOYD_EACH_PART a.p[i] = a.p[i] + b.p[i];
    return a;
}
static inline vec vsub(vec a, vec b)
{
    FLOYD_EACH_PART a.p[i] = a.p[i] - b.p[i];
    return a;
}
static inline vec vmul(vec a, vec b)
{
    FLOYD_EACH_PART a.p[i] = a.p[i] * b.p[i];
    return a;
}
static inline vec vdiv(vec a, vec b)
{
    FLOYD_EACH_PART a.p[i] = a.p[i] / b.p[i];
    return a;
}
static inline vpart vpart_fma(vpart a, vpart b, vpart c)
{
#if defined(FLOYD_NEON) && defined(FLOYD_REAL_F64)
    return (vpart)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#elif defined(FLOYD_NEON)
    return (vpart)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined(FLOYD_FUSES)
    for (int i = 0; i < PL; i++) c[i] = FLOYD_LANE_FMA(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c; /* no fused multiply-add here: a libm call per lane would cost a hundred times more */
#endif
}
static inline vec vfma(vec a, vec b, vec c)
{
    FLOYD_EACH_PART c.p[i] = vpart_fma(a.p[i], b.p[i], c.p[i]);
    return c;
}
static inline vpart vpart_select(vpart_mask m, vpart a, vpart b)
{
    return (vpart)(((vpart_mask)a & m) | ((vpart_mask)b & ~m));
}
static inline vec vselect(vmask m, vec a, vec b)
{
    FLOYD_EACH_PART a.p[i] = vpart_select(m.p[i], a.p[i], b.p[i]);
    return a;
}
static inline vec vmax(vec a, vec b)
{
    FLOYD_EACH_PART a.p[i] = vpart_select(a.p[i] > b.p[i], a.p[i], b.p[i]);
    return a;
}
static inline vec vmin(vec a, vec b)
{
    FLOYD_EACH_PART a.p[i] = vpart_select(a.p[i] < b.p[i], a.p[i], b.p[i]);
    return a;
}
static inline vmask visnan(vec a)
{
    vmask nan;
    FLOYD_EACH_PART nan.p[i] = a.p[i] != a.p[i];
    return nan;
}
static inline vmask vmask_or(vmask a, vmask b)
{
    FLOYD_EACH_PART a.p[i] |= b.p[i];
    return a;
}
static inline int vmask_any(vmask a)
{
    lane_int any = 0;
    for (int i = 0; i < VL; i++) any |= a.p[i / PL][i % PL];
    return any != 0;
}
static inline vec vexponent(vec shifted)
{
    const lane_int bias = (lane_int)EXPONENT_BIAS << MANTISSA_BITS;
    FLOYD_EACH_PART shifted.p[i] = (vpart)(((vpart_mask)shifted.p[i] << MANTISSA_BITS) + bias);
    return shifted;
}
static inline vec vscale(vec p, vec shifted)
{
    FLOYD_EACH_PART p.p[i] = (vpart)((vpart_mask)p.p[i] + ((vpart_mask)shifted.p[i] << MANTISSA_BITS));
    return p;
}
static inline vmask vwithin(vec a, real limit)
{
    vmask within;
    FLOYD_EACH_PART within.p[i] = (a.p[i] <= limit) & (a.p[i] >= -limit);
    return within;
}
static inline vmask vmask_and(vmask a, vmask b)
{
    FLOYD_EACH_PART a.p[i] &= b.p[i];
    return a;
}
static inline int vmask_all(vmask a)
{
    lane_int all = -1;
    for (int i = 0; i < VL; i++) all &= a.p[i / PL][i % PL];
    return all != 0;
}
static inline vsum vsum_zero(void)
{
    return vset(0);
}
static inline vsum vsum_add(vsum sum, vec a)
{
    return vadd(sum, a);
}
static inline vsum vsum_product(vsum sum, const real *a, const real *b)
{
    return vfma(vload(a), vload(b), sum);
}
static inline real vsum_fold(vsum a)
{
    real lane[VL];
    vstore(lane, a);
    for (int half = VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lane[i] = lane[i] + lane[i + half];
    return lane[0];
}
static inline real vfold_max(vec a)
{
    real lane[VL];
    vstore(lane, a);
    for (int i = 1; i < VL; i++) lane[0] = lane[i] > lane[0] ? lane[i] : lane[0];
    return lane[0];
}
static inline vmask vmask_equal_bytes(const uint8_t *p, uint8_t value)
{
    lane_int lane[VL];
    for (int i = 0; i < VL; i++) lane[i] = p[i];
    vmask wide;
    memcpy(&wide, lane, sizeof wide);
    FLOYD_EACH_PART wide.p[i] = wide.p[i] == value;
    return wide;
}

#ifndef FLOYD_REAL_F64
static inline vec vload_bf16(const uint16_t *p)
{
    real lane[VL];
    for (int i = 0; i < VL; i++) lane[i] = floyd_bf16_to_f32(p[i]);
    return vload(lane);
}
static inline vec vload_f16(const uint16_t *p)
{
    real lane[VL];
    for (int i = 0; i < VL; i++) lane[i] = floyd_f16_to_f32(p[i]);
    return vload(lane);
}
static inline void vstore_f16(uint16_t *p, vec a)
{
    real lane[VL];
    vstore(lane, a);
    for (int i = 0; i < VL; i++) p[i] = floyd_f32_to_f16(lane[i]);
}
static inline void vstore_bf16(uint16_t *p, vec a)
{
    real lane[VL];
    vstore(lane, a);
    for (int i = 0; i < VL; i++) p[i] = floyd_f32_to_bf16(lane[i]);
}
#endif

/* VL x VL: dst[j][i] = src[i][j]. */
static inline void vtranspose(const real *src, ptrdiff_t lds, real *dst, ptrdiff_t ldd)
{
    for (int j = 0; j < VL; j++)
        for (int i = 0; i < VL; i++) dst[j * ldd + i] = src[i * lds + j];
}

#endif
