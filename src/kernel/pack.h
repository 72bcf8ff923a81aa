/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor memory into images, and sums into tensor memory: strides, widening, rounding, and one pattern for NaN. */
#ifndef FLOYD_PACK_H
#define FLOYD_PACK_H

#include "half.h"
#include "kernel.h"
#include "vec.h"

#ifdef FLOYD_REAL_F64
#define FLOYD_REAL_DTYPE FLOYD_F64
#define FLOYD_NAN __builtin_nan("")
#else
#define FLOYD_REAL_DTYPE FLOYD_F32
#define FLOYD_NAN __builtin_nanf("")
#endif

static inline ptrdiff_t round_up(ptrdiff_t size, ptrdiff_t unit)
{
    return (size + unit - 1) / unit * unit;
}

static inline void *element(const floyd_view *view, ptrdiff_t slab, ptrdiff_t row, ptrdiff_t column)
{
    const int64_t index = slab * view->slab + row * view->row + column * view->column;
    const int64_t bytes = view->dtype == FLOYD_F64 ? 8 : view->dtype == FLOYD_F32 ? 4 : 2;
    return (char *)view->data + index * bytes;
}

enum { LINE = 64 };

static inline void fetch_row(const void *row, ptrdiff_t bytes)
{
    for (ptrdiff_t at = 0; at < bytes; at += LINE) __builtin_prefetch((const char *)row + at);
}

/* ---- one element -------------------------------------------------------------------------------- */

static inline real load_one(const void *p, floyd_dtype dtype)
{
#ifdef FLOYD_REAL_F64
    (void)dtype;
    return *(const double *)p;
#else
    if (dtype == FLOYD_F16) return floyd_f16_to_f32(*(const uint16_t *)p);
    if (dtype == FLOYD_BF16) return floyd_bf16_to_f32(*(const uint16_t *)p);
    return *(const float *)p;
#endif
}

static inline void store_one(void *p, floyd_dtype dtype, real value)
{
    if (value != value) value = FLOYD_NAN;
#ifdef FLOYD_REAL_F64
    (void)dtype;
    *(double *)p = value;
#else
    if (dtype == FLOYD_F16)
        *(uint16_t *)p = floyd_f32_to_f16(value);
    else if (dtype == FLOYD_BF16)
        *(uint16_t *)p = floyd_f32_to_bf16(value);
    else
        *(float *)p = value;
#endif
}

/* ---- VL elements with column stride 1 ------------------------------------------------------------ */

static inline vec load_lanes(const void *p, floyd_dtype dtype, ptrdiff_t column)
{
#ifdef FLOYD_REAL_F64
    (void)dtype;
#else
    if (dtype == FLOYD_F16) return vload_f16((const uint16_t *)p + column);
    if (dtype == FLOYD_BF16) return vload_bf16((const uint16_t *)p + column);
#endif
    return vload((const real *)p + column);
}

/* The first count < VL of them, and zeros. */
static inline vec load_part(const void *p, floyd_dtype dtype, ptrdiff_t column, ptrdiff_t count)
{
    if (dtype == FLOYD_REAL_DTYPE) return vload_part((const real *)p + column, count);
    uint16_t lane[VL] = {0};
    for (ptrdiff_t i = 0; i < count; i++) lane[i] = ((const uint16_t *)p)[column + i];
    return load_lanes(lane, dtype, 0);
}

static inline vec quiet(vec value)
{
    return vselect(visnan(value), vset(FLOYD_NAN), value);
}
/* As every output is written: one pattern for NaN, and no -0. */
static inline vec finished(vec value)
{
    return quiet(vadd(value, vset(0)));
}

static inline void store_lanes(void *p, floyd_dtype dtype, ptrdiff_t column, vec value)
{
    value = quiet(value);
#ifdef FLOYD_REAL_F64
    (void)dtype;
#else
    if (dtype == FLOYD_F16) {
        vstore_f16((uint16_t *)p + column, value);
        return;
    }
    if (dtype == FLOYD_BF16) {
        vstore_bf16((uint16_t *)p + column, value);
        return;
    }
#endif
    vstore((real *)p + column, value);
}

static inline void store_part(void *p, floyd_dtype dtype, ptrdiff_t column, vec value, ptrdiff_t count)
{
    if (dtype == FLOYD_REAL_DTYPE) {
        vstore_part((real *)p + column, quiet(value), count);
        return;
    }
    uint16_t lane[VL];
    store_lanes(lane, dtype, 0, value);
    for (ptrdiff_t i = 0; i < count; i++) ((uint16_t *)p)[column + i] = lane[i];
}

/* Calls body once per dtype with the dtype a constant, so that loops inside hold no branch on it. */
#ifdef FLOYD_REAL_F64
#define FLOYD_FOR_DTYPE(dtype, call, ...) call(FLOYD_F64, __VA_ARGS__)
#else
#define FLOYD_FOR_DTYPE(dtype, call, ...)                                                                          \
    ((dtype) == FLOYD_F16    ? call(FLOYD_F16, __VA_ARGS__)                                                        \
     : (dtype) == FLOYD_BF16 ? call(FLOYD_BF16, __VA_ARGS__)                                                       \
                             : call(FLOYD_F32, __VA_ARGS__))
#endif

/* ---- memory to image ----------------------------------------------------------------------------- */

__attribute__((always_inline)) static inline void pack_rows(const floyd_dtype dtype, const floyd_view *src,
                                                            ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t columns,
                                                            real *dst, ptrdiff_t padded, ptrdiff_t ld)
{
    for (ptrdiff_t r = 0; r < rows; r++, dst += ld) {
        const void *from = element(src, slab, r, 0);
        ptrdiff_t c = 0;
        if (src->column == 1) {
            for (; c + VL <= columns; c += VL) vstore(dst + c, load_lanes(from, dtype, c));
            if (c < columns) vstore(dst + c, load_part(from, dtype, c, columns - c)), c += VL;
        }
        for (; c < columns; c++) dst[c] = load_one(element(src, slab, r, c), dtype);
        for (; c < padded; c++) dst[c] = 0;
    }
}

static void pack_image(const floyd_view *src, ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t columns, real *dst,
                       ptrdiff_t padded, ptrdiff_t ld)
{
    FLOYD_FOR_DTYPE(src->dtype, pack_rows, src, slab, rows, columns, dst, padded, ld);
}

static void pack_pairs_image(const floyd_view *src, ptrdiff_t n, ptrdiff_t m, ptrdiff_t d,
                             const floyd_layout *layout, void *by_m)
{
    pack_image(src, n, m, d, (real *)by_m + n * layout->ldd, layout->ldd, layout->slab_m);
}

/*
 * Rows of a slab as reals with columns padded to VL: the tensor's own memory when it is laid out so, with rows
 * close together, else an image of it in scratch. *ld is the distance of rows.
 */
static const real *rows_of(const floyd_view *src, ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t columns, real *scratch,
                           ptrdiff_t ldd, ptrdiff_t *ld)
{
    if (src->dtype == FLOYD_REAL_DTYPE && src->column == 1 && columns % VL == 0 && src->row >= columns &&
        src->row <= 4 * columns) {
        *ld = src->row;
        return element(src, slab, 0, 0);
    }
    pack_image(src, slab, rows, columns, scratch, ldd, ldd);
    *ld = ldd;
    return scratch;
}

/* dst[c][r] = src[slab][row + r][c] for count <= VL rows, zeros after them. scratch: VL rows of ldd. */
static void transpose_rows(const floyd_view *src, ptrdiff_t slab, ptrdiff_t row, ptrdiff_t count, ptrdiff_t columns,
                           const floyd_layout *layout, real *scratch, real *dst)
{
    const floyd_view from = {element(src, slab, row, 0), src->dtype, 0, src->row, src->column};
    ptrdiff_t ld = layout->ldd;
    const real *rows = scratch;
    if (count == VL && from.dtype == FLOYD_REAL_DTYPE && from.column == 1 && columns % VL == 0) {
        rows = from.data;
        ld = from.row;
    } else {
        pack_image(&from, 0, count, columns, scratch, ld, ld);
        memset(scratch + count * ld, 0, (size_t)(VL - count) * (size_t)ld * sizeof(real));
    }
    for (ptrdiff_t c = 0; c < columns; c += VL) vtranspose(rows + c, ld, dst + c * layout->ldk, layout->ldk);
}

static void transpose_image(const floyd_view *src, ptrdiff_t slab, ptrdiff_t rows, ptrdiff_t columns,
                            const floyd_layout *layout, real *scratch, real *dst)
{
    for (ptrdiff_t r = 0; r < rows; r += VL)
        transpose_rows(src, slab, r, rows - r < VL ? rows - r : VL, columns, layout, scratch, dst + r);
}

/*
 * The images of a km face from its view [m][k][d]: images [m][k][ldd] and transposed [m][d][ldk]; either may be
 * NULL. In the order of memory, where m varies faster than k: blocks of VL rows of k, in each along m. scratch:
 * FLOYD_PAD rows of ldd reals.
 */
static void pack_km_images(const floyd_view *src, ptrdiff_t k, ptrdiff_t m, ptrdiff_t d, const floyd_layout *l,
                           real *scratch, real *images, real *transposed)
{
    for (ptrdiff_t r = 0; r < k; r += VL) {
        const ptrdiff_t count = k - r < VL ? k - r : VL;
        for (ptrdiff_t i = 0; i < m; i++) {
            const floyd_view rows = {element(src, i, r, 0), src->dtype, 0, src->row, src->column};
            for (ptrdiff_t j = r + VL; src->column == 1 && j < k && j < r + 2 * VL; j++)
                fetch_row(element(src, i, j, 0), (char *)element(src, 0, 0, d) - (char *)src->data);
            if (transposed) transpose_rows(src, i, r, count, d, l, scratch, transposed + i * l->slab_t + r);
            if (images) pack_image(&rows, 0, count, d, images + i * l->slab_k + r * l->ldd, l->ldd, l->ldd);
        }
    }
}

/* ---- sums to memory ------------------------------------------------------------------------------ */

/* The first count <= VL lanes from column c on; add and acc may be NULL. */
__attribute__((always_inline)) static inline void merge_lanes(const floyd_dtype dtype, const floyd_target *t,
                                                              const real *add, const real *acc, void *out,
                                                              ptrdiff_t c, const ptrdiff_t count)
{
    vec sum = add ? vload(add + c) : vset(0);
    if (acc) sum = vadd(count == VL ? vload(acc + c) : vload_part(acc + c, count), sum);
    if (t->last && count == VL)
        store_lanes(out, dtype, c, vadd(sum, vset(0)));
    else if (t->last)
        store_part(out, dtype, c, vadd(sum, vset(0)), count);
    else if (count == VL)
        vstore((real *)out + c, sum);
    else
        vstore_part((real *)out + c, sum, count);
}

/*
 * acc + tile, to acc or, the last time, to out. Adding +0 then makes -0 +0: so a tile that adds nothing and one
 * that was skipped leave the same bits.
 */
__attribute__((always_inline)) static inline void merge_rows(const floyd_dtype dtype, const floyd_target *t,
                                                             ptrdiff_t slab, const real *tile, ptrdiff_t ld,
                                                             ptrdiff_t rows, ptrdiff_t columns)
{
    const floyd_view *to = t->last ? &t->out : &t->acc;
    const int lanes = to->column == 1 && (t->first || t->acc.column == 1);
    for (ptrdiff_t r = 0; r < rows; r++) {
        const real *add = tile ? tile + r * ld : NULL;
        const real *acc = t->first ? NULL : element(&t->acc, slab, r, 0);
        void *out = element(to, slab, r, 0);
        ptrdiff_t c = 0;
        for (; lanes && c + VL <= columns; c += VL) merge_lanes(dtype, t, add, acc, out, c, VL);
        if (lanes && c < columns) {
            merge_lanes(dtype, t, add, acc, out, c, columns - c);
            c = columns;
        }
        for (; c < columns; c++) {
            real sum = add ? add[c] : 0;
            if (acc) sum = *(const real *)element(&t->acc, slab, r, c) + sum;
            if (t->last)
                store_one(element(to, slab, r, c), dtype, sum + 0);
            else
                *(real *)element(to, slab, r, c) = sum;
        }
    }
}

static void merge_image(const floyd_target *t, ptrdiff_t slab, const real *tile, ptrdiff_t ld, ptrdiff_t rows,
                        ptrdiff_t columns)
{
    if (!tile && !t->first && !t->last) return;
    FLOYD_FOR_DTYPE(t->last ? t->out.dtype : FLOYD_REAL_DTYPE, merge_rows, t, slab, tile, ld, rows, columns);
}

/* Adds the images [m][k][ldd] (NULL = zeros) of a km face to its target, [k][m][d], in the order of its memory. */
static void merge_km_image(const floyd_target *t, const void *images, ptrdiff_t k, ptrdiff_t m, ptrdiff_t d,
                           const floyd_layout *l)
{
    const floyd_view *to = t->first ? &t->out : &t->acc;
    const ptrdiff_t bytes = to->column == 1 ? (char *)element(to, 0, 0, d) - (char *)to->data : 0;
    for (ptrdiff_t r = 0; r < k; r++) {
        const real *image = images ? (const real *)images + r * l->ldd : NULL;
        for (ptrdiff_t i = 0; r + 1 < k && i < m; i++) {
            if (to->column == 1) fetch_row(element(to, r + 1, i, 0), bytes);
            if (image) fetch_row(image + l->ldd + i * l->slab_k, d * (ptrdiff_t)sizeof(real));
        }
        merge_image(t, r, image, l->slab_k, m, d);
    }
}

#endif
