/* SPDX-License-Identifier: Apache-2.0 */
/* A tensor as a file holds it, and the element types that this command knows, by their name in each format. */
#ifndef FLOYDATTN_CLI_ARRAY_H
#define FLOYDATTN_CLI_ARRAY_H

#include "floydattn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct element {
    const char *name;  /* in safetensors, and in messages: "BF16" */
    const char *descr; /* in .npy: "|V2" */
    floyd_dtype dtype;
    size_t size;
} element;

/* NULL for what is not known. */
const element *element_named(const char *name, size_t length);
const element *element_of_descr(const char *descr, size_t length);
const element *element_of_dtype(floyd_dtype dtype); /* U8 for FLOYD_U8 */
const char *element_names(void);                    /* all of them, for a message */

enum { MAX_RANK = 5 };

typedef struct array {
    const char *file; /* where it came from, for messages */
    const element *element;
    int rank;
    int64_t size[MAX_RANK];
    int64_t stride[MAX_RANK]; /* in elements */
    void *data;
    void *copy; /* to be freed; NULL where data lie in the file */
} array;

/*
 * Fills the strides from element, rank and sizes, and gives the bytes the array takes; false when they do not
 * fit in 63 bits (sizes of 0 counted as 1, so that no stride overflows either).
 */
bool lay_out(array *a, bool fortran_order, int64_t *bytes);

/*
 * Sets the data. A file may put elements at an odd address, where C may not read them: they are then copied.
 */
void place_data(array *a, const uint8_t *data, int64_t bytes);

#endif
