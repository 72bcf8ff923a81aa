/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C (+)= A * B for the small products of a tile: C is rows x columns, the sum runs over depth.
 *
 * B and C have their columns in vector lanes; A is read one value at a time and broadcast. An element of C gains
 * one chain of fused multiply-adds from 0 for each GEMM_CHAIN steps of depth, in order, whatever the blocking: so
 * blocking changes no bit, and the error of a long head grows with its chains and not with its length. Blocks of 6
 * rows x 2 vectors, 4 x 3 or 12 x 1 fill 12 of AVX2's 16 registers, enough to hide the latency of two multiply-adds
 * a cycle; 12 x 2 and 8 x 3 do so with AVX-512. An odd number of vectors ends in a block of 3: one of 1 would wait
 * for its own sums.
 */
#ifndef FLOYD_GEMM_H
#define FLOYD_GEMM_H

#include "ahead.h"
#include "vec.h"

enum { GEMM_CHAIN = 64, GEMM_VECTORS = 3 /* of columns in a block, at most */, GEMM_ROWS = 12 /* likewise */ };

#ifdef FLOYD_VEC_AVX2_H
#include "gemm_avx2.h"
#else
#include "gemm_plain.h"
#endif

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

__attribute__((always_inline)) static inline void gemm_zero(const int MR, const int NV,
                                                            vec sum[GEMM_ROWS][GEMM_VECTORS])
{
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++) {
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) sum[i][j] = vset(0);
    }
}

/*
 * Hides where a value comes from. Compilers turn strides into one address for every row, and spill them; this keeps
 * them to the few that x86's address modes make all rows of.
 */
#define FLOYD_OPAQUE(value) __asm__("" : "+r"(value))

/* sum = A * B for MR rows and NV vectors of columns, from 0. */
__attribute__((always_inline)) static inline void gemm_sum(const int MR, const int NV, const gemm *g, const real *a,
                                                           const real *b, vec sum[GEMM_ROWS][GEMM_VECTORS])
{
    const int has_turns = gemm_has_turns(MR, NV);
    const ptrdiff_t turns = has_turns ? (ptrdiff_t)((size_t)g->depth / GEMM_TURN) : 0, done = turns * GEMM_TURN;
    ptrdiff_t line;
    const char *run = ahead_next(g->ahead, has_turns ? 2 * turns : g->depth, a, &line);
    if (turns > 0)
        gemm_turns(MR, NV, turns, a, g->a_row, g->a_depth, b, g->ldb, run, line, sum);
    else
        gemm_zero(MR, NV, sum);
    ptrdiff_t one = g->a_row, three = 3 * one, five = 5 * one, ldb = g->ldb, a_depth = g->a_depth;
    const real *low = a + done * a_depth, *high = low + 6 * one;
    b += done * ldb;
    FLOYD_OPAQUE(one);
    FLOYD_OPAQUE(three);
    FLOYD_OPAQUE(five);
    FLOYD_OPAQUE(high);
    for (ptrdiff_t p = g->depth - done; p > 0; p--, low += a_depth, high += a_depth, b += ldb) {
        vec row[GEMM_VECTORS];
        if (!has_turns) __builtin_prefetch(run), run += line;
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) row[j] = vload(b + j * VL);
        FLOYD_UNROLL
        for (int i = 0; i < MR; i++) {
            const int at = i % 6;
            const vec value = vbroadcast((i < 6 ? low : high) + (at == 3 ? three : at == 5 ? five : at * one));
            FLOYD_UNROLL
            for (int j = 0; j < NV; j++) sum[i][j] = vfma(value, row[j], sum[i][j]);
        }
    }
}

/* sum = rows of `from` + sum. */
__attribute__((always_inline)) static inline void gemm_add(const int MR, const int NV, const real *from,
                                                           ptrdiff_t ld, vec sum[GEMM_ROWS][GEMM_VECTORS])
{
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++, from += ld) {
        FLOYD_OPAQUE(from);
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) sum[i][j] = vadd(vload(from + j * VL), sum[i][j]);
    }
}

__attribute__((always_inline)) static inline void gemm_store(const int MR, const int NV, real *c, ptrdiff_t ldc,
                                                             vec sum[GEMM_ROWS][GEMM_VECTORS])
{
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++, c += ldc) {
        FLOYD_OPAQUE(c);
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) vstore(c + j * VL, sum[i][j]);
    }
}

__attribute__((always_inline)) static inline void gemm_finish(const int MR, const int NV,
                                                              vec sum[GEMM_ROWS][GEMM_VECTORS])
{
    FLOYD_UNROLL
    for (int i = 0; i < MR; i++) {
        FLOYD_UNROLL
        for (int j = 0; j < NV; j++) sum[i][j] = finished(sum[i][j]);
    }
}

/* Where a product's blocks lie: `down` of them, one below the other, from row and column on, and so `across` times.
 */
typedef struct gemm_region {
    ptrdiff_t row, column, down, across;
} gemm_region;

/* Blocks of MR rows x NV vectors. */
__attribute__((always_inline)) static inline void gemm_blocks(const int MR, const int NV, const gemm *g,
                                                              gemm_region r)
{
    for (; r.across > 0; r.across--, r.column += NV * VL) {
        const real *a = g->a + r.row * g->a_row, *b = g->b + r.column;
        ptrdiff_t also = r.row * g->ld_also + r.column;
        real *c = g->c + r.row * g->ldc + r.column;
        for (ptrdiff_t left = r.down; left > 0; left--) {
            vec sum[GEMM_ROWS][GEMM_VECTORS];
            gemm_sum(MR, NV, g, a, b, sum);
            if (g->also) gemm_add(MR, NV, g->also + also, g->ld_also, sum);
            if (g->accumulate) gemm_add(MR, NV, c, g->ldc, sum);
            if (g->last) gemm_finish(MR, NV, sum);
            gemm_store(MR, NV, c, g->ldc, sum);
            a += MR * g->a_row, c += MR * g->ldc, also += MR * g->ld_also;
        }
    }
}

/*
 * A function for each block: in one that holds them all, compilers run out of registers and keep sums in memory.
 * gemm_table[NV - 1][MR - 1].
 */
typedef void gemm_function(const gemm *g, gemm_region region);

#define FLOYD_GEMM_BLOCK(MR, NV)                                                                                   \
    __attribute__((noinline)) static void gemm_blocks_##MR##x##NV(const gemm *g, gemm_region region)               \
    {                                                                                                              \
        gemm_blocks(MR, NV, g, region);                                                                            \
    }
#define FLOYD_GEMM_EACH_4(X, NV) X(1, NV) X(2, NV) X(3, NV) X(4, NV)
#define FLOYD_GEMM_EACH_6(X, NV) FLOYD_GEMM_EACH_4(X, NV) X(5, NV) X(6, NV)
#define FLOYD_GEMM_EACH_8(X, NV) FLOYD_GEMM_EACH_6(X, NV) X(7, NV) X(8, NV)
#define FLOYD_GEMM_EACH_12(X, NV) FLOYD_GEMM_EACH_8(X, NV) X(9, NV) X(10, NV) X(11, NV) X(12, NV)
#ifdef FLOYD_VEC_AVX512_H
enum { GEMM_ROWS_OF_2 = 12, GEMM_ROWS_OF_3 = 8 };
#define FLOYD_GEMM_EACH_OF_2 FLOYD_GEMM_EACH_12
#define FLOYD_GEMM_EACH_OF_3 FLOYD_GEMM_EACH_8
#else
enum { GEMM_ROWS_OF_2 = 6, GEMM_ROWS_OF_3 = 4 };
#define FLOYD_GEMM_EACH_OF_2 FLOYD_GEMM_EACH_6
#define FLOYD_GEMM_EACH_OF_3 FLOYD_GEMM_EACH_4
#endif
FLOYD_GEMM_EACH_12(FLOYD_GEMM_BLOCK, 1)
FLOYD_GEMM_EACH_OF_2(FLOYD_GEMM_BLOCK, 2)
FLOYD_GEMM_EACH_OF_3(FLOYD_GEMM_BLOCK, 3)

#define FLOYD_GEMM_ENTRY(MR, NV) gemm_blocks_##MR##x##NV,
static gemm_function *const gemm_table[GEMM_VECTORS][GEMM_ROWS] = {{FLOYD_GEMM_EACH_12(FLOYD_GEMM_ENTRY, 1)},
                                                                   {FLOYD_GEMM_EACH_OF_2(FLOYD_GEMM_ENTRY, 2)},
                                                                   {FLOYD_GEMM_EACH_OF_3(FLOYD_GEMM_ENTRY, 3)}};

/*
 * `across` times so many vectors of columns. Rows are cut into as few blocks as can be, alike in size: thin ones
 * cannot hide the latency.
 */
__attribute__((always_inline)) static inline void gemm_panels(const gemm *g, const int NV, const int most,
                                                              ptrdiff_t column, ptrdiff_t across)
{
    const unsigned rows = (unsigned)g->rows, blocks = (rows + (unsigned)most - 1) / (unsigned)most;
    if (rows == 0) return;
    gemm_function *const *table = gemm_table[NV - 1];
    const unsigned each = blocks == 1 ? rows : rows / blocks, longer = rows - each * blocks;
    if (longer > 0) table[each](g, (gemm_region){0, column, longer, across});
    table[each - 1](g, (gemm_region){longer * (each + 1), column, blocks - longer, across});
}

static void gemm_chain(const gemm *g)
{
    const ptrdiff_t vectors = g->columns / VL, wide = vectors % 2 && vectors > 1 ? vectors - 3 : vectors / 2 * 2;
    if (wide > 0) gemm_panels(g, 2, GEMM_ROWS_OF_2, 0, wide / 2);
    if (vectors - wide == 1) gemm_panels(g, 1, GEMM_ROWS, wide * VL, 1);
    if (vectors - wide == 3) gemm_panels(g, 3, GEMM_ROWS_OF_3, wide * VL, 1);
}

/* C (+)= A * B, chain by chain. */
static void gemm_run(const gemm *g)
{
    if (g->depth <= GEMM_CHAIN) {
        gemm_chain(g);
        return;
    }
    gemm part = *g;
    part.last = 0; /* not yet */
    for (ptrdiff_t left = g->depth; left > 0; left -= GEMM_CHAIN) {
        part.depth = left < GEMM_CHAIN ? left : GEMM_CHAIN;
        if (left <= GEMM_CHAIN) part.last = g->last;
        gemm_chain(&part);
        part.a += GEMM_CHAIN * part.a_depth;
        part.b += GEMM_CHAIN * part.ldb;
        part.accumulate = 1;
        part.also = NULL;
    }
}

#endif
