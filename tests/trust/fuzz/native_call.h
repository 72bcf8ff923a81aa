/* SPDX-License-Identifier: Apache-2.0 */
/* A call of the native interface made from a fuzzer's input, with what the target knows of it by its own means. */
#ifndef FLOYD_FUZZ_NATIVE_CALL_H
#define FLOYD_FUZZ_NATIVE_CALL_H

#include "floydattn.h"

#include "input.h"

typedef enum role { Q, K1, V1, K2, V2, MASK, Y, MAX, SUM, DY, DQ, DK1, DV1, DK2, DV2, BIAS, DBIAS, ROLES } role;

/* Memory of a tensor, exactly as long as its elements reach: AddressSanitizer watches what lies beyond. */
typedef struct block {
    unsigned char *data, *before; /* before: as it was when the call began */
    unsigned char *owned;         /* 1 where an element of an output lies */
    size_t bytes;
} block;

typedef struct call {
    bool backward;
    floyd_dtype dtype;
    int64_t B, H, N, M, K, D;
    bool has[ROLES];
    floyd_tensor tensor[ROLES];
    int home[ROLES];      /* the block that a tensor lies in; -1: none */
    block blocks[ROLES];  /* bytes 0 where there is none */
    unsigned overflowing; /* a bit for each whose elements reach over more bytes than 64 bits count */
    unsigned far;         /* a bit for each that reaches further than this program gives memory for */
    void *args;           /* a floyd_forward_args or floyd_backward_args, as long as its struct_size says */
    floyd_options options;
    bool has_options;
    int progress_left; /* calls of the callback before it cancels */
    int64_t told;
} call;

void call_make(call *c, input *in);
void call_free(call *c);

bool is_output(const call *c, role r);
bool is_broadcast(role r);
/* The size that the role's axis must have; -1: any from 1. */
int64_t expected_size(const call *c, role r, int axis);
/* No element of an output lies where another tensor's does; marks what outputs own. For calls that are not far. */
bool outputs_apart(call *c);

floyd_status call_query(const call *c, size_t *bytes);
floyd_status call_run(call *c, void *workspace, size_t bytes);

#endif
