/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the network meets the library. Sizes: B graphs of (padded) N nodes, H heads of size D, C = H*D.
 *
 *   qkv, dqkv   [5,B,N,N,H,D]   query, key1, value1, key2, value2 of every pair, as five linear layers leave them
 *   y, dy       [B,N,N,H,D]
 *   max, sum    [B,H,N,N]       kept by the forward for the backward
 *   padding     [B,N]           non-zero: node k is padding and takes no part as a pivot
 *
 * Nothing is copied or transposed: the library reads and writes these arrays through strides. The five parts lie
 * one after the other, because the byte ranges of the library's outputs may not meet.
 */
#ifndef FLOYDNET_ATTENTION_H
#define FLOYDNET_ATTENTION_H

#include "real.h"

#include <stddef.h>
#include <stdint.h>

typedef struct attention {
    int B, N, H, D, threads;
    const uint8_t *padding;
    real *qkv, *y, *max, *sum;
    const real *dy; /* read by the backward */
    real *dqkv;     /* written by the backward */
} attention;

/* Memory that the library computes in; grows when needed. Starts zeroed, ends with attention_scratch_free(). */
typedef struct attention_scratch {
    void *memory;
    size_t bytes;
} attention_scratch;

/* Both end the program with the library's message when a call fails. */
void attention_forward(const attention *a, attention_scratch *scratch);
void attention_backward(const attention *a, attention_scratch *scratch);
void attention_scratch_free(attention_scratch *scratch);

#endif
