/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for what the next product reads while this one computes.
 *
 * Tensors are far larger than the caches, and a slab's rows lie pages apart: without this products wait for memory
 * a third of the time. A list holds the regions to come; every block of a product asks for a few lines of them.
 */
#ifndef FLOYD_AHEAD_H
#define FLOYD_AHEAD_H

#include "pack.h"

enum { AHEAD_REGIONS = 4 };

typedef struct ahead_list {
    struct {
        const char *row;
        ptrdiff_t step, rows; /* step: bytes between rows */
        ptrdiff_t bytes;      /* of a row */
    } region[AHEAD_REGIONS];
    int count, at;
    ptrdiff_t offset; /* in the row at hand */
} ahead_list;

static inline void ahead_add(ahead_list *a, const void *row, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t bytes)
{
    if (rows <= 0 || bytes <= 0) return;
    if (step == bytes) bytes *= rows, rows = 1;
    a->region[a->count].row = row;
    a->region[a->count].step = step;
    a->region[a->count].rows = rows;
    a->region[a->count].bytes = bytes;
    a->count++;
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

/* One slab of an image: rows of ld reals. */
static inline void ahead_add_image(ahead_list *a, const void *image, ptrdiff_t slab, ptrdiff_t index,
                                   ptrdiff_t rows, ptrdiff_t ld)
{
    ahead_add(a, (const real *)image + index * slab, 0, 1, rows * ld * (ptrdiff_t)sizeof(real));
}

/* The same row of every slab of an image. */
static inline void ahead_add_rows(ahead_list *a, const void *image, ptrdiff_t slab, ptrdiff_t row, ptrdiff_t slabs,
                                  ptrdiff_t ld, ptrdiff_t columns)
{
    const ptrdiff_t size = (ptrdiff_t)sizeof(real);
    ahead_add(a, (const real *)image + row * ld, slab * size, slabs, columns * size);
}

static inline void ahead_add_target(ahead_list *a, const floyd_target *target, ptrdiff_t slab, ptrdiff_t rows,
                                    ptrdiff_t columns)
{
    ahead_add_view(a, target->last ? &target->out : &target->acc, slab, rows, columns);
}

static inline void ahead_all(const ahead_list *a)
{
    for (int i = 0; i < a->count; i++)
        for (ptrdiff_t r = 0; r < a->region[i].rows; r++)
            fetch_row(a->region[i].row + r * a->region[i].step, a->region[i].bytes);
}

/*
 * What a product is to ask for during its next block, about so many lines: a run of adjacent ones, with the step
 * from one to the next; or, where rows are short, they are asked for at once and step is 0.
 */
static inline const char *ahead_next(ahead_list *a, ptrdiff_t lines, const void *otherwise, ptrdiff_t *step)
{
    *step = 0;
    if (!a || a->at >= a->count) return otherwise;
    const char *run = otherwise;
    if (a->region[a->at].bytes < lines * LINE) {
        for (; lines > 0 && a->region[a->at].rows > 0; lines -= a->region[a->at].bytes / LINE + 1) {
            fetch_row(a->region[a->at].row, a->region[a->at].bytes);
            a->region[a->at].row += a->region[a->at].step;
            a->region[a->at].rows--;
        }
    } else {
        run = a->region[a->at].row + a->offset;
        *step = LINE;
        a->offset += lines * LINE;
        if (a->offset >= a->region[a->at].bytes) {
            a->offset = 0;
            a->region[a->at].row += a->region[a->at].step;
            a->region[a->at].rows--;
        }
    }
    if (a->region[a->at].rows == 0) a->at++;
    return run;
}

#endif
