/* SPDX-License-Identifier: Apache-2.0 */
/* What a command computed, on its way into one safetensors file or a directory of NAME.npy. */
#ifndef FLOYDATTN_CLI_RESULTS_H
#define FLOYDATTN_CLI_RESULTS_H

#include "array.h"
#include "output.h"

enum { MAX_RESULTS = 5 };

typedef struct result {
    const char *name;
    array array;
    size_t bytes;
} result;

typedef struct results {
    const char *path;
    bool directory; /* NAME.npy in the directory `path` */
    double scale;   /* noted in the metadata of a safetensors file */
    int count;
    result item[MAX_RESULTS];
    /* Set by open_results: one file for each item, or one for all. */
    output file[MAX_RESULTS];
    unfinished *made;
} results;

/* A directory: what ends with '/', is one, or is new, without .safetensors, where the input is one. */
bool output_is_directory(const char *path, bool input_is_directory);

/* A tensor to be computed, with memory for it. */
floyd_tensor add_result(results *r, const char *name, floyd_dtype dtype, int rank, const int64_t *size);

/* Finds out whether everything can be written; later writes it. */
void open_results(results *r);
void write_results(results *r);

#endif
