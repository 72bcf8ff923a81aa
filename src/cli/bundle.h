/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a problem by their names, from any number of files and directories. */
#ifndef FLOYDATTN_CLI_BUNDLE_H
#define FLOYDATTN_CLI_BUNDLE_H

#include "array.h"
#include "mapping.h"

typedef enum tensor_name {
    QUERY,
    KEY1,
    VALUE1,
    KEY2,
    VALUE2,
    DY,
    ATTEN_MASK,
    SOFTMAX_MAX,
    SOFTMAX_SUM,
    ATTENTION_IN,
    TENSOR_NAMES
} tensor_name;

const char *name_of_tensor(tensor_name name);

typedef struct bundle {
    array found[TENSOR_NAMES]; /* element NULL = not there */
    double scale;
    const char *scale_file; /* who said so; NULL = nobody */
    double other_scale;
    const char *other_scale_file; /* who said something else */
} bundle;

/* Adds what a safetensors file, or a directory of NAME.npy, holds. Ends the command at the first thing wrong. */
void bundle_read(bundle *b, const char *path);

void free_bundle(bundle *b);

/* For the readers of each format. `name` is a name of the file's own: what is not in the list is ignored. */
bool bundle_wants(const char *name, tensor_name *which);
void bundle_add(bundle *b, tensor_name which, const array *a);
void bundle_add_scale(bundle *b, const char *path, const char *value);

/* The scale that the files give. Ends the command where they give none, or not the same. */
double bundle_scale(const bundle *b);

bool bundle_has(const bundle *b, tensor_name name);

/* Ends the command, naming all that are missing, unless every name in the list (a set of bits) is there. */
void bundle_require(const bundle *b, unsigned names, const char *advice);

/* What the library says of its arguments, in terms of files and the names in them. The string is new. */
char *bundle_explain(const bundle *b, const char *message);

/* As the library sees it: a missing last axis of softmax_max and softmax_sum becomes one of size 1. */
floyd_tensor bundle_tensor(const bundle *b, tensor_name name);

/* Each reads one format. */
void read_safetensors(bundle *b, const mapping *file);
void read_npy(bundle *b, tensor_name which, const mapping *file);

#endif
