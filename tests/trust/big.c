/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only large problems show: tensors of more than 2^31 elements, a workspace of more than 4 GiB, axes of 2^20,
 * and strides beyond 32 bits. Elements at the ends, round the places where 31 and 32 bits end, and at random, are
 * judged by sampled.h; every element must have been written.
 *
 * The large inputs are views of one "ocean" of random values, forwards and backwards; other inputs have stride 0,
 * and gradients that are not looked at are not asked for: so all of it stays below 16 GiB.
 */
#define _GNU_SOURCE
#include "cmocka_all.h"

#include "check.h"
#include "floyd_reference.h"
#include "machine.h"
#include "sampled.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static const double gib = 1024.0 * 1024 * 1024, most_gib = 16;
static int threads = 1;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static int refuse_without_memory(double needed)
{
    const double there = available_kilobytes() / 1048576;
    if (there >= needed) return 0;
    fprintf(stderr, "big: %.1f GiB of free memory are needed now, and there are %.1f\n", needed, there);
    return 1;
}

/* Somebody else may have taken memory since the program began: rather stop than have the system choose whom. */
static void *take(size_t bytes)
{
    if ((double)bytes > gib && refuse_without_memory((double)bytes / gib + 0.5)) exit(3);
    void *memory =
        mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fail_msg("the system does not give %.1f GiB of address space", (double)bytes / gib);
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

static size_t bytes_of(const floyd_tensor *t)
{
    return (size_t)tensor_count(t) * floyd_dtype_size(t->dtype);
}

/* Multiples of 1/64 from -2 up to 2: exact in every type. */
static double value_of(unsigned byte)
{
    return ((double)byte - 128) / 64;
}

static uint64_t scramble(uint64_t x)
{
    x = (x + 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 29)) * 0x94D049BB133111EBu;
    return x ^ (x >> 32);
}

static void fill(floyd_dtype dtype, void *to, int64_t count, uint64_t seed)
{
    float table[256];
    uint16_t halves[256];
    for (unsigned i = 0; i < 256; i++) {
        table[i] = (float)value_of(i);
        halves[i] = dtype == FLOYD_F16 ? floyd_reference_to_f16(value_of(i)) : floyd_reference_to_bf16(value_of(i));
    }
    for (int64_t i = 0; i < count; i += 8) {
        uint64_t bits = scramble(seed << 40 ^ (uint64_t)i);
        for (int64_t j = i; j < i + 8 && j < count; j++, bits >>= 8) {
            if (dtype == FLOYD_F32)
                ((float *)to)[j] = table[bits & 255];
            else if (dtype == FLOYD_U8)
                ((unsigned char *)to)[j] = (bits & 255) < 64;
            else
                ((uint16_t *)to)[j] = halves[bits & 255];
        }
    }
}

/* ---- problems -------------------------------------------------------------------------------------- */

static void place(problem *p, enum role r, floyd_dtype dtype, void *data)
{
    int64_t z[5];
    role_size(&p->s, r, z);
    p->t[r].view = floyd_contiguous(data, dtype, z[0], z[1], z[2], z[3], z[4]);
    p->t[r].block = data;
}

/* Memory of its own: an input that is filled, or a poisoned output. */
static void own(problem *p, enum role r, floyd_dtype dtype)
{
    place(p, r, dtype, p);
    floyd_tensor *t = &p->t[r].view;
    p->t[r].bytes = bytes_of(t);
    p->t[r].block = t->data = take(p->t[r].bytes);
    if ((FORWARD_OUTPUTS | GRADIENTS) >> r & 1)
        memset(t->data, POISON, p->t[r].bytes);
    else
        fill(dtype, t->data, tensor_count(t), r);
}

/* One value for all elements, stride 0 everywhere. */
static void same(problem *p, enum role r, floyd_dtype dtype, double value)
{
    static const int64_t first[5];
    place(p, r, dtype, take(64));
    memset(p->t[r].view.stride, 0, sizeof p->t[r].view.stride);
    p->t[r].bytes = 64;
    tensor_set(&p->t[r].view, first, value);
}

enum { SIDE = 4099, HEAD = 128 }; /* SIDE * SIDE * HEAD = 2^31 + 3146880 */

/* The ocean, of which the tensor sees the beginning or, backwards, the end. */
static struct {
    uint16_t *data;
    int64_t count;
} ocean;

static void view_ocean(problem *p, enum role r, int backwards)
{
    if (!ocean.data) {
        ocean.count = (int64_t)SIDE * SIDE * HEAD + 2000003;
        ocean.data = take((size_t)ocean.count * sizeof *ocean.data);
        fill(FLOYD_BF16, ocean.data, ocean.count, 99);
    }
    place(p, r, FLOYD_BF16, ocean.data);
    floyd_tensor *t = &p->t[r].view;
    if (tensor_count(t) > ocean.count) fail_msg("the ocean is too small for %s", role_names[r]);
    if (!backwards) return;
    t->data = ocean.data + ocean.count - 1;
    for (int a = 0; a < 5; a++) t->stride[a] = -t->stride[a];
}

static void drain(problem *p)
{
    for (int r = 0; r < ROLES; r++)
        if (p->t[r].bytes) munmap(p->t[r].block, p->t[r].bytes);
    memset(p->t, 0, sizeof p->t);
}

static problem empty_problem(int64_t N, int64_t M, int64_t K, int64_t D, floyd_dtype dtype)
{
    problem p;
    memset(&p, 0, sizeof p);
    p.s = spec_of(1, 1, N, M, K, D);
    p.s.dtype = dtype;
    p.s.threads = threads;
    return p;
}

/* ---- running and judging --------------------------------------------------------------------------- */

static void run(problem *p, int backward)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_forward_args forward = forward_args(p, FORWARD_OUTPUTS);
    const floyd_backward_args gradients = backward_args(p, GRADIENTS);
    size_t bytes = 0;
    options.threads = p->s.threads;
    floyd_status status = backward ? floyd_backward_workspace(&gradients, &options, &bytes)
                                   : floyd_forward_workspace(&forward, &options, &bytes);
    if (status != FLOYD_OK) fail_msg("workspace: %s", floyd_last_message());
    void *workspace = take(bytes);
    const double start = seconds();
    status = backward ? floyd_backward(&gradients, &options, workspace, bytes)
                      : floyd_forward(&forward, &options, workspace, bytes);
    if (status != FLOYD_OK) fail_msg("%s", floyd_last_message());
    printf("  %-8s %6.1f s, workspace %.3f GiB\n", backward ? "backward" : "forward", seconds() - start,
           (double)bytes / gib);
    fflush(stdout);
    munmap(workspace, bytes);
}

/* Poison is a NaN that the library never writes. */
static int64_t first_unwritten(const floyd_tensor *t)
{
    const int64_t count = tensor_count(t);
    for (int64_t i = 0; i < count; i++) {
        if (t->dtype == FLOYD_F32 && ((const uint32_t *)t->data)[i] == UINT32_MAX) return i;
        if (t->dtype != FLOYD_F32 && ((const uint16_t *)t->data)[i] == UINT16_MAX) return i;
    }
    return -1;
}

/* Number i of the elements that are judged: the ends, both sides of 2^31, 2^32 and 2^30 (bytes of halves and
 * singles), and random. */
static int64_t sample_place(const floyd_tensor *t, int i)
{
    const int64_t count = tensor_count(t), edge = INT64_C(1) << (29 + i / 2 % 4);
    if (i == 0 || i == 1) return i ? count - 1 : 0;
    if (i < 10) return (edge - i % 2) % count;
    return (int64_t)(draw_uniform(count, (uint64_t)i) * (double)count);
}

/* How many, by what one of them takes. */
static int samples_of(const problem *p, enum role r)
{
    const spec *s = &p->s;
    const int64_t terms = r == T_DBIAS               ? 1
                          : r == T_DK1 || r == T_DV1 ? s->M
                          : r == T_DK2 || r == T_DV2 ? s->N
                                                     : s->K;
    return terms > 100000 ? 6 : 48;
}

static void judge(const problem *p, enum role r)
{
    const floyd_tensor *t = &p->t[r].view;
    const int samples = samples_of(p, r);
    double worst = 0;
    const int64_t unwritten = first_unwritten(t);
    if (unwritten >= 0) fail_msg("element %lld of %s was not written", (long long)unwritten, role_names[r]);
    for (int i = 0; i < samples; i++) {
        int64_t index[5], rest = sample_place(t, i);
        for (int a = 4; a >= 0; rest /= t->size[a], a--) index[a] = rest % t->size[a];
        const sample want = sampled(p, r, index);
        const double got = tensor_get(t, index), error = fabs(got - want.value);
        if (!(error <= want.allowed))
            fail_msg("%s[%lld,%lld,%lld] is %.9g, not %.9g; allowed is %.3g", role_names[r], (long long)index[2],
                     (long long)index[3], (long long)index[4], got, want.value, want.allowed);
        worst = fmax(worst, error / want.allowed);
    }
    printf("  %-5s %11lld elements, %5.2f GiB: all written; %d judged, the worst at %.2f of what is allowed\n",
           role_names[r], (long long)tensor_count(t), (double)bytes_of(t) / gib, samples, worst);
    fflush(stdout);
}

static void judge_all(const problem *p, unsigned roles)
{
    for (int r = 0; r < ROLES; r++)
        if ((roles >> r & 1) && p->t[r].block) judge(p, (enum role)r);
}

/* ---- more than 2^31 elements ------------------------------------------------------------------------ */

static void edges(problem *p)
{
    own(p, T_K1, FLOYD_BF16), own(p, T_V1, FLOYD_BF16), own(p, T_K2, FLOYD_BF16), own(p, T_V2, FLOYD_BF16);
}

/* A softmax that somebody else has computed: max and sum are never assumed to be consistent. */
static void given_softmax(problem *p)
{
    same(p, T_MAX, FLOYD_F32, 3), same(p, T_SUM, FLOYD_F32, 5);
}

static void test_pairs_forward(void **state)
{
    (void)state;
    problem p = empty_problem(SIDE, SIDE, 5, HEAD, FLOYD_BF16);
    printf("Q and Y of more than 2^31 elements, bf16\n");
    view_ocean(&p, T_Q, 0);
    edges(&p);
    own(&p, T_Y, FLOYD_BF16), own(&p, T_MAX, FLOYD_F32), own(&p, T_SUM, FLOYD_F32);
    run(&p, 0);
    judge_all(&p, FORWARD_OUTPUTS);
    drain(&p);
}

/* dq in bf16 is summed in the workspace, of which half as many pairs need more than 4 GiB. */
static void pairs_backward(floyd_dtype dtype)
{
    problem p = empty_problem(SIDE, dtype == FLOYD_F32 ? SIDE : SIDE / 2 + 50, 5, HEAD, FLOYD_BF16);
    printf("%s\n", dtype == FLOYD_F32 ? "Q, dY and dQ of more than 2^31 elements, bf16, dQ fp32"
                                      : "dQ bf16, summed in a workspace of more than 4 GiB");
    p.s.wide = GRADIENTS;
    view_ocean(&p, T_Q, 0), view_ocean(&p, T_DY, 1);
    edges(&p), given_softmax(&p);
    same(&p, T_Y, FLOYD_BF16, 0.25);
    own(&p, T_DQ, dtype);
    for (int r = T_DK1; dtype == FLOYD_F32 && r <= T_DV2; r++) own(&p, (enum role)r, FLOYD_F32);
    run(&p, 1);
    judge_all(&p, GRADIENTS);
    drain(&p);
}

static void test_pairs_backward(void **state)
{
    (void)state;
    pairs_backward(FLOYD_F32);
    pairs_backward(FLOYD_BF16);
}

/* k and v: the edges that are large, on the first side or on the second. */
static void edges_backward(enum role k, enum role v, enum role gradient)
{
    const int second = k == T_K2;
    problem p = empty_problem(second ? 5 : SIDE, second ? SIDE : 5, SIDE, HEAD, FLOYD_BF16);
    printf("%s, %s and %s of more than 2^31 elements, bf16 and fp32\n", role_names[k], role_names[v],
           role_names[gradient]);
    own(&p, T_Q, FLOYD_BF16), own(&p, T_DY, FLOYD_BF16);
    /* The other side's are small. */
    own(&p, second ? T_K1 : T_K2, FLOYD_BF16), own(&p, second ? T_V1 : T_V2, FLOYD_BF16);
    view_ocean(&p, k, 0), view_ocean(&p, v, 1), given_softmax(&p);
    same(&p, T_Y, FLOYD_BF16, 0.25);
    own(&p, gradient, FLOYD_F32);
    run(&p, 1);
    judge_all(&p, GRADIENTS);
    drain(&p);
}

static void test_edges_backward(void **state)
{
    (void)state;
    edges_backward(T_K1, T_V1, T_DK1);
    edges_backward(T_K2, T_V2, T_DV2);
}

/* ---- everything that a problem may have ------------------------------------------------------------- */

static floyd_dtype dtype_of(const spec *s, enum role r)
{
    if (r == T_MASK) return FLOYD_U8;
    return r == T_MAX || r == T_SUM || r == T_DBIAS || (s->wide >> r & 1) ? FLOYD_F32 : s->dtype;
}

static int is_there(const spec *s, enum role r)
{
    return r == T_MASK ? s->mask != MASK_NONE : r == T_BIAS ? s->bias != BIAS_NONE : r != T_DBIAS || s->dbias;
}

/* The first pivot of every row is live. */
static void own_mask(problem *p)
{
    own(p, T_MASK, FLOYD_U8);
    const floyd_tensor *t = &p->t[T_MASK].view;
    const int64_t length = t->size[4];
    for (int64_t at = 0; at < tensor_count(t); at += length) ((unsigned char *)t->data)[at] = 0;
}

static void both_passes(problem *p)
{
    for (int r = T_Q; r < ROLES; r++) {
        if (p->t[r].block || !is_there(&p->s, (enum role)r)) continue;
        if (r == T_MASK)
            own_mask(p);
        else
            own(p, (enum role)r, dtype_of(&p->s, (enum role)r));
    }
    run(p, 0);
    judge_all(p, FORWARD_OUTPUTS);
    run(p, 1);
    judge_all(p, GRADIENTS);
    drain(p);
}

static void test_scores(void **state)
{
    enum { CUBE = 1291 };
    (void)state;
    problem p = empty_problem(CUBE, CUBE, CUBE, 3, FLOYD_BF16);
    printf("mask, bias and dbias of more than 2^31 elements, uint8, bf16 and fp32\n");
    add_extras(&p.s, BIAS | DBIAS);
    p.s.mask = MASK_RANDOM, p.s.mask_axes = AXES_FULL;
    view_ocean(&p, T_BIAS, 0);
    both_passes(&p);
}

/* ---- long axes -------------------------------------------------------------------------------------- */

static void long_axis(int64_t N, int64_t M, int64_t K, int extras)
{
    problem p = empty_problem(N, M, K, 8, extras ? FLOYD_F32 : FLOYD_BF16);
    printf("N %lld, M %lld, K %lld, %s\n", (long long)N, (long long)M, (long long)K,
           extras ? "fp32, with mask, bias and dropout" : "bf16, gradients fp32");
    p.s.wide = GRADIENTS;
    if (extras) add_extras(&p.s, BIAS | DBIAS | DROPOUT), p.s.mask = MASK_RANDOM;
    both_passes(&p);
}

enum { LONG = 1 << 20 };

static void test_long_m(void **state)
{
    (void)state;
    long_axis(3, LONG, 7, 1);
    long_axis(3, LONG + 1, 8, 0);
}

static void test_long_k(void **state)
{
    (void)state;
    long_axis(3, 5, LONG, 0);
    long_axis(2, 8, LONG + 1, 1);
}

static void test_long_n(void **state)
{
    (void)state;
    long_axis(LONG + 1, 3, 5, 1);
}

/* ---- strides beyond 32 bits -------------------------------------------------------------------------- */

/* Steps along this axis are of 2^32 elements and more; the rest is contiguous. Untouched pages cost nothing. */
static tensor far_copy(const tensor *from, int axis, int backwards)
{
    const int64_t far = (INT64_C(1) << 32) + 77, width = (int64_t)floyd_dtype_size(from->view.dtype);
    const int64_t last = (from->view.size[axis] - 1) * far;
    tensor t = *from;
    int64_t inner = 1, index[5] = {0};
    for (int a = 4; a >= 0; a--) {
        if (a == axis) continue;
        t.view.stride[a] = inner;
        inner *= t.view.size[a];
    }
    t.view.stride[axis] = backwards ? -far : far;
    t.bytes = (size_t)((last + inner) * width);
    t.block = mmap(NULL, t.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t.block == MAP_FAILED)
        fail_msg("the system does not give %.0f GiB of address space", (double)t.bytes / gib);
    t.view.data = t.block + (backwards ? last * width : 0);
    do tensor_set(&t.view, index, tensor_get(&from->view, index));
    while (tensor_next(&t.view, index));
    return t;
}

static void far_apart(spec s, int axis, int backwards)
{
    problem near = problem_new(&s), far = near;
    for (int r = 0; r < ROLES; r++)
        if (near.t[r].block) far.t[r] = far_copy(&near.t[r], axis, backwards);
    run_forward(&near);
    check_forward(&near);
    run_backward(&near);
    check_backward(&near);
    const floyd_forward_args forward = forward_args(&far, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(&far, GRADIENTS);
    assert_int_equal(run_forward_args(&forward, NULL), FLOYD_OK);
    assert_int_equal(run_backward_args(&backward, NULL), FLOYD_OK);
    expect_same_bits(&near, &far, FORWARD_OUTPUTS | GRADIENTS, "strides beyond 32 bits");
    for (int r = 0; r < ROLES; r++)
        if (far.t[r].block) munmap(far.t[r].block, far.t[r].bytes);
    problem_free(&near);
}

static void test_strides(void **state)
{
    int problems = 0;
    (void)state;
    for (int axis = 0; axis < 5; axis++)
        for (int backwards = 0; backwards < 2; backwards++)
            for (int dtype = 0; dtype < 4; dtype++, problems++) {
                /* More than a tile of every axis, so that tiles begin far away, too. */
                spec s = axis < 2 ? spec_of(2, 2, 3, 5, 6, 19) : spec_of(1, 1, 30, 30, 55, 5);
                add_extras(&s, EXTRAS);
                s.dtype = (floyd_dtype)dtype;
                s.mask = MASK_RANDOM, s.mask_axes = AXES_FULL;
                far_apart(s, axis, backwards);
            }
    printf("strides of 2^32 + 77 elements, either way, along each axis of every tensor\n"
           "  %d problems, forward and backward: the bits of contiguous ones, which the reference judges\n",
           problems);
}

/* ---- all --------------------------------------------------------------------------------------------- */

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_strides),        cmocka_unit_test(test_scores),
                                       cmocka_unit_test(test_pairs_backward), cmocka_unit_test(test_edges_backward),
                                       cmocka_unit_test(test_pairs_forward),  cmocka_unit_test(test_long_m),
                                       cmocka_unit_test(test_long_k),         cmocka_unit_test(test_long_n)};
    const char *wanted = getenv("FLOYDATTN_BIG_ONLY");
    const double start = seconds();
    threads = floyd_default_threads();
    print_machine();
    if (refuse_without_memory(most_gib)) return 3;
    if (wanted && *wanted) cmocka_set_test_filter(wanted);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    const double peak = status_kilobytes("VmHWM:") / 1048576;
    printf("%.0f s with %d threads; at most %.1f GiB resident\n", seconds() - start, threads, peak);
    return failed || peak > most_gib;
}
