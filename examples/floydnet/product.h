/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of the matrix product, one for each instruction set; arguments as matmul_add's. */
#ifndef FLOYDNET_PRODUCT_H
#define FLOYDNET_PRODUCT_H

#include "real.h"

#include <stddef.h>

typedef void product_fn(int rows, int cols, int depth, const real *a, ptrdiff_t a_row, ptrdiff_t a_depth,
                        const real *b, ptrdiff_t ldb, real *c, ptrdiff_t ldc);

product_fn product_plain, product_avx2; /* the second on x86 alone */

#endif
