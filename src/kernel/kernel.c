/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One translation unit per instruction set and real type: everything below is static and named alike, and the
 * table at the end is the one thing that leaves, under a name of its own (floyd_kernels_avx2_f32).
 */
#include <math.h>

#include "backward_tile.h"
#include "forward_tile.h"

static void prefetch(const floyd_view *src, ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t columns)
{
    ahead_list next = {0};
    ahead_add_view(&next, src, slab, rows, columns);
    ahead_all(&next);
}

static void merge(const floyd_target *target, ptrdiff_t slab, const void *tile, ptrdiff_t ld, ptrdiff_t rows,
                  ptrdiff_t columns)
{
    merge_image(target, slab, tile, ld, rows, columns);
}

static void read_stats(const floyd_view *src, ptrdiff_t slab, ptrdiff_t rows, void *dst)
{
    for (ptrdiff_t r = 0; r < rows; r++) ((real *)dst)[r] = *(const real *)element(src, slab, r, 0);
}

static void fold(const void *acc, ptrdiff_t ld, int64_t rows, int64_t columns, const floyd_view *to)
{
    const int64_t row_sums = to->column == 0 ? columns : 1, column_sums = to->row == 0 ? rows : 1;
    for (int64_t row = 0; row < rows; row += column_sums)
        for (int64_t column = 0; column < columns; column += row_sums) {
            double sum = 0;
            for (int64_t r = row; r < row + column_sums; r++)
                for (int64_t c = column; c < column + row_sums; c++) sum += ((const real *)acc)[r * ld + c];
            real *at = element(to, 0, row, column);
            store_one(at, FLOYD_REAL_DTYPE, *at + (real)sum + 0);
        }
}

const floyd_kernels FLOYD_NAME(floyd_kernels);
const floyd_kernels FLOYD_NAME(floyd_kernels) = {.prefetch = prefetch,
                                                 .pack_pairs = pack_pairs_image,
                                                 .merge = merge,
                                                 .merge_km = merge_km_image,
                                                 .read_stats = read_stats,
                                                 .row_dots = row_dots,
                                                 .forward_begin = forward_begin,
                                                 .forward_tile = forward_tile,
                                                 .forward_settled = forward_settled,
                                                 .forward_end = forward_end,
                                                 .backward_tile = backward_tile,
                                                 .fold = fold};
