/* SPDX-License-Identifier: Apache-2.0 */
/* All that the linear layers need of linear algebra, so that the network stands on nothing but the library. */
#ifndef FLOYDNET_MATMUL_H
#define FLOYDNET_MATMUL_H

#include "real.h"

#include <stddef.h>

/*
 * c[rows,cols] += a[rows,depth] b[depth,cols]. b and c have contiguous rows, ldb and ldc elements apart; a may lie
 * either way round: element (i,k) at a[i * a_row + k * a_depth].
 */
void matmul_add(int rows, int cols, int depth, const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b,
                ptrdiff_t ldb, real *c, ptrdiff_t ldc);

#endif
