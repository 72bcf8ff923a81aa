/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one matrix product of the linear layers, forward (X W) and backward (dY W^T, X^T dY). They are tall:
 * thousands of pairs, tens of channels. A tile of 4 rows by two vectors stays in registers while depth runs; depth
 * goes in blocks, so that the block of b serves every row tile from cache. Compiled once for any processor and, on
 * x86, once more for AVX2 with fused multiply-add, each with vectors that its registers hold whole.
 */
#include "product.h"

#ifdef __AVX2__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef real vector __attribute__((vector_size(VECTOR_BYTES)));
typedef real vector_in_memory __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

enum { LANES = VECTOR_BYTES / sizeof(real), TILE_ROWS = 4, TILE_COLS = 2 * LANES, DEPTH_BLOCK = 128 };

static inline void tile(int depth, const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b, ptrdiff_t ldb,
                        real *c, ptrdiff_t ldc)
{
    vector sum[TILE_ROWS][2];
    for (int i = 0; i < TILE_ROWS; i++) {
        sum[i][0] = *(const vector_in_memory *)(c + i * ldc);
        sum[i][1] = *(const vector_in_memory *)(c + i * ldc + LANES);
    }
    for (int k = 0; k < depth; k++) {
        const vector row0 = *(const vector_in_memory *)(b + k * ldb);
        const vector row1 = *(const vector_in_memory *)(b + k * ldb + LANES);
        for (int i = 0; i < TILE_ROWS; i++) {
            const real factor = a[i * a_row + k * a_depth];
            sum[i][0] += factor * row0;
            sum[i][1] += factor * row1;
        }
    }
    for (int i = 0; i < TILE_ROWS; i++) {
        *(vector_in_memory *)(c + i * ldc) = sum[i][0];
        *(vector_in_memory *)(c + i * ldc + LANES) = sum[i][1];
    }
}

/* What no whole tile covers. */
static inline void edge(int rows, int cols, int depth, const real *a, ptrdiff_t a_row, ptrdiff_t a_depth,
                        const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc)
{
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < depth; k++) {
            const real factor = a[i * a_row + k * a_depth];
            for (int j = 0; j < cols; j++) c[i * ldc + j] += factor * b[k * ldb + j];
        }
    }
}

void FLOYDNET_PRODUCT(int rows, int cols, int depth, const real *a, ptrdiff_t a_row, ptrdiff_t a_depth,
                      const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc)
{
    const int whole_rows = rows - rows % TILE_ROWS, whole_cols = cols - cols % TILE_COLS;
    for (int k = 0; k < depth; k += DEPTH_BLOCK) {
        const int step = depth - k < DEPTH_BLOCK ? depth - k : DEPTH_BLOCK;
        const real *ak = a + k * a_depth, *bk = b + k * ldb;
        for (int i = 0; i < whole_rows; i += TILE_ROWS) {
            for (int j = 0; j < whole_cols; j += TILE_COLS) {
                tile(step, ak + i * a_row, a_row, a_depth, bk + j, ldb, c + i * ldc + j, ldc);
            }
        }
        edge(whole_rows, cols - whole_cols, step, ak, a_row, a_depth, bk + whole_cols, ldb, c + whole_cols, ldc);
        edge(rows - whole_rows, cols, step, ak + whole_rows * a_row, a_row, a_depth, bk, ldb, c + whole_rows * ldc,
             ldc);
    }
}
