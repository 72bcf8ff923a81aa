/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of the operator and as little as can be round it, for instructions.py to count the instructions of.
 *
 *   floyd_case forward|backward f32|f64|f16|bf16 NxMxKxD none|random|padding
 *
 * Runs on one thread, and says which kernel ran and what built it. Nothing is verified here: that is the tests'
 * job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "floydattn.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

enum { Q, K1, V1, K2, V2, DY, Y, DQ, DK1, DV1, DK2, DV2, MAX, SUM, TENSORS };

typedef struct problem {
    int N, M, K, D;
    floyd_dtype dtype;
    floyd_tensor t[TENSORS], mask;
    int masked;
} problem;

static int usage(void)
{
    fputs("usage: floyd_case forward|backward f32|f64|f16|bf16 NxMxKxD none|random|padding\n", stderr);
    return 2;
}

static void *must(void *pointer)
{
    if (pointer) return pointer;
    fputs("floyd_case: out of memory\n", stderr);
    exit(3);
}

static void check(floyd_status status)
{
    if (status == FLOYD_OK) return;
    fprintf(stderr, "floyd_case: %s: %s\n", floyd_status_name(status), floyd_last_message());
    exit(1);
}

static int64_t count(const floyd_tensor *t)
{
    return t->size[2] * t->size[3] * t->size[4];
}

static floyd_tensor make(floyd_dtype dtype, int64_t x, int64_t y, int64_t d)
{
    const size_t bytes = (size_t)(x * y * d) * floyd_dtype_size(dtype);
    return floyd_contiguous(must(aligned_alloc(64, (bytes + 63) / 64 * 64)), dtype, 1, 1, x, y, d);
}

static uint32_t next(void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    return state;
}

/* A random sign, mantissa and one of four exponents, written as bits: magnitudes of 1/16 up to 1 in every type. */
static void fill(floyd_tensor *t)
{
    for (int64_t i = 0; i < count(t); i++) {
        const uint32_t r = next(), sign = r >> 31, low = r & 3;
        if (t->dtype == FLOYD_F64)
            ((uint64_t *)t->data)[i] = (uint64_t)sign << 63 | (uint64_t)(1022 - low) << 52 | (uint64_t)r << 20;
        else if (t->dtype == FLOYD_F32)
            ((uint32_t *)t->data)[i] = sign << 31 | (126 - low) << 23 | (r >> 8 & 0x7fffff);
        else if (t->dtype == FLOYD_F16)
            ((uint16_t *)t->data)[i] = (uint16_t)(sign << 15 | (14 - low) << 10 | (r >> 8 & 0x3ff));
        else
            ((uint16_t *)t->data)[i] = (uint16_t)(sign << 15 | (126 - low) << 7 | (r >> 8 & 0x7f));
    }
}

/* [1,1,N,1,K]: one place in four, or the last third of every row. */
static void make_mask(problem *p, const char *kind)
{
    p->masked = strcmp(kind, "none") != 0;
    p->mask = make(FLOYD_U8, p->N, 1, p->K);
    for (int64_t i = 0; i < count(&p->mask); i++)
        ((uint8_t *)p->mask.data)[i] =
            (uint8_t)(strcmp(kind, "random") == 0 ? (next() >> 8) % 4 == 0 : i % p->K >= p->K - p->K / 3);
}

static void set_up(problem *p, const char *mask)
{
    const floyd_dtype stats = p->dtype == FLOYD_F64 ? FLOYD_F64 : FLOYD_F32;
    for (int i = 0; i < MAX; i++) {
        const int left = i == K1 || i == V1 || i == DK1 || i == DV1;
        const int right = i == K2 || i == V2 || i == DK2 || i == DV2;
        p->t[i] = make(p->dtype, right ? p->K : p->N, left ? p->K : p->M, p->D);
        if (i <= DY) fill(&p->t[i]);
    }
    p->t[MAX] = make(stats, p->N, p->M, 1), p->t[SUM] = make(stats, p->N, p->M, 1);
    make_mask(p, mask);
}

static void forward(const problem *p, const floyd_options *options)
{
    const floyd_tensor *t = p->t;
    floyd_forward_args a = FLOYD_FORWARD_ARGS_INIT;
    a.scale = 0.125, a.mask = p->masked ? &p->mask : NULL;
    a.q = &t[Q], a.k1 = &t[K1], a.v1 = &t[V1], a.k2 = &t[K2], a.v2 = &t[V2];
    a.y = &t[Y], a.max = &t[MAX], a.sum = &t[SUM];
    size_t bytes;
    check(floyd_forward_workspace(&a, options, &bytes));
    void *workspace = must(malloc(bytes + 1));
    check(floyd_forward(&a, options, workspace, bytes));
    free(workspace);
}

static void backward(const problem *p, const floyd_options *options)
{
    const floyd_tensor *t = p->t;
    floyd_backward_args a = FLOYD_BACKWARD_ARGS_INIT;
    a.scale = 0.125, a.mask = p->masked ? &p->mask : NULL;
    a.q = &t[Q], a.k1 = &t[K1], a.v1 = &t[V1], a.k2 = &t[K2], a.v2 = &t[V2];
    a.y = &t[Y], a.max = &t[MAX], a.sum = &t[SUM], a.dy = &t[DY];
    a.dq = &t[DQ], a.dk1 = &t[DK1], a.dv1 = &t[DV1], a.dk2 = &t[DK2], a.dv2 = &t[DV2];
    size_t bytes;
    check(floyd_backward_workspace(&a, options, &bytes));
    void *workspace = must(malloc(bytes + 1));
    check(floyd_backward(&a, options, workspace, bytes));
    free(workspace);
}

static int parse(problem *p, char **words)
{
    static const char *const names[] = {
        [FLOYD_F32] = "f32", [FLOYD_F64] = "f64", [FLOYD_F16] = "f16", [FLOYD_BF16] = "bf16"};
    int dtype = 0, end = 0;
    while (dtype < 4 && strcmp(words[2], names[dtype]) != 0) dtype++;
    p->dtype = (floyd_dtype)dtype;
    return dtype < 4 && (strcmp(words[1], "forward") == 0 || strcmp(words[1], "backward") == 0) &&
           sscanf(words[3], "%dx%dx%dx%d%n", &p->N, &p->M, &p->K, &p->D, &end) == 4 && !words[3][end] && p->N > 0 &&
           p->M > 0 && p->K > 0 && p->D > 0 &&
           (strcmp(words[4], "none") == 0 || strcmp(words[4], "random") == 0 || strcmp(words[4], "padding") == 0);
}

static void say_what_ran(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.chosen) printf("%s\n", isa.name);
    puts(COMPILER ", " FLOYD_BUILD_TYPE);
}

int main(int words_count, char **words)
{
    problem p = {0};
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = 1;
    if (words_count != 5 || !parse(&p, words)) return usage();
    set_up(&p, words[4]);
    forward(&p, &options);
    if (strcmp(words[1], "backward") == 0) backward(&p, &options);
    say_what_ran();
    for (int i = 0; i < TENSORS; i++) free(p.t[i].data);
    free(p.mask.data);
    return 0;
}
