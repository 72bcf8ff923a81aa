/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vectors that the kernels are written in. The build compiles the kernels once per instruction set and
 * real type; it defines FLOYD_VEC_HEADER (which vectors), FLOYD_REAL_F64 (for double) and FLOYD_SUFFIX (the
 * tail of every exported name, such as avx2_f32).
 *
 *   vec, VL              VL reals; VL is 32 or 64 bytes of them
 *   vload_part(p,count)  the first count < VL lanes, which are all that is read, and zeros; vstore_part likewise
 *   vmask                one truth value per lane
 *   vfma(a,b,c)          a*b + c, rounded once where the processor can
 *   vmax(a,b)            a > b ? a : b, so b where either is NaN; vmin likewise
 *   vexponent(t)         2^e per lane, where t = e + FLOYD_ROUND_MAGIC
 *   vscale(p,t)          p * 2^e likewise, where p and the result are normal
 *   vwithin(a,limit)     lanes where |a| <= limit; NaN is not
 *   vsum                 32 bytes of lanes on every instruction set: lane i sums what has index i modulo their
 * number, in order; vsum_add(sum, a) adds a vector, vsum_product(sum, a, b) the products of SUM_LANES reals, fused,
 * and vsum_fold(sum) folds in halves: (0+4, 1+5, 2+6, 3+7), and so on. The order is part of the promise about bits
 *   vfold_max(a)         the greatest lane; NaN lanes are ignored or not, so callers look for NaN themselves
 *   vmask_equal_bytes    lanes whose byte equals value
 *   vload_f16 ...        exact widening and round-to-nearest-even narrowing of VL half types (fp32 only)
 */
#ifndef FLOYD_VEC_H
#define FLOYD_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef FLOYD_REAL_F64
typedef double real;
#define FLOYD_ROUND_MAGIC 0x1.8p52 /* x + this - this is x rounded to an integer */
#else
typedef float real;
#define FLOYD_ROUND_MAGIC 0x1.8p23f
#endif

enum { SUM_LANES = 32 / sizeof(real) };

#include FLOYD_VEC_HEADER

#define FLOYD_PASTE2(a, b) a##_##b
#define FLOYD_PASTE(a, b) FLOYD_PASTE2(a, b)
#define FLOYD_NAME(stem) FLOYD_PASTE(stem, FLOYD_SUFFIX)

/* Unrolls a loop of constant length, so that arrays indexed by it live in registers. */
#if defined(__clang__)
#define FLOYD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FLOYD_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
