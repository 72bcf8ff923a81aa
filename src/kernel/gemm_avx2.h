/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loop of the products in assembly: compilers unroll it into spills or not at all, and a loop of one
 * step a turn loses a tenth of short sums to its exits. Per step two or three vectors of B are loaded, each value
 * of a column of A is broadcast, and all are multiplied in. Four steps a turn share their additions to addresses,
 * which would take slots from the multiply-adds; two cache lines are asked for meanwhile.
 */
#ifndef FLOYD_GEMM_AVX2_H
#define FLOYD_GEMM_AVX2_H

#include "vec.h"

#ifdef FLOYD_REAL_F64
#define FLOYD_ASM_LOAD "vmovupd "
#define FLOYD_ASM_BROADCAST "vbroadcastsd "
#define FLOYD_ASM_FMA "vfmadd231pd "
#define FLOYD_ASM_SIZE "*8"
#else
#define FLOYD_ASM_LOAD "vmovups "
#define FLOYD_ASM_BROADCAST "vbroadcastss "
#define FLOYD_ASM_FMA "vfmadd231ps "
#define FLOYD_ASM_SIZE "*4"
#endif

/* `one` is the stride of A along the axis that is not contiguous; a value's index along the other is a constant. */
#define FLOYD_ASM_BY_0 ""
#define FLOYD_ASM_BY_1 ",%[one]"
#define FLOYD_ASM_BY_2 ",%[one],2"
#define FLOYD_ASM_BY_3 ",%[three]"
#define FLOYD_ASM_BY_4 ",%[one],4"
#define FLOYD_ASM_BY_5 ",%[five]"
#define FLOYD_ASM_A_depth(row, step) #step FLOYD_ASM_SIZE "(%[a]" FLOYD_ASM_BY_##row ")" /* depth is contiguous */
#define FLOYD_ASM_A_rows(row, step) #row FLOYD_ASM_SIZE "(%[a]" FLOYD_ASM_BY_##step ")"  /* rows are */
#define FLOYD_ASM_B_0 "(%[b])"
#define FLOYD_ASM_B_1 "(%[b],%[ldb])"
#define FLOYD_ASM_B_2 "(%[b],%[ldb],2)"
#define FLOYD_ASM_B_3 "(%[b],%[ldb3])"

/*
 * Operands s[row][vector] are sums. Two vectors wide, ymm12 and ymm13 hold the row of B, and ymm14 and ymm15 values
 * of A by turns; three wide, ymm12 to ymm14 the row, and ymm15 the value.
 */
#define FLOYD_ASM_MULTIPLY(b, value, row, vector) FLOYD_ASM_FMA "%%ymm" b ",%%ymm" value ",%[s" #row #vector "]\n"
#define FLOYD_ASM_ROW_2(axis, row, step, value)                                                                    \
    FLOYD_ASM_BROADCAST FLOYD_ASM_A_##axis(row, step) ",%%ymm" value "\n" FLOYD_ASM_MULTIPLY("12", value, row, 0)  \
        FLOYD_ASM_MULTIPLY("13", value, row, 1)
#define FLOYD_ASM_ROW_3(axis, row, step)                                                                           \
    FLOYD_ASM_ROW_2(axis, row, step, "15") FLOYD_ASM_MULTIPLY("14", "15", row, 2)
#define FLOYD_ASM_LOAD_2(step)                                                                                     \
    FLOYD_ASM_LOAD FLOYD_ASM_B_##step ",%%ymm12\n" FLOYD_ASM_LOAD "32" FLOYD_ASM_B_##step ",%%ymm13\n"
#define FLOYD_ASM_LOAD_3(step) FLOYD_ASM_LOAD_2(step) FLOYD_ASM_LOAD "64" FLOYD_ASM_B_##step ",%%ymm14\n"

/* One step of a block, its sums at first, and as operands. */
#define FLOYD_ASM_STEP_5x2(axis, step)                                                                             \
    FLOYD_ASM_LOAD_2(step)                                                                                         \
    FLOYD_ASM_ROW_2(axis, 0, step, "14")                                                                           \
    FLOYD_ASM_ROW_2(axis, 1, step, "15")                                                                           \
    FLOYD_ASM_ROW_2(axis, 2, step, "14") FLOYD_ASM_ROW_2(axis, 3, step, "15") FLOYD_ASM_ROW_2(axis, 4, step, "14")
#define FLOYD_ASM_STEP_6x2(axis, step) FLOYD_ASM_STEP_5x2(axis, step) FLOYD_ASM_ROW_2(axis, 5, step, "15")
#define FLOYD_ASM_STEP_3x3(axis, step)                                                                             \
    FLOYD_ASM_LOAD_3(step)                                                                                         \
    FLOYD_ASM_ROW_3(axis, 0, step) FLOYD_ASM_ROW_3(axis, 1, step) FLOYD_ASM_ROW_3(axis, 2, step)
#define FLOYD_ASM_STEP_4x3(axis, step) FLOYD_ASM_STEP_3x3(axis, step) FLOYD_ASM_ROW_3(axis, 3, step)

#define FLOYD_ASM_ZERO_1(row, vector) "vxorps %[s" #row #vector "],%[s" #row #vector "],%[s" #row #vector "]\n"
#define FLOYD_ASM_ZERO_2(row) FLOYD_ASM_ZERO_1(row, 0) FLOYD_ASM_ZERO_1(row, 1)
#define FLOYD_ASM_ZERO_3(row) FLOYD_ASM_ZERO_2(row) FLOYD_ASM_ZERO_1(row, 2)
#define FLOYD_ASM_ZERO_5x2                                                                                         \
    FLOYD_ASM_ZERO_2(0) FLOYD_ASM_ZERO_2(1) FLOYD_ASM_ZERO_2(2) FLOYD_ASM_ZERO_2(3) FLOYD_ASM_ZERO_2(4)
#define FLOYD_ASM_ZERO_6x2 FLOYD_ASM_ZERO_5x2 FLOYD_ASM_ZERO_2(5)
#define FLOYD_ASM_ZERO_3x3 FLOYD_ASM_ZERO_3(0) FLOYD_ASM_ZERO_3(1) FLOYD_ASM_ZERO_3(2)
#define FLOYD_ASM_ZERO_4x3 FLOYD_ASM_ZERO_3x3 FLOYD_ASM_ZERO_3(3)

#define FLOYD_ASM_SUMS_1(row, vector) [s##row##vector] "=&x"(sum[row][vector])
#define FLOYD_ASM_SUMS_2(row) FLOYD_ASM_SUMS_1(row, 0), FLOYD_ASM_SUMS_1(row, 1)
#define FLOYD_ASM_SUMS_3(row) FLOYD_ASM_SUMS_2(row), FLOYD_ASM_SUMS_1(row, 2)
#define FLOYD_ASM_SUMS_5x2                                                                                         \
    FLOYD_ASM_SUMS_2(0), FLOYD_ASM_SUMS_2(1), FLOYD_ASM_SUMS_2(2), FLOYD_ASM_SUMS_2(3), FLOYD_ASM_SUMS_2(4)
#define FLOYD_ASM_SUMS_6x2 FLOYD_ASM_SUMS_5x2, FLOYD_ASM_SUMS_2(5)
#define FLOYD_ASM_SUMS_3x3 FLOYD_ASM_SUMS_3(0), FLOYD_ASM_SUMS_3(1), FLOYD_ASM_SUMS_3(2)
#define FLOYD_ASM_SUMS_4x3 FLOYD_ASM_SUMS_3x3, FLOYD_ASM_SUMS_3(3)

#define FLOYD_ASM_LOOP(block, axis)                                                                                \
    ".p2align 5\n1:\n"                                                                                             \
    "prefetcht0 (%[run])\n" block(axis, 0) block(axis, 1) "prefetcht0 (%[run],%[line])\n" block(axis, 2)           \
        block(axis, 3) "add %[a_turn],%[a]\n lea (%[b],%[ldb],4),%[b]\n lea (%[run],%[line],2),%[run]\n"           \
                       "dec %[turns]\n jnz 1b\n"
#define FLOYD_ASM_RUN_ALONG(size, axis)                                                                            \
    __asm__ volatile(FLOYD_ASM_ZERO_##size FLOYD_ASM_LOOP(FLOYD_ASM_STEP_##size, axis)                             \
                     : FLOYD_ASM_SUMS_##size, [a] "+&r"(a), [b] "+&r"(b), [turns] "+&r"(turns), [run] "+&r"(run)   \
                     : [one] "r"(one), [three] "r"(3 * one), [five] "r"(5 * one), [a_turn] "r"(a_turn),            \
                       [ldb] "r"(ldb), [ldb3] "r"(3 * ldb), [line] "r"(line)                                       \
                     : "memory", "cc", "xmm12", "xmm13", "xmm14", "xmm15")
#define FLOYD_ASM_RUN(size)                                                                                        \
    if (a_depth == 1)                                                                                              \
        FLOYD_ASM_RUN_ALONG(size, depth);                                                                          \
    else                                                                                                           \
        FLOYD_ASM_RUN_ALONG(size, rows)

/* Steps of depth in a turn of the loop, and whether it exists for a block; others are left to the compiler. */
enum { GEMM_TURN = 4 };
static inline int gemm_has_turns(const int MR, const int NV)
{
    return (NV == 2 && MR >= 5) || (NV == 3 && MR >= 3);
}

/* sum = A * B over 4 * turns steps, from 0; turns > 0; a_row or a_depth is 1; strides in reals. */
__attribute__((always_inline)) static inline void gemm_turns(const int MR, const int NV, ptrdiff_t turns,
                                                             const real *a, ptrdiff_t a_row, ptrdiff_t a_depth,
                                                             const real *b, ptrdiff_t ldb, const char *run,
                                                             ptrdiff_t line, vec sum[GEMM_ROWS][GEMM_VECTORS])
{
    const ptrdiff_t size = (ptrdiff_t)sizeof(real), one = (a_depth == 1 ? a_row : a_depth) * size;
    const ptrdiff_t a_turn = GEMM_TURN * a_depth * size;
    ldb *= size;
    if (NV == 2 && MR == 6) {
        FLOYD_ASM_RUN(6x2);
    } else if (NV == 2) {
        FLOYD_ASM_RUN(5x2);
    } else if (MR == 4) {
        FLOYD_ASM_RUN(4x3);
    } else {
        FLOYD_ASM_RUN(3x3);
    }
}

#endif
