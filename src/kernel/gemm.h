/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C (+)= A * B for the small products of a tile: C is rows x columns, the sum runs over depth.
 *
 * B and C have their columns in vector lanes; A is read one value at a time and broadcast. An element of C gains
 * one chain of fused multiply-adds from 0 for each GEMM_CHAIN steps of depth, in order, whatever the blocking: so
 * blocking changes no bit, and the error of a long head grows with its chains and not with its length. Blocks of 6
 * x 2 vectors fill 12 of AVX2's 16 registers, enough to hide the latency of two multiply-adds a cycle; 12 x 2 do so
 * with AVX-512.
 */
#ifndef FLOYD_GEMM_H
#define FLOYD_GEMM_H

#include "ahead.h"
#include "vec.h"

#ifdef FLOYD_VEC_AVX2_H
#include "gemm_avx2.h"
#endif

enum { GEMM_CHAIN = 64 };

typedef struct gemm {
    ptrdiff_t rows, columns, depth; /* columns: a multiple of VL */
    const real *a;
    ptrdiff_t a_row, a_depth; /* strides of A; one of them is 1 */
    const real *b;
    ptrdiff_t ldb;
    real *c;
    ptrdiff_t ldc;
    int accumulate;   /* 0: C is overwritten */
    int last;         /* NaN becomes the one pattern of outputs, -0 +0 */
    const real *also; /* added to the sum beforehand, rows ld_also apart; or NULL */
    ptrdiff_t ld_also;
    ahead_list *ahead; /* what to prefetch meanwhile, or NULL */
} gemm;

/* sum = A * B for MR rows and NV vectors of columns, from 0. */
__attribute__((always_inline)) static inline void gemm_sum(const int MR, const int NV, ptrdiff_t depth,
                                                           const real *a, ptrdiff_t a_row, ptrdiff_t a_depth,
                                                           const real *b, ptrdiff_t ldb, ahead_list *ahead,
                                                           vec sum[GEMM_ROWS][2])
{
    ptrdiff_t line;
    const char *run = ahead_next(ahead, depth, a, &line);
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++) {
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) sum[i][j] = vset(0);
    }
    for (ptrdiff_t p = depth; p > 0; p--, a += a_depth, b += ldb, run += line) {
        vec row[2];
        __builtin_prefetch(run);
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) row[j] = vload(b + j * VL);
        FLOYD_UNROLL
        for (int i = 0; i < MR; i++) {
            const vec value = vbroadcast(a + i * a_row);
            FLOYD_UNROLL
            for (int j = 0; j < NV; j++) sum[i][j] = vfma(value, row[j], sum[i][j]);
        }
    }
}

/* sum = rows of `from` + sum. */
__attribute__((always_inline)) static inline void gemm_add(const int MR, const int NV, const real *from,
                                                           ptrdiff_t ld, vec sum[GEMM_ROWS][2])
{
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++) {
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) sum[i][j] = vadd(vload(from + i * ld + j * VL), sum[i][j]);
    }
}

__attribute__((always_inline)) static inline void gemm_finish(const int MR, const int NV, vec sum[GEMM_ROWS][2])
{
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++) {
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) sum[i][j] = finished(sum[i][j]);
    }
}

/* `count` blocks of MR x NV vectors, one below the other. g is a copy: nothing that is stored can change it. */
__attribute__((always_inline)) static inline void gemm_blocks(const int MR, const int NV, const gemm g,
                                                              ptrdiff_t row, ptrdiff_t column, ptrdiff_t count)
{
    const real *a = g.a + row * g.a_row, *b = g.b + column, *also = g.also + row * g.ld_also + column;
    real *c = g.c + row * g.ldc + column;
    for (; count > 0; count--) {
        vec sum[GEMM_ROWS][2];
#ifdef FLOYD_GEMM_ASM
        if (MR >= 5 && NV == 2)
            gemm_sum_asm(MR, g.depth, a, g.a_row, g.a_depth, b, g.ldb, g.ahead, sum);
        else
#endif
            gemm_sum(MR, NV, g.depth, a, g.a_row, g.a_depth, b, g.ldb, g.ahead, sum);
        if (g.also) gemm_add(MR, NV, also, g.ld_also, sum);
        if (g.accumulate) gemm_add(MR, NV, c, g.ldc, sum);
        if (g.last) gemm_finish(MR, NV, sum);
        FLOYD_UNROLL
        for (int i = 0; i < MR; i++) {
            FLOYD_UNROLL
            for (int j = 0; j < NV; j++) vstore(c + i * g.ldc + j * VL, sum[i][j]);
        }
        a += MR * g.a_row, c += MR * g.ldc, also += MR * g.ld_also;
    }
}

/* `count` blocks of so many rows. */
__attribute__((always_inline)) static inline void gemm_rows(const int NV, const gemm g, ptrdiff_t row,
                                                            ptrdiff_t column, ptrdiff_t rows, ptrdiff_t count)
{
#define FLOYD_GEMM_CASE(MR)                                                                                        \
    case MR:                                                                                                       \
        gemm_blocks(MR, NV, g, row, column, count);                                                                \
        break
    switch (rows) {
        FLOYD_GEMM_CASE(1);
        FLOYD_GEMM_CASE(2);
        FLOYD_GEMM_CASE(3);
        FLOYD_GEMM_CASE(4);
        FLOYD_GEMM_CASE(5);
        FLOYD_GEMM_CASE(6);
#ifdef FLOYD_VEC_AVX512_H
        FLOYD_GEMM_CASE(7);
        FLOYD_GEMM_CASE(8);
        FLOYD_GEMM_CASE(9);
        FLOYD_GEMM_CASE(10);
        FLOYD_GEMM_CASE(11);
        FLOYD_GEMM_CASE(12);
#endif
    }
#undef FLOYD_GEMM_CASE
}

/* Rows are cut into as few blocks as can be, alike in size: thin ones cannot hide the latency. */
__attribute__((always_inline)) static inline void gemm_panel(const int NV, const gemm g, ptrdiff_t column)
{
    const ptrdiff_t blocks = (g.rows + GEMM_ROWS - 1) / GEMM_ROWS;
    if (blocks == 0) return;
    const ptrdiff_t each = g.rows / blocks, longer = g.rows % blocks;
    if (longer > 0) gemm_rows(NV, g, 0, column, each + 1, longer);
    gemm_rows(NV, g, longer * (each + 1), column, each, blocks - longer);
}

static void gemm_chain(const gemm *g)
{
    ptrdiff_t column = 0;
    for (; column + 2 * VL <= g->columns; column += 2 * VL) gemm_panel(2, *g, column);
    if (column < g->columns) gemm_panel(1, *g, column);
}

static void gemm_run(const gemm *g)
{
    gemm part = *g;
    for (ptrdiff_t left = g->depth; left > GEMM_CHAIN; left -= GEMM_CHAIN) {
        part.depth = GEMM_CHAIN;
        part.last = 0; /* not yet */
        gemm_chain(&part);
        part.a += GEMM_CHAIN * part.a_depth;
        part.b += GEMM_CHAIN * part.ldb;
        part.depth = left - GEMM_CHAIN;
        part.accumulate = 1;
        part.also = NULL;
        part.last = g->last;
    }
    gemm_chain(&part);
}

#endif
