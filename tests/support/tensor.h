/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors for tests: a floyd_tensor together with the memory that it lies in, laid out in any order,
 * with gaps, backwards or repeated, and filled with reproducible values. Values depend on the seed and
 * on an element's index, never on where it lies, so that one problem can be stored in many ways.
 */
#ifndef FLOYD_TEST_TENSOR_H
#define FLOYD_TEST_TENSOR_H

#include "floydattn.h"

enum { POISON = 0xFF }; /* in every floating type a NaN, so that what is not written fails each comparison */

typedef struct layout {
    int order[5];     /* axes from the outermost to the innermost in memory */
    int64_t gap[5];   /* unused elements after each step along an axis */
    unsigned reverse; /* bit a: axis a has a negative stride */
    unsigned repeat;  /* bit a: axis a has stride 0 */
    int64_t offset;   /* unused elements before the first */
} layout;

extern const layout layout_contiguous;
extern const layout layout_permuted;  /* [B,N,M,H,D] in memory, as models store it */
extern const layout layout_scattered; /* the last axis outermost, gaps everywhere, two axes reversed */
extern const layout layout_gapped;    /* in order, every element 3 apart, rows further */
extern const layout layout_repeated;  /* inputs only: stride 0 along axes 0 and 2 */

typedef struct tensor {
    floyd_tensor view;
    unsigned char *block;
    size_t bytes; /* of block */
} tensor;

/* Poisoned memory for these sizes, exactly as large as the layout needs. */
tensor tensor_new(floyd_dtype dtype, const int64_t size[5], const layout *how);
void tensor_free(tensor *t);
void tensor_poison(tensor *t);

int64_t tensor_count(const floyd_tensor *t);
double tensor_get(const floyd_tensor *t, const int64_t index[5]);
/* The element as it is stored, in the lowest bits. */
uint64_t tensor_bits(const floyd_tensor *t, const int64_t index[5]);
/* Rounds once, to nearest even. */
void tensor_set(const floyd_tensor *t, const int64_t index[5], double value);
/* The next index in row-major order; 0 after the last. */
int tensor_next(const floyd_tensor *t, int64_t index[5]);

/* All elements in row-major order as doubles; set is its inverse. The caller frees. */
double *tensor_values(const floyd_tensor *t);
void tensor_assign(const floyd_tensor *t, const double *values);
/* All elements in row-major order as stored. The caller frees. */
unsigned char *tensor_packed(const floyd_tensor *t, size_t *bytes);

/* Whether all memory is as tensor_new() left it, and whether that between the elements is. */
int tensor_untouched(const tensor *t);
int tensor_gaps_untouched(const tensor *t);

void tensor_fill_normal(const floyd_tensor *t, uint64_t seed, double mean, double deviation);

/* Reproducible draws: uniform on [0,1), standard normal. */
double draw_uniform(uint64_t seed, uint64_t index);
double draw_normal(uint64_t seed, uint64_t index);

#endif
