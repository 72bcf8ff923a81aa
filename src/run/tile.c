/* SPDX-License-Identifier: Apache-2.0 */
/* What forward and backward share in getting at one tile: views, the mask, the images of K2 and V2. */
#include <string.h>

#include "problem/tensor.h"
#include "run.h"

floyd_span floyd_span_of(const floyd_axis *axis, int64_t tile)
{
    return (floyd_span){floyd_axis_begin(axis, tile), floyd_axis_length(axis, tile)};
}

floyd_span floyd_span_of_tiles(const floyd_axis *axis, int64_t begin, int64_t end)
{
    const int64_t first = floyd_axis_begin(axis, begin);
    return (floyd_span){first, floyd_axis_begin(axis, end - 1) + floyd_axis_length(axis, end - 1) - first};
}

/* Where a head's first element lies. */
static char *head_data(const floyd_problem *p, const floyd_tensor *tensor, int64_t head)
{
    const int64_t index = head / p->H * tensor->stride[0] + head % p->H * tensor->stride[1];
    return (char *)tensor->data + index * (int64_t)floyd_dtype_size(tensor->dtype);
}

floyd_view floyd_view_of(const floyd_problem *p, floyd_role role, int64_t head, int slab_axis, int64_t slab,
                         int row_axis, int64_t row)
{
    static char nothing; /* for an empty tensor: C lets nobody add even 0 to NULL */
    const floyd_tensor *tensor = &p->tensor[role];
    if (floyd_tensor_empty(tensor)) return (floyd_view){.data = &nothing, .dtype = tensor->dtype};
    const int64_t at = slab * tensor->stride[slab_axis] + row * tensor->stride[row_axis];
    return (floyd_view){head_data(p, tensor, head) + at * (int64_t)floyd_dtype_size(tensor->dtype), tensor->dtype,
                        tensor->stride[slab_axis], tensor->stride[row_axis], tensor->stride[4]};
}

/* The mask of a tile: row (i,j) of `slabs` x `rows` begins at first + i * stride[2] + j * stride[3]. */
typedef struct mask_rows {
    const uint8_t *first;
    const int64_t *stride;
    int64_t slabs, rows; /* 1 where the mask is broadcast */
} mask_rows;

static mask_rows rows_of_mask(const floyd_problem *p, int64_t head, floyd_span n, floyd_span m, floyd_span k)
{
    static const floyd_tensor none = {0};
    const bool given = p->has[FLOYD_ROLE_MASK];
    const floyd_tensor *mask = given ? &p->tensor[FLOYD_ROLE_MASK] : &none;
    const int64_t *stride = mask->stride, at = n.begin * stride[2] + m.begin * stride[3] + k.begin * stride[4];
    return (mask_rows){given ? (const uint8_t *)head_data(p, mask, head) + at : NULL, stride,
                       stride[2] == 0 ? 1 : n.length, stride[3] == 0 ? 1 : m.length};
}

/* One row of codes, 0 or 1; returns how many are masked. */
static int64_t code_row(const uint8_t *mask, int64_t stride, int64_t count, uint8_t *codes)
{
    int64_t masked = 0;
    if (stride == 1)
        for (int64_t k = 0; k < count; k++) masked += codes[k] = mask[k] != 0;
    else
        for (int64_t k = 0; k < count; k++) masked += codes[k] = mask[k * stride] != 0;
    return masked;
}

floyd_masked floyd_mask_tile(const floyd_problem *p, const floyd_layout *layout, int64_t head, floyd_span n,
                             floyd_span m, floyd_span k, uint8_t *buffer, floyd_codes *codes)
{
    const mask_rows mask = rows_of_mask(p, head, n, m, k);
    const int64_t *stride = mask.stride, slabs = mask.slabs, rows = mask.rows;
    const bool given = mask.first != NULL;
    int64_t masked = 0;
    codes->data = NULL;
    codes->row = rows == 1 ? 0 : layout->ldk;
    codes->slab = slabs == 1 ? 0 : rows * layout->ldk;
    for (int64_t i = 0; i < slabs; i++)
        for (int64_t j = 0; j < rows; j++) {
            uint8_t *row = buffer + (i * rows + j) * layout->ldk;
            for (int64_t absent = k.length; absent < layout->ldk; absent++) row[absent] = FLOYD_ABSENT;
            if (!given) {
                memset(row, FLOYD_LIVE, (size_t)k.length);
                continue;
            }
            const uint8_t *at = mask.first + i * stride[2] + j * stride[3];
            if (i + 1 < slabs && stride[4] == 1) { /* rows lie far apart, and nothing else is done meanwhile */
                __builtin_prefetch(at + stride[2]);
                __builtin_prefetch(at + stride[2] + k.length - 1);
            }
            masked += code_row(at, stride[4], k.length, row);
        }
    if (masked > 0 || k.length % FLOYD_PAD != 0) codes->data = buffer;
    if (masked == 0) return FLOYD_NONE_MASKED;
    return masked == slabs * rows * k.length ? FLOYD_ALL_MASKED : FLOYD_SOME_MASKED;
}

/* The least length that all live pivots of k are within. */
static int64_t live_length(const floyd_problem *p, int64_t head, floyd_span n, floyd_span m, floyd_span k)
{
    const mask_rows mask = rows_of_mask(p, head, n, m, k);
    const int64_t *stride = mask.stride;
    int64_t live = 0;
    for (int64_t i = 0; i < mask.slabs; i++)
        for (int64_t j = 0; j < mask.rows && live < k.length; j++) {
            const uint8_t *row = mask.first + i * stride[2] + j * stride[3];
            int64_t last = k.length;
            while (last > live && row[(last - 1) * stride[4]] != 0) last--;
            live = last;
        }
    return live;
}

floyd_spans floyd_mask_split(const floyd_problem *p, int64_t head, floyd_span n, floyd_span m, floyd_span k)
{
    enum { WORTH = 8 }; /* pivots */
    const int64_t live = p->has[FLOYD_ROLE_MASK] ? live_length(p, head, n, m, k) : k.length;
    if (live == 0 || k.length - live < WORTH) return (floyd_spans){{k}, 1};
    return (floyd_spans){{{k.begin, live}, {k.begin + live, k.length - live}}, 2};
}
