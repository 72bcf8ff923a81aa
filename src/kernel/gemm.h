/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C (+)= A * B for the small products of a tile: C is rows x columns, the sum runs over depth.
 *
 * B and C have their columns in vector lanes; A is read one value at a time and broadcast. An element of C gains
 * one chain of fused multiply-adds from 0 for each GEMM_CHAIN steps of depth, in order, whatever the blocking: so
 * blocking changes no bit, and the error of a long head grows with its chains and not with its length. Blocks of 6
 * x 2 vectors fill 12 of AVX2's 16 registers, enough to hide the latency of two multiply-adds a cycle; rows are cut
 * so that no block but the only one is thinner than 3.
 */
#ifndef FLOYD_GEMM_H
#define FLOYD_GEMM_H

#include "ahead.h"
#include "vec.h"

enum { GEMM_CHAIN = 64 };

typedef struct gemm {
    ptrdiff_t rows, columns, depth; /* columns: a multiple of VL */
    const real *a;
    ptrdiff_t a_row, a_depth; /* strides of A; one of them is 1 */
    const real *b;
    ptrdiff_t ldb;
    real *c;
    ptrdiff_t ldc;
    int accumulate;    /* 0: C is overwritten */
    ahead_list *ahead; /* what to prefetch meanwhile, or NULL */
} gemm;

__attribute__((always_inline)) static inline void gemm_block(const int MR, const int NV, const gemm *g,
                                                             const real *a, const real *b, real *c)
{
    const ptrdiff_t a_row = g->a_row, a_depth = g->a_depth, ldb = g->ldb, ldc = g->ldc;
    vec sum[6][2];
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++) {
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) sum[i][j] = vset(0);
    }
    for (ptrdiff_t p = g->depth; p > 0; p--, a += a_depth, b += ldb) {
        vec row[2];
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) row[j] = vload(b + j * VL);
        FLOYD_UNROLL
        for (int i = 0; i < MR; i++) {
            const vec value = vbroadcast(a + i * a_row);
            FLOYD_UNROLL
            for (int j = 0; j < NV; j++) sum[i][j] = vfma(value, row[j], sum[i][j]);
        }
    }
    if (g->accumulate) {
        FLOYD_UNROLL
        for (int i = 0; i < MR; i++) {
            FLOYD_UNROLL
            for (int j = 0; j < NV; j++) sum[i][j] = vadd(vload(c + i * ldc + j * VL), sum[i][j]);
        }
    }
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++) {
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) vstore(c + i * ldc + j * VL, sum[i][j]);
    }
}

static inline void gemm_rows(const int NV, const gemm *g, ptrdiff_t row, ptrdiff_t count, ptrdiff_t column)
{
    const real *a = g->a + row * g->a_row, *b = g->b + column;
    real *c = g->c + row * g->ldc + column;
    switch (count) {
    case 1:
        gemm_block(1, NV, g, a, b, c);
        break;
    case 2:
        gemm_block(2, NV, g, a, b, c);
        break;
    case 3:
        gemm_block(3, NV, g, a, b, c);
        break;
    case 4:
        gemm_block(4, NV, g, a, b, c);
        break;
    case 5:
        gemm_block(5, NV, g, a, b, c);
        break;
    default:
        gemm_block(6, NV, g, a, b, c);
        break;
    }
}

/* How many rows the next block takes when `left` are left: 6, but 4, 4 or 5 first where 6 would leave a thin rest.
 */
static inline ptrdiff_t gemm_next_rows(ptrdiff_t left)
{
    if (left <= 6) return left;
    if (left < 10) return (left + 1) / 2;
    return 6;
}

static inline void gemm_panel(const int NV, const gemm *g, ptrdiff_t column)
{
    for (ptrdiff_t row = 0; row < g->rows;) {
        const ptrdiff_t count = gemm_next_rows(g->rows - row);
        gemm_rows(NV, g, row, count, column);
        if (g->ahead) ahead_pull(g->ahead);
        row += count;
    }
}

static void gemm_chain(const gemm *g)
{
    ptrdiff_t column = 0;
    for (; column + 2 * VL <= g->columns; column += 2 * VL) gemm_panel(2, g, column);
    if (column < g->columns) gemm_panel(1, g, column);
}

static void gemm_run(const gemm *g)
{
    gemm part = *g;
    for (ptrdiff_t left = g->depth; left > GEMM_CHAIN; left -= GEMM_CHAIN) {
        part.depth = GEMM_CHAIN;
        gemm_chain(&part);
        part.a += GEMM_CHAIN * part.a_depth;
        part.b += GEMM_CHAIN * part.ldb;
        part.depth = left - GEMM_CHAIN;
        part.accumulate = 1;
    }
    gemm_chain(&part);
}

#endif
