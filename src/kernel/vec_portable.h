/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 32 bytes in the compiler's own vector types, for any processor. See vec.h for what each name means. */
#ifndef FLOYD_VEC_PORTABLE_H
#define FLOYD_VEC_PORTABLE_H

#include "half.h"

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || (defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF))
#define FLOYD_FUSES
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

typedef real vec __attribute__((vector_size(32)));
typedef lane_int vmask __attribute__((vector_size(32)));

static inline vec vload(const real *p)
{
    vec a;
    memcpy(&a, p, sizeof a);
    return a;
}
static inline void vstore(real *p, vec a)
{
    memcpy(p, &a, sizeof a);
}
static inline vec vset(real a)
{
    return a - (vec){0};
}
static inline vec vbroadcast(const real *p)
{
    return vset(*p);
}
static inline vec vadd(vec a, vec b)
{
    return a + b;
}
static inline vec vsub(vec a, vec b)
{
    return a - b;
}
static inline vec vmul(vec a, vec b)
{
    return a * b;
}
static inline vec vdiv(vec a, vec b)
{
    return a / b;
}
static inline vec vfma(vec a, vec b, vec c)
{
#ifdef FLOYD_FUSES
    for (int i = 0; i < VL; i++) c[i] = FLOYD_LANE_FMA(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c; /* no fused multiply-add here: a libm call per lane would cost a hundred times more */
#endif
}
static inline vec vselect(vmask m, vec a, vec b)
{
    return (vec)(((vmask)a & m) | ((vmask)b & ~m));
}
static inline vec vmax(vec a, vec b)
{
    return vselect(a > b, a, b);
}
static inline vec vmin(vec a, vec b)
{
    return vselect(a < b, a, b);
}
static inline vmask visnan(vec a)
{
    return a != a;
}
static inline vmask vmask_or(vmask a, vmask b)
{
    return a | b;
}
static inline int vmask_any(vmask a)
{
    lane_int any = 0;
    for (int i = 0; i < VL; i++) any |= a[i];
    return any != 0;
}
static inline vec vexponent(vec shifted)
{
    return (vec)(((vmask)shifted << MANTISSA_BITS) + ((lane_int)EXPONENT_BIAS << MANTISSA_BITS));
}
static inline vec vscale(vec p, vec shifted)
{
    return (vec)((vmask)p + ((vmask)shifted << MANTISSA_BITS));
}
static inline vmask vwithin(vec a, real limit)
{
    return (a <= limit) & (a >= -limit);
}
static inline vmask vmask_and(vmask a, vmask b)
{
    return a & b;
}
static inline int vmask_all(vmask a)
{
    lane_int all = -1;
    for (int i = 0; i < VL; i++) all &= a[i];
    return all != 0;
}
static inline real vfold(vec a)
{
    for (int half = VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) a[i] = a[i] + a[i + half];
    return a[0];
}
static inline real vfold_max(vec a)
{
    for (int i = 1; i < VL; i++) a[0] = a[i] > a[0] ? a[i] : a[0];
    return a[0];
}
static inline vmask vmask_equal_bytes(const uint8_t *p, uint8_t value)
{
    vmask wide;
    for (int i = 0; i < VL; i++) wide[i] = p[i];
    return wide == value;
}

#ifndef FLOYD_REAL_F64
static inline vec vload_bf16(const uint16_t *p)
{
    vec a;
    for (int i = 0; i < VL; i++) a[i] = floyd_bf16_to_f32(p[i]);
    return a;
}
static inline vec vload_f16(const uint16_t *p)
{
    vec a;
    for (int i = 0; i < VL; i++) a[i] = floyd_f16_to_f32(p[i]);
    return a;
}
static inline void vstore_f16(uint16_t *p, vec a)
{
    for (int i = 0; i < VL; i++) p[i] = floyd_f32_to_f16(a[i]);
}
static inline void vstore_bf16(uint16_t *p, vec a)
{
    for (int i = 0; i < VL; i++) p[i] = floyd_f32_to_bf16(a[i]);
}
#endif

/* VL x VL: dst[j][i] = src[i][j]. */
static inline void vtranspose(const real *src, ptrdiff_t lds, real *dst, ptrdiff_t ldd)
{
    for (int j = 0; j < VL; j++)
        for (int i = 0; i < VL; i++) dst[j * ldd + i] = src[i * lds + j];
}

#endif
