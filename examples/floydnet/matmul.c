/* SPDX-License-Identifier: Apache-2.0 */
/* Which version of the matrix product this processor runs. */
#include "matmul.h"

#include "product.h"

static product_fn *best_product(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return product_avx2;
#endif
    return product_plain;
}

void matmul_add(int rows, int cols, int depth, const real *a, ptrdiff_t a_row, ptrdiff_t a_depth, const real *b,
                ptrdiff_t ldb, real *c, ptrdiff_t ldc)
{
    best_product()(rows, cols, depth, a, a_row, a_depth, b, ldb, c, ldc);
}
