/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed of the operator, as a share of the FMA peak measured in the same process.
 *
 *   floyd_speed [--shape B,H,N,M,K,D] [--dtype f32|f64|f16|bf16] [--threads T] [--repeat R] [--heads-last]
 *
 * --heads-last lays tensors out as [B,N,M,H,D], as models that split the channels of a layer do. Without --shape it
 * runs the sizes that the project quotes. Every case first checks a sample of elements of each output against the
 * reference. Prints minimum and median over the repeats; peak is measured before and after, and the higher of the
 * two counts.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "floyd_reference.h"
#include "floydattn.h"
#include "fma_peak.h"

enum { Q, K1, V1, K2, V2, DY, Y, DQ, DK1, DV1, DK2, DV2, TENSORS };

typedef struct problem {
    int64_t B, H, N, M, K, D;
    floyd_dtype dtype;
    int threads, heads_last;
    floyd_tensor t[TENSORS], max, sum;
    double *exact[TENSORS], *exact_max, *exact_sum; /* the operands, widened, for the reference */
    double scale;
} problem;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *must(void *pointer)
{
    if (pointer) return pointer;
    fprintf(stderr, "floyd_speed: out of memory\n");
    exit(3);
}

static void check(floyd_status status)
{
    if (status == FLOYD_OK) return;
    fprintf(stderr, "floyd_speed: %s: %s\n", floyd_status_name(status), floyd_last_message());
    exit(1);
}

static double normal(void)
{
    static uint64_t state = 88172645463325252u;
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        sum += (double)(state >> 11) * 0x1p-53;
    }
    return sum;
}

/* Where element i lies, counted in the order of the axes. */
static int64_t offset(const floyd_tensor *t, int64_t i)
{
    int64_t at = 0;
    for (int axis = 4; axis >= 0; axis--) at += i % t->size[axis] * t->stride[axis], i /= t->size[axis];
    return at;
}

static double load(const floyd_tensor *t, int64_t i)
{
    i = offset(t, i);
    switch (t->dtype) {
    case FLOYD_F64:
        return ((double *)t->data)[i];
    case FLOYD_F16:
        return floyd_reference_from_f16(((uint16_t *)t->data)[i]);
    case FLOYD_BF16:
        return floyd_reference_from_bf16(((uint16_t *)t->data)[i]);
    default:
        return (double)((float *)t->data)[i];
    }
}

static void store(floyd_tensor *t, int64_t i, double value)
{
    i = offset(t, i);
    switch (t->dtype) {
    case FLOYD_F64:
        ((double *)t->data)[i] = value;
        break;
    case FLOYD_F16:
        ((uint16_t *)t->data)[i] = floyd_reference_to_f16(value);
        break;
    case FLOYD_BF16:
        ((uint16_t *)t->data)[i] = floyd_reference_to_bf16(value);
        break;
    default:
        ((float *)t->data)[i] = (float)value;
    }
}

static int64_t count(const floyd_tensor *t)
{
    return t->size[0] * t->size[1] * t->size[2] * t->size[3] * t->size[4];
}

static floyd_tensor make(floyd_dtype dtype, int64_t b, int64_t h, int64_t x, int64_t y, int64_t d)
{
    const size_t bytes = (size_t)(b * h * x * y * d) * floyd_dtype_size(dtype);
    return floyd_contiguous(must(aligned_alloc(64, (bytes + 63) / 64 * 64)), dtype, b, h, x, y, d);
}

/* The same elements in memory that is ordered [b][x][y][h][d]. */
static void put_heads_last(floyd_tensor *t)
{
    const int64_t h = t->size[1], x = t->size[2], y = t->size[3], d = t->size[4];
    const int64_t stride[5] = {x * y * h * d, d, y * h * d, h * d, 1};
    memcpy(t->stride, stride, sizeof stride);
}

static double *widen(const floyd_tensor *t)
{
    double *wide = must(malloc((size_t)count(t) * sizeof *wide));
    for (int64_t i = 0; i < count(t); i++) wide[i] = load(t, i);
    return wide;
}

static void set_up(problem *p)
{
    const floyd_dtype stats = p->dtype == FLOYD_F64 ? FLOYD_F64 : FLOYD_F32;
    p->scale = 1 / sqrt(2.0 * (double)(p->D ? p->D : 1));
    for (int i = 0; i < TENSORS; i++) {
        const int pair = i == Q || i == DY || i == Y || i == DQ, left = i == K1 || i == V1 || i == DK1 || i == DV1;
        p->t[i] = make(p->dtype, p->B, p->H, pair || left ? p->N : p->K, left ? p->K : p->M, p->D);
        if (p->heads_last) put_heads_last(&p->t[i]);
        if (i > DY) continue;
        for (int64_t e = 0; e < count(&p->t[i]); e++) store(&p->t[i], e, normal());
        p->exact[i] = widen(&p->t[i]);
    }
    p->max = make(stats, p->B, p->H, p->N, p->M, 1);
    p->sum = make(stats, p->B, p->H, p->N, p->M, 1);
}

static void tear_down(problem *p)
{
    for (int i = 0; i < TENSORS; i++) {
        free(p->t[i].data);
        free(p->exact[i]);
    }
    free(p->max.data), free(p->sum.data), free(p->exact_max), free(p->exact_sum);
}

/* ---- the two calls --------------------------------------------------------------------------------- */

static double forward(const problem *p, void **workspace, size_t *bytes)
{
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = p->threads;
    args.scale = p->scale;
    args.q = &p->t[Q], args.k1 = &p->t[K1], args.v1 = &p->t[V1], args.k2 = &p->t[K2], args.v2 = &p->t[V2];
    args.y = &p->t[Y], args.max = &p->max, args.sum = &p->sum;
    check(floyd_forward_workspace(&args, &options, bytes));
    if (!*workspace) *workspace = must(malloc(*bytes + 1));
    const double start = now();
    check(floyd_forward(&args, &options, *workspace, *bytes));
    return now() - start;
}

static double backward(const problem *p, void **workspace, size_t *bytes)
{
    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = p->threads;
    args.scale = p->scale;
    args.q = &p->t[Q], args.k1 = &p->t[K1], args.v1 = &p->t[V1], args.k2 = &p->t[K2], args.v2 = &p->t[V2];
    args.y = &p->t[Y], args.max = &p->max, args.sum = &p->sum, args.dy = &p->t[DY];
    args.dq = &p->t[DQ], args.dk1 = &p->t[DK1], args.dv1 = &p->t[DV1], args.dk2 = &p->t[DK2], args.dv2 = &p->t[DV2];
    check(floyd_backward_workspace(&args, &options, bytes));
    if (!*workspace) *workspace = must(malloc(*bytes + 1));
    const double start = now();
    check(floyd_backward(&args, &options, *workspace, *bytes));
    return now() - start;
}

/* ---- verification ---------------------------------------------------------------------------------- */

/* The larger error; a NaN stays, which it would not in fmax. */
static double worse(double a, double b)
{
    return a >= b || isnan(a) ? a : b;
}

/* The largest |out - exact| of one vector, in units of the error that its type may show. */
static double distance(const floyd_tensor *t, int64_t at, const double *exact, int64_t D)
{
    const double unit = t->dtype == FLOYD_F64   ? 0x1p-44
                        : t->dtype == FLOYD_F16 ? 0x1p-10
                        : t->dtype == FLOYD_F32 ? 0x1p-16
                                                : 0x1p-7;
    double size = 1e-3, worst = 0;
    for (int64_t d = 0; d < D; d++) size = fmax(size, fabs(exact[d]));
    for (int64_t d = 0; d < D; d++) worst = worse(worst, fabs(load(t, at * D + d) - exact[d]) / (unit * size));
    return worst;
}

/* Every gradient is judged at 8 places spread over the problem. */
static double verify(problem *p)
{
    double worst = 0;
    p->exact[Y] = widen(&p->t[Y]), p->exact_max = widen(&p->max), p->exact_sum = widen(&p->sum);
    const floyd_reference r = {.B = p->B,
                               .H = p->H,
                               .N = p->N,
                               .M = p->M,
                               .K = p->K,
                               .D = p->D,
                               .scale = p->scale,
                               .q = p->exact[Q],
                               .k1 = p->exact[K1],
                               .v1 = p->exact[V1],
                               .k2 = p->exact[K2],
                               .v2 = p->exact[V2],
                               .y = p->exact[Y],
                               .max = p->exact_max,
                               .sum = p->exact_sum,
                               .dy = p->exact[DY]};
    double *a = must(malloc((size_t)(p->D + 1) * 2 * sizeof *a)), *c = a + p->D;
    for (int i = 0; i < 8; i++) {
        const int64_t bh = (p->B * p->H - 1) * i / 7, b = bh / p->H, h = bh % p->H;
        const int64_t n = (p->N - 1) * i / 7, m = (p->M - 1) * (7 - i) / 7, k = (p->K - 1) * (i * 3 % 8) / 7;
        floyd_reference_row(&r, b, h, n, m, a, NULL, NULL);
        worst = worse(worst, distance(&p->t[Y], (bh * p->N + n) * p->M + m, a, p->D));
        floyd_reference_dq(&r, b, h, n, m, a);
        worst = worse(worst, distance(&p->t[DQ], (bh * p->N + n) * p->M + m, a, p->D));
        floyd_reference_dk1_dv1(&r, b, h, n, k, a, c);
        worst = worse(worst, distance(&p->t[DK1], (bh * p->N + n) * p->K + k, a, p->D));
        worst = worse(worst, distance(&p->t[DV1], (bh * p->N + n) * p->K + k, c, p->D));
        floyd_reference_dk2_dv2(&r, b, h, k, m, a, c);
        worst = worse(worst, distance(&p->t[DK2], (bh * p->K + k) * p->M + m, a, p->D));
        worst = worse(worst, distance(&p->t[DV2], (bh * p->K + k) * p->M + m, c, p->D));
    }
    free(a);
    return worst;
}

/* ---- measuring ------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const char *isa_name(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.chosen) return isa.name;
    return "portable";
}

static void report(const char *what, double flops, double *seconds, int repeat, double peak, size_t bytes)
{
    qsort(seconds, (size_t)repeat, sizeof *seconds, by_value);
    const double best = seconds[0], median = seconds[repeat / 2];
    printf("  %-8s min %9.3f ms  median %9.3f ms  %7.1f GFLOP/s  %5.1f %% of peak (median %5.1f %%)  workspace "
           "%.1f MiB\n",
           what, best * 1e3, median * 1e3, flops / best * 1e-9, 100 * flops / best / peak,
           100 * flops / median / peak, (double)bytes / 1048576);
}

static int measure(problem *p, int repeat)
{
    static const char *const names[] = {"f32", "f64", "f16", "bf16"};
    double *times = must(malloc(2 * (size_t)repeat * sizeof *times));
    void *workspace[2] = {NULL, NULL}; /* kept between repeats, as a training loop would */
    size_t bytes[2] = {0};
    set_up(p);
    forward(p, &workspace[0], &bytes[0]);
    backward(p, &workspace[1], &bytes[1]);
    const double wrong = verify(p);
    double peak = floyd_fma_peak(isa_name(), p->dtype == FLOYD_F64, 10);
    for (int r = 0; r < repeat; r++) {
        times[r] = forward(p, &workspace[0], &bytes[0]);
        times[repeat + r] = backward(p, &workspace[1], &bytes[1]);
    }
    peak = fmax(peak, floyd_fma_peak(isa_name(), p->dtype == FLOYD_F64, 10)) * p->threads;
    const double unit = (double)p->B * (double)p->H * (double)p->N * (double)p->M * (double)p->K * (double)p->D;
    printf("%lld,%lld,%lld,%lld,%lld,%lld%s %s, %d thread%s, %s, peak %.1f GFLOP/s, error %.2g of tolerance\n",
           (long long)p->B, (long long)p->H, (long long)p->N, (long long)p->M, (long long)p->K, (long long)p->D,
           p->heads_last ? " heads last" : "", names[p->dtype], p->threads, p->threads == 1 ? "" : "s", isa_name(),
           peak * 1e-9, wrong);
    report("forward", 8 * unit, times, repeat, peak, bytes[0]);
    report("backward", 20 * unit, times + repeat, repeat, peak, bytes[1]);
    fflush(stdout);
    free(workspace[0]), free(workspace[1]);
    free(times);
    tear_down(p);
    return wrong <= 1 ? 0 : 1;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: floyd_speed [--shape B,H,N,M,K,D] [--dtype f32|f64|f16|bf16] [--threads T] [--repeat R] "
            "[--heads-last]\n");
    return 2;
}

static int dtype_of(const char *name, floyd_dtype *dtype)
{
    static const char *const names[] = {"f32", "f64", "f16", "bf16"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) return *dtype = (floyd_dtype)i, 1;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"shape", 1, 0, 's'},      {"dtype", 1, 0, 'd'},
                                            {"threads", 1, 0, 't'},    {"repeat", 1, 0, 'r'},
                                            {"heads-last", 0, 0, 'l'}, {0, 0, 0, 0}};
    static const int64_t standard[][6] = {{1, 1, 128, 128, 128, 64},
                                          {1, 1, 256, 256, 256, 32},
                                          {1, 1, 256, 256, 256, 64},
                                          {1, 1, 256, 256, 256, 128}};
    problem p = {.dtype = FLOYD_F32, .threads = 1};
    int repeat = 5, option, wrong = 0;
    long long s[6] = {0};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's') {
            if (sscanf(optarg, "%lld,%lld,%lld,%lld,%lld,%lld", s, s + 1, s + 2, s + 3, s + 4, s + 5) != 6)
                return usage();
        } else if (option == 'd') {
            if (!dtype_of(optarg, &p.dtype)) return usage();
        } else if (option == 't')
            p.threads = atoi(optarg);
        else if (option == 'r')
            repeat = atoi(optarg);
        else if (option == 'l')
            p.heads_last = 1;
        else
            return usage();
    }
    if (optind < argc || p.threads < 1 || repeat < 1) return usage();
    const int cases = s[0] ? 1 : (int)(sizeof standard / sizeof standard[0]);
    for (int i = 0; i < cases; i++) {
        problem one = p;
        int64_t size[6];
        for (int a = 0; a < 6; a++) size[a] = s[0] ? s[a] : standard[i][a];
        one.B = size[0], one.H = size[1], one.N = size[2], one.M = size[3], one.K = size[4], one.D = size[5];
        wrong |= measure(&one, repeat);
    }
    return wrong;
}
