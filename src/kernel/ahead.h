/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prefetching what the next slab needs, spread over the products of this one.
 *
 * Tensors are far larger than the caches, and a slab's rows lie pages apart: without this the packing waits for
 * memory a third of the time. A walker holds the regions to come; every block of a product pulls a few lines.
 */
#ifndef FLOYD_AHEAD_H
#define FLOYD_AHEAD_H

#include "pack.h"

enum { AHEAD_REGIONS = 7, LINE = 64 };

typedef struct ahead_list {
    struct {
        const char *row;
        ptrdiff_t step, rows; /* step: bytes between rows */
        ptrdiff_t bytes;      /* of a row */
    } region[AHEAD_REGIONS];
    int count, at;
    ptrdiff_t offset; /* in the row at hand */
    ptrdiff_t lines;  /* in all */
    ptrdiff_t budget; /* lines per block */
} ahead_list;

static inline void ahead_add(ahead_list *a, const void *row, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t bytes)
{
    if (rows <= 0 || bytes <= 0) return;
    a->region[a->count].row = row;
    a->region[a->count].step = step;
    a->region[a->count].rows = rows;
    a->region[a->count].bytes = bytes;
    a->count++;
    a->lines += rows * ((bytes + LINE - 1) / LINE);
}

/* One slab of a tensor. Where columns are not contiguous, rows are not what memory holds, and nothing is fetched.
 */
static inline void ahead_add_view(ahead_list *a, const floyd_view *view, ptrdiff_t slab, ptrdiff_t rows,
                                  ptrdiff_t columns)
{
    if (!view->data || view->column != 1 || rows == 0) return;
    const char *first = element(view, slab, 0, 0);
    const ptrdiff_t step = rows > 1 ? (const char *)element(view, slab, 1, 0) - first : 0; /* no row, no address */
    ahead_add(a, first, step, rows, (const char *)element(view, slab, 0, columns) - first);
}

/* Spreads the lines over so many products of rows x columns. */
static inline void ahead_spread(ahead_list *a, ptrdiff_t products, ptrdiff_t rows, ptrdiff_t columns)
{
    const ptrdiff_t blocks = products * ((rows + 5) / 6) * ((columns + 2 * VL - 1) / (2 * VL));
    a->budget = blocks > 0 ? (a->lines + blocks - 1) / blocks : 0;
}

static inline void ahead_pull(ahead_list *a)
{
    for (ptrdiff_t left = a->budget; left > 0 && a->at < a->count; left--) {
        __builtin_prefetch(a->region[a->at].row + a->offset);
        a->offset += LINE;
        if (a->offset < a->region[a->at].bytes) continue;
        a->offset = 0;
        a->region[a->at].row += a->region[a->at].step;
        if (--a->region[a->at].rows == 0) a->at++;
    }
}

#endif
