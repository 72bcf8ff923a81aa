/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loop of the products in assembly: compilers unroll it into spills or not at all, and a loop of one
 * step a turn loses a tenth of short sums to its exits. Per step two vectors of B are loaded, each value of a
 * column of A is broadcast, and both are multiplied in; four steps a turn, in which two cache lines are asked for.
 */
#ifndef FLOYD_GEMM_AVX2_H
#define FLOYD_GEMM_AVX2_H

#include "ahead.h"
#include "vec.h"

#ifdef FLOYD_REAL_F64
#define FLOYD_ASM_LOAD "vmovupd "
#define FLOYD_ASM_BROADCAST "vbroadcastsd "
#define FLOYD_ASM_FMA "vfmadd231pd "
#else
#define FLOYD_ASM_LOAD "vmovups "
#define FLOYD_ASM_BROADCAST "vbroadcastss "
#define FLOYD_ASM_FMA "vfmadd231ps "
#endif

/* Operands s[i][j] are sums; ymm12 and ymm13 hold the row of B, ymm14 and ymm15 values of A. */
#define FLOYD_ASM_ZERO(i)                                                                                          \
    "vxorps %[s" #i "0], %[s" #i "0], %[s" #i "0]\n vxorps %[s" #i "1], %[s" #i "1], %[s" #i "1]\n"
#define FLOYD_ASM_ROW(i, value)                                                                                    \
    FLOYD_ASM_FMA "%%ymm12, " value ", %[s" #i "0]\n" FLOYD_ASM_FMA "%%ymm13, " value ", %[s" #i "1]\n"
#define FLOYD_ASM_VALUE(address, value) FLOYD_ASM_BROADCAST address ", " value "\n"
#define FLOYD_ASM_ROWS_01_23                                                                                       \
    FLOYD_ASM_LOAD "(%[b]), %%ymm12\n" FLOYD_ASM_LOAD "32(%[b]), %%ymm13\n" FLOYD_ASM_VALUE("(%[a])", "%%ymm14")   \
        FLOYD_ASM_VALUE("(%[a],%[one])", "%%ymm15") FLOYD_ASM_ROW(0, "%%ymm14") FLOYD_ASM_ROW(1, "%%ymm15")        \
            FLOYD_ASM_VALUE("(%[a],%[one],2)", "%%ymm14") FLOYD_ASM_VALUE("(%[a],%[three])", "%%ymm15")            \
                FLOYD_ASM_ROW(2, "%%ymm14") FLOYD_ASM_ROW(3, "%%ymm15")
#define FLOYD_ASM_NEXT "add %[a_depth], %[a]\n add %[ldb], %[b]\n"
#define FLOYD_ASM_STEP_5                                                                                           \
    FLOYD_ASM_ROWS_01_23 FLOYD_ASM_VALUE("(%[a],%[one],4)", "%%ymm14") FLOYD_ASM_NEXT FLOYD_ASM_ROW(4, "%%ymm14")
#define FLOYD_ASM_STEP_6                                                                                           \
    FLOYD_ASM_ROWS_01_23 FLOYD_ASM_VALUE("(%[a],%[one],4)", "%%ymm14")                                             \
        FLOYD_ASM_VALUE("(%[a],%[five])", "%%ymm15") FLOYD_ASM_NEXT FLOYD_ASM_ROW(4, "%%ymm14")                    \
            FLOYD_ASM_ROW(5, "%%ymm15")
#define FLOYD_ASM_AHEAD "prefetcht0 (%[run])\n add %[line], %[run]\n"
#define FLOYD_ASM_LOOP(step)                                                                                       \
    "test %[turns], %[turns]\n jz 2f\n .p2align 5\n"                                                               \
    "1:\n .rept 2\n" FLOYD_ASM_AHEAD ".rept 2\n" step ".endr\n .endr\n dec %[turns]\n jnz 1b\n"                    \
    "2:\n test %[rest], %[rest]\n jz 4f\n"                                                                         \
    "3:\n" step "dec %[rest]\n jnz 3b\n"                                                                           \
    "4:\n"
#define FLOYD_ASM_SUM(i) [s##i##0] "=&x"(sum[i][0]), [s##i##1] "=&x"(sum[i][1])
#define FLOYD_ASM_INOUT [a] "+&r"(a), [b] "+&r"(b), [turns] "+&r"(turns), [rest] "+&r"(rest), [run] "+&r"(run)
#define FLOYD_ASM_IN [one] "r"(one), [three] "r"(3 * one), [a_depth] "r"(a_depth), [ldb] "r"(ldb), [line] "r"(line)

#define FLOYD_GEMM_ASM

/* sum = A * B for 6 (or 5) rows and two vectors of columns, from 0; strides in reals. */
__attribute__((always_inline)) static inline void gemm_sum_asm(const int MR, ptrdiff_t depth, const real *a,
                                                               ptrdiff_t a_row, ptrdiff_t a_depth, const real *b,
                                                               ptrdiff_t ldb, ahead_list *ahead,
                                                               vec sum[GEMM_ROWS][2])
{
    const ptrdiff_t one = a_row * (ptrdiff_t)sizeof(real);
    ptrdiff_t turns = (ptrdiff_t)((size_t)depth / 4), rest = depth & 3, line;
    const char *run = ahead_next(ahead, 2 * turns, a, &line);
    a_depth *= (ptrdiff_t)sizeof(real), ldb *= (ptrdiff_t)sizeof(real);
    if (MR == 6)
        __asm__ volatile(FLOYD_ASM_ZERO(0) FLOYD_ASM_ZERO(1) FLOYD_ASM_ZERO(2) FLOYD_ASM_ZERO(3) FLOYD_ASM_ZERO(4)
                             FLOYD_ASM_ZERO(5) FLOYD_ASM_LOOP(FLOYD_ASM_STEP_6)
                         : FLOYD_ASM_SUM(0), FLOYD_ASM_SUM(1), FLOYD_ASM_SUM(2), FLOYD_ASM_SUM(3), FLOYD_ASM_SUM(4),
                           FLOYD_ASM_SUM(5), FLOYD_ASM_INOUT
                         : FLOYD_ASM_IN, [five] "r"(5 * one)
                         : "memory", "cc", "xmm12", "xmm13", "xmm14", "xmm15");
    else
        __asm__ volatile(FLOYD_ASM_ZERO(0) FLOYD_ASM_ZERO(1) FLOYD_ASM_ZERO(2) FLOYD_ASM_ZERO(3) FLOYD_ASM_ZERO(4)
                             FLOYD_ASM_LOOP(FLOYD_ASM_STEP_5)
                         : FLOYD_ASM_SUM(0), FLOYD_ASM_SUM(1), FLOYD_ASM_SUM(2), FLOYD_ASM_SUM(3), FLOYD_ASM_SUM(4),
                           FLOYD_ASM_INOUT:FLOYD_ASM_IN
                         : "memory", "cc", "xmm12", "xmm13", "xmm14", "xmm15");
}

#endif
