/* SPDX-License-Identifier: Apache-2.0 */
/* One problem in fp16 with random operands, and both directions of it through floydattn.h. */
#ifndef FLOYD_DEMO_PROBLEM_H
#define FLOYD_DEMO_PROBLEM_H

#include "floydattn.h"

/* Tensors by what their third and fourth axes are: pairs (n,m), (n,k), (k,m), or one value for each (n,m). */
enum { Q, Y, DY, DQ, K1, V1, DK1, DV1, K2, V2, DK2, DV2, MAX, SUM, TENSORS };

typedef struct problem {
    int64_t B, H, N, M, K, D;
    double scale;
    floyd_tensor t[TENSORS];
    floyd_options options;
    void *workspace;
    size_t workspace_bytes[2]; /* forward, backward */
} problem;

/* Sizes alone: tensors without data, workspace sizes asked from the library. */
problem problem_describe(const int64_t sizes[6], int threads);

/* With memory; Q, K1, V1, K2, V2 and DY are N(0,1). Ends the program when something fails. */
problem problem_new(const int64_t sizes[6], int threads);
void problem_free(problem *p);

void problem_forward(const problem *p);
void problem_backward(const problem *p);

size_t tensor_bytes(const floyd_tensor *t);

#endif
