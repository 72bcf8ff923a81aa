/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic, one table of functions per instruction set and accumulator type. Everything here works on one
 * tile of n x m x k <= bn x bm x bk pairs and pivots of one head, in buffers that the caller laid out. `real` is
 * the accumulator's type, float or double; buffers of it pass as void *.
 *
 * Images of a face, in real, rows padded with zeros to ldd (head axis) or ldk (pivot axis) reals:
 *   nm face   q_m, dy_m, y, dq [m][n][ldd]    slab_m apart
 *   km face   k2_m, v2_m, dk2, dv2 [m][k][ldd]  slab_k apart   k2t, v2t [m][d][ldk]        slab_t apart
 *   scores    s, dp [n][m][ldk]        slab_s apart
 * Slabs are padded so that the same row of many slabs does not fall into one set of the cache.
 */
#ifndef FLOYD_KERNEL_H
#define FLOYD_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "floydattn.h"

/*
 * Padding unit of ldd and ldk, in reals of either type: one cache line of floats, and the longest vector. A tile's
 * scratch `slab` has room for slab_t and FLOYD_PAD rows of ldd, for slab_k, and for two images [n][ldk] and two
 * rows of n.
 */
enum { FLOYD_PAD = 16 };

typedef struct floyd_layout {
    ptrdiff_t ldd, ldk, slab_m, slab_k, slab_t, slab_s;
} floyd_layout;

/* A strided view of tensor memory: element (slab, row, column) of this dtype; strides in elements. */
typedef struct floyd_view {
    void *data;
    floyd_dtype dtype;
    int64_t slab, row, column;
} floyd_view;

/*
 * Where a finished tile of a sum goes. A face is added to once per tile along its reduction: the first time
 * what is stored does not count, the last time the sum is rounded to the output. acc and out are the same
 * memory when the output has the accumulator's type.
 */
typedef struct floyd_target {
    floyd_view acc, out;
    int first, last;
} floyd_target;

/* One byte per position: how it takes part. */
enum { FLOYD_LIVE = 0, FLOYD_MASKED = 1, FLOYD_ABSENT = 2 /* padding past the end of the pivot axis */ };

typedef struct floyd_codes {
    const uint8_t *data; /* NULL = all live and k a multiple of every vector length */
    ptrdiff_t slab, row; /* bytes from n to n+1 and from m to m+1; 0 broadcasts */
} floyd_codes;

/*
 * What floydattn.h has between the products beside scale, mask and softmax. dropout's pattern depends on where the
 * tile lies: head, n, m and k are its first position in the whole problem.
 */
typedef struct floyd_extras {
    double cap;      /* 0 = none */
    floyd_view bias; /* [n][m][k]; data NULL = none */
    floyd_view
        dbias;      /* [n][m][k] in real, added to, with stride 0 where it is summed over; data NULL = not wanted */
    double dropout; /* 0 = none */
    uint64_t seed;
    int64_t head, first_n, first_m, first_k;
    void *slope;   /* scratch: ldk reals */
    void *row;     /* scratch: ldk reals */
    uint8_t *keep; /* scratch: ldk + FLOYD_KEEP_MORE bytes */
} floyd_extras;

enum { FLOYD_KEEP_MORE = 64 };

/*
 * Tiles of one m and k follow one another along n: the first one makes the images of K2 and V2 that the others
 * read (km_first). One that no other follows (km_alone, and first) keeps none, and adds dK2 and dV2 to their
 * targets; of several, the caller does.
 */
typedef struct floyd_forward_tile {
    const floyd_layout *layout;
    ptrdiff_t n, m, k, d;
    double scale, fill;         /* fill: what a masked score is replaced by */
    const floyd_extras *extras; /* NULL = none */
    int km_first, km_alone;
    const void *q_m;
    floyd_view k1, v1; /* [n][k][d] */
    floyd_view k2, v2; /* [m][k][d] */
    floyd_codes codes;
    void *k2t, *v2_m;
    void *s, *slab;  /* slab: see FLOYD_PAD */
    void *y;         /* in and out: sum of exp(S - max) * V so far */
    void *max, *sum; /* in and out, [m][n], rows `stat` apart; max = -inf: nothing yet */
    ptrdiff_t stat;
} floyd_forward_tile;

enum { FLOYD_DQ = 1, FLOYD_DK1 = 2, FLOYD_DV1 = 4, FLOYD_DK2 = 8, FLOYD_DV2 = 16, FLOYD_DBIAS = 32 };

typedef struct floyd_backward_tile {
    const floyd_layout *layout;
    ptrdiff_t n, m, k, d;
    double scale, fill;         /* see floyd_forward_tile */
    const floyd_extras *extras; /* NULL = none */
    int zero_grad;              /* dS of fully masked rows is 0 at masked positions */
    int wanted;                 /* which gradients, FLOYD_DQ | ... */
    int km_first, km_alone;     /* see floyd_forward_tile */
    floyd_view q, dy;           /* [n][m][d] */
    floyd_view k1, v1;          /* [n][k][d] */
    floyd_view k2, v2;          /* [m][k][d] */
    floyd_codes codes;
    const void *max, *sum, *delta; /* [n][m], rows `stat` apart */
    ptrdiff_t stat;
    void *q_m, *dy_m, *s, *dp, *dq; /* scratch */
    void *slab;                     /* scratch: see FLOYD_PAD */
    void *k2t, *v2t, *k2_m;         /* in and out */
    void *dk2, *dv2;                /* in and out */
    floyd_target to_dq;             /* [n][m][d] */
    floyd_target to_dk1, to_dv1;    /* [n][k][d] */
    floyd_target to_dk2, to_dv2;    /* [m][k][d] */
} floyd_backward_tile;

typedef struct floyd_kernels {
    /* Asks for a slab that will be packed soon. It may lie outside the tensor. */
    void (*prefetch)(const floyd_view *src, ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t columns);
    /* Row n of each slab of the image [m][n][ldd] of an nm face, from slab n of its tensor. */
    void (*pack_pairs)(const floyd_view *src, ptrdiff_t n, ptrdiff_t m, ptrdiff_t d, const floyd_layout *layout,
                       void *by_m);
    /* Adds rows x columns of tile (rows ld apart; NULL = zeros) to slab `slab` of a target. */
    void (*merge)(const floyd_target *target, ptrdiff_t slab, const void *tile, ptrdiff_t ld, ptrdiff_t rows,
                  ptrdiff_t columns);
    /* The same for the images [m][k][ldd] (NULL = zeros) of a km face, whose target has slabs along k, rows along
     * m. */
    void (*merge_km)(const floyd_target *target, const void *images, ptrdiff_t k, ptrdiff_t m, ptrdiff_t d,
                     const floyd_layout *layout);
    /* The value of element 0 along the columns of each row: dst[r]. */
    void (*read_stats)(const floyd_view *src, ptrdiff_t slab, ptrdiff_t rows, void *dst);
    /* delta[r] = dY[r] . Y[r] over d, of slab `slab` of both. scratch: rows of ldd reals, for each. */
    void (*row_dots)(const floyd_view *dy, const floyd_view *y, ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t d,
                     const floyd_layout *layout, void *dy_scratch, void *y_scratch, void *delta);
    /* y NULL: the empty state; else all three are carried on. */
    void (*forward_begin)(const floyd_forward_tile *tile, const floyd_view *y, const floyd_view *max,
                          const floyd_view *sum);
    void (*forward_tile)(const floyd_forward_tile *tile);
    /* 1 when masked positions can weigh nothing in any row. */
    int (*forward_settled)(const floyd_forward_tile *tile);
    /* max, sum: data NULL = not wanted. */
    void (*forward_end)(const floyd_forward_tile *tile, const floyd_view *y, const floyd_view *max,
                        int64_t max_copies, const floyd_view *sum, int64_t sum_copies);
    void (*backward_tile)(const floyd_backward_tile *tile);
    /*
     * to[r][c] += acc[r][c], rows of acc ld apart; where the stride of to is 0 the sum over that axis is added,
     * taken in double, rows in order and columns in order within them. to.slab is not used.
     */
    void (*fold)(const void *acc, ptrdiff_t ld, int64_t rows, int64_t columns, const floyd_view *to);
} floyd_kernels;

/*
 * The kernels for this process: FLOYDATTN_ISA if set, else the best that runs here. NULL when FLOYDATTN_ISA names
 * none that can run.
 */
const floyd_kernels *floyd_kernels_get(int fp64);

/* What FLOYDATTN_ISA says, or "". */
const char *floyd_isa_asked(void);

/* Describes ISA number index, best first, and returns how many there are; past the end it only returns that. */
int floyd_isa_get(int index, floyd_isa *isa);

/* A row counts as fully masked at or below this maximum: above it exp(fill - max) is 0 in both types. */
static inline double floyd_fully_masked(double fill, int fp64)
{
    const double rounded = fp64 ? fill : (double)(float)fill, half = rounded / 2, near = rounded + 750;
    return half > near ? half : near;
}

#endif
