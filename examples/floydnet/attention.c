/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floyd attention on the pairs of a batch of graphs, through floydattn.h: pair (n,m) asks every node k how good the
 * path n - k - m is, and takes what the pairs (n,k) and (k,m) know. Scale is 1/sqrt(2D): a score sums 2D products.
 */
#include "attention.h"

#include "floydattn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUERY, KEY1, VALUE1, KEY2, VALUE2 };

static void must(floyd_status status)
{
    if (status == FLOYD_OK) return;
    fprintf(stderr, "%s: %s\n", floyd_status_name(status), floyd_last_message());
    exit(3);
}

/* An array [B,N,N,H,D] seen as [B,H,N,N,D]. */
static floyd_tensor pairs(const attention *a, const real *data)
{
    const int64_t C = (int64_t)a->H * a->D;
    const floyd_tensor view = {
        (real *)data, REAL_DTYPE, {a->B, a->H, a->N, a->N, a->D}, {a->N * a->N * C, a->D, a->N * C, C, 1}};
    return view;
}

static floyd_tensor part(const attention *a, const real *data, int index)
{
    return pairs(a, data + (ptrdiff_t)index * a->B * a->N * a->N * a->H * a->D);
}

/* One value for each pair and head. */
static floyd_tensor row_values(const attention *a, const real *data)
{
    return floyd_contiguous((real *)data, REAL_DTYPE, a->B, a->H, a->N, a->N, 1);
}

/* What both directions read, and the forward's outputs. */
typedef struct views {
    floyd_tensor q, k1, v1, k2, v2, mask, y, max, sum;
    floyd_options options;
    double scale;
} views;

static views views_of(const attention *a)
{
    views v = {.options = FLOYD_OPTIONS_INIT, .scale = 1 / sqrt(2.0 * a->D)};
    v.options.threads = a->threads;
    v.q = part(a, a->qkv, QUERY);
    v.k1 = part(a, a->qkv, KEY1);
    v.v1 = part(a, a->qkv, VALUE1);
    v.k2 = part(a, a->qkv, KEY2);
    v.v2 = part(a, a->qkv, VALUE2);
    /* [B,N] as [B,1,1,1,K]: the same pivots are padding for every head and pair of a graph. */
    v.mask = floyd_contiguous((uint8_t *)a->padding, FLOYD_U8, a->B, 1, 1, 1, a->N);
    v.y = pairs(a, a->y);
    v.max = row_values(a, a->max);
    v.sum = row_values(a, a->sum);
    return v;
}

static void reserve(attention_scratch *scratch, size_t bytes)
{
    if (bytes <= scratch->bytes) return;
    free(scratch->memory);
    scratch->memory = malloc(bytes);
    scratch->bytes = bytes;
    if (scratch->memory) return;
    fprintf(stderr, "out of memory: %zu bytes of workspace\n", bytes);
    exit(3);
}

void attention_scratch_free(attention_scratch *scratch)
{
    free(scratch->memory);
    scratch->memory = NULL;
    scratch->bytes = 0;
}

void attention_forward(const attention *a, attention_scratch *scratch)
{
    const views v = views_of(a);
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    args.scale = v.scale;
    args.q = &v.q, args.k1 = &v.k1, args.v1 = &v.v1, args.k2 = &v.k2, args.v2 = &v.v2, args.mask = &v.mask;
    args.y = &v.y, args.max = &v.max, args.sum = &v.sum;

    size_t bytes = 0;
    must(floyd_forward_workspace(&args, &v.options, &bytes));
    reserve(scratch, bytes);
    must(floyd_forward(&args, &v.options, scratch->memory, bytes));
}

void attention_backward(const attention *a, attention_scratch *scratch)
{
    const views v = views_of(a);
    const floyd_tensor dy = pairs(a, a->dy), dq = part(a, a->dqkv, QUERY);
    const floyd_tensor dk1 = part(a, a->dqkv, KEY1), dv1 = part(a, a->dqkv, VALUE1);
    const floyd_tensor dk2 = part(a, a->dqkv, KEY2), dv2 = part(a, a->dqkv, VALUE2);

    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    args.scale = v.scale;
    args.q = &v.q, args.k1 = &v.k1, args.v1 = &v.v1, args.k2 = &v.k2, args.v2 = &v.v2, args.mask = &v.mask;
    args.mask_rule = FLOYD_MASK_ZERO_GRAD;
    args.y = &v.y, args.max = &v.max, args.sum = &v.sum, args.dy = &dy;
    args.dq = &dq, args.dk1 = &dk1, args.dv1 = &dv1, args.dk2 = &dk2, args.dv2 = &dv2;

    size_t bytes = 0;
    must(floyd_backward_workspace(&args, &v.options, &bytes));
    reserve(scratch, bytes);
    must(floyd_backward(&args, &v.options, scratch->memory, bytes));
}
