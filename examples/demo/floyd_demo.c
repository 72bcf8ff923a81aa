/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator at the size that the vendor documents, (B,H,N,M,K,D) = (1,1,256,256,256,128) in fp16, forward and
 * gradient: how fast, in how much memory, how exact. Each answer beside what it should be held against: the FMA
 * peak measured in this process, the buffers an unfused program would need, half an ulp of fp16.
 */
#include "accuracy.h"
#include "fma_peak.h"
#include "util.h"

#include <getopt.h>
#include <string.h>
#include <sys/resource.h>

enum { RUNS = 3, POSITIONS = 32, PEAK_REPEATS = 20 };

static const double MIB = 1024.0 * 1024.0;

typedef struct settings {
    int64_t sizes[6];
    int threads;
} settings;

/* ---- Options ------------------------------------------------------------------------------------- */

static const char HELP[] = "Usage: floyd_demo [options]\n"
                           "Runs Floyd attention and its gradient in fp16 on random operands and reports speed,\n"
                           "memory and error.\n\n"
                           "  --shape B,H,N,M,K,D   sizes, each at least 1 (default 1,1,256,256,256,128)\n"
                           "  --threads N           threads (default: as many as the library would use)\n"
                           "  --help                this text\n";

static void refuse(const char *option, const char *words)
{
    fprintf(stderr, "floyd_demo: %s cannot be \"%s\"; see --help\n", option, words);
    exit(2);
}

static settings parse(int argc, char **argv)
{
    static const struct option options[] = {{"shape", required_argument, NULL, 's'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    settings s = {{1, 1, 256, 256, 256, 128}, floyd_default_threads()};
    char rest;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        int sizes[6];
        if (option == 's') {
            const int found = sscanf(optarg, "%d,%d,%d,%d,%d,%d%c", &sizes[0], &sizes[1], &sizes[2], &sizes[3],
                                     &sizes[4], &sizes[5], &rest);
            if (found != 6) refuse("--shape", optarg);
            for (int i = 0; i < 6; i++) {
                if (sizes[i] < 1) refuse("--shape", optarg);
                s.sizes[i] = sizes[i];
            }
        }
        if (option == 't' && (sscanf(optarg, "%d%c", &s.threads, &rest) != 1 || s.threads < 1)) {
            refuse("--threads", optarg);
        }
        if (option == 'h') {
            fputs(HELP, stdout);
            exit(0);
        }
        if (option == '?') exit(2);
    }
    if (optind < argc) refuse("an argument", argv[optind]);
    return s;
}

/* ---- Speed --------------------------------------------------------------------------------------- */

static const char *chosen_isa(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++) {
        if (isa.chosen) return isa.name;
    }
    fprintf(stderr, "floyd_demo: FLOYDATTN_ISA names no instruction set that runs here\n");
    exit(3);
}

static double best_time(void (*run)(const problem *), const problem *p)
{
    double best = 0;
    for (int i = 0; i < RUNS; i++) {
        const double start = seconds();
        run(p);
        const double spent = seconds() - start;
        if (i == 0 || spent < best) best = spent;
    }
    return best;
}

static void show_speed(const char *name, double time, double flops, double peak)
{
    printf("  %-10s %10.1f ms %10.1f GFLOP/s %8.1f %% of the FMA peak\n", name, 1e3 * time, 1e-9 * flops / time,
           100 * flops / time / peak);
}

static void report_speed(const problem *p)
{
    const char *isa = chosen_isa();
    const double one = floyd_fma_peak(isa, 0, PEAK_REPEATS), peak = one * p->options.threads;
    const double work = (double)p->B * (double)p->H * (double)p->N * (double)p->M * (double)p->K * (double)p->D;
    printf("\nSpeed, best of %d runs, %d thread%s (FMA peak of %s measured here: %.1f GFLOP/s a thread)\n", RUNS,
           p->options.threads, p->options.threads == 1 ? "" : "s", isa, 1e-9 * one);
    show_speed("forward", best_time(problem_forward, p), 8 * work, peak);
    show_speed("gradient", best_time(problem_backward, p), 20 * work, peak);
}

/* ---- Memory -------------------------------------------------------------------------------------- */

static double peak_resident(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1024.0 * (double)usage.ru_maxrss;
}

/* What a program that computes step by step holds at once in the gradient: P from the forward, dP and dS. */
static double unfused_bytes(const problem *p)
{
    return 3.0 * 4 * (double)p->B * (double)p->H * (double)p->N * (double)p->M * (double)p->K;
}

/* fp16 gradients are summed in fp32 and rounded once: an accumulator each, for every head in flight. */
static double gradient_sums(const problem *p)
{
    static const int gradients[] = {DQ, DK1, DV1, DK2, DV2};
    const int64_t heads = p->B * p->H, in_flight = heads < p->options.threads ? heads : p->options.threads;
    double bytes = 0;
    for (int i = 0; i < 5; i++) bytes += 2.0 * (double)tensor_bytes(&p->t[gradients[i]]);
    return bytes / (double)heads * (double)in_flight;
}

static void report_memory(const problem *p)
{
    double tensors = 0;
    for (int i = 0; i < TENSORS; i++) tensors += (double)tensor_bytes(&p->t[i]);
    const int64_t larger[6] = {p->B, p->H, 4 * p->N, 4 * p->M, 4 * p->K, p->D};
    const problem grown = problem_describe(larger, p->options.threads);
    printf("\nMemory\n");
    printf("  tensors (12 in fp16, max and sum in fp32)      %10.1f MiB\n", tensors / MIB);
    printf("  workspace, forward                             %10.1f MiB\n", (double)p->workspace_bytes[0] / MIB);
    printf("  workspace, gradient                            %10.1f MiB\n", (double)p->workspace_bytes[1] / MIB);
    printf("    of it fp32 sums of the five fp16 gradients   %10.1f MiB\n", gradient_sums(p) / MIB);
    printf("  peak resident memory of this process           %10.1f MiB\n", peak_resident() / MIB);
    printf("  unfused instead of the workspace: P, dP and dS of [B,H,N,M,K] in fp32\n");
    printf("    at these sizes                               %10.1f MiB\n", unfused_bytes(p) / MIB);
    printf("    at 4 times N, M and K                        %10.1f MiB   (workspace then: %.1f MiB)\n",
           unfused_bytes(&grown) / MIB, (double)grown.workspace_bytes[1] / MIB);
}

/* ---- Accuracy ------------------------------------------------------------------------------------ */

/* Returns 0 when nearly all elements of the fp16 outputs are the exact value, rounded once. */
static int report_accuracy(const problem *p)
{
    static const struct {
        int tensor;
        const char *name;
    } outputs[] = {{Y, "Y"},     {DQ, "dQ"},   {DK1, "dK1"}, {DV1, "dV1"},
                   {DK2, "dK2"}, {DV2, "dV2"}, {MAX, "max"}, {SUM, "sum"}};
    accuracy result[TENSORS];
    int failed = 0;
    accuracy_sample(p, POSITIONS, result);
    printf("\nError against the fp64 reference, at %d random places of each output\n", POSITIONS);
    printf("  output  type  elements   largest error   half an ulp there   worst in half ulps   rounded exactly\n");
    for (int i = 0; i < 8; i++) {
        const accuracy *a = &result[outputs[i].tensor];
        const int half = p->t[outputs[i].tensor].dtype == FLOYD_F16;
        const double share = (double)a->rounded / (double)a->elements;
        printf("  %-6s  %s  %8lld   %13.3e   %17.3e   %18.3f   %13.2f %%\n", outputs[i].name,
               half ? "fp16" : "fp32", (long long)a->elements, a->error, a->half_ulp, a->worst, 100 * share);
        failed |= half && !(share > 0.95);
    }
    printf("  Above 1: elements near 0, where fp16 is finer than the fp32 sum of large terms that cancel, and max "
           "and sum,\n"
           "  fp32 sums stored as they are.\n");
    return failed;
}

int main(int argc, char **argv)
{
    const settings s = parse(argc, argv);
    const long long B = s.sizes[0], H = s.sizes[1], N = s.sizes[2], M = s.sizes[3], K = s.sizes[4], D = s.sizes[5];
    printf("Floyd attention, floydattn %s: B,H,N,M,K,D = %lld,%lld,%lld,%lld,%lld,%lld, fp16, random operands\n",
           floyd_version(), B, H, N, M, K, D);
    problem p = problem_new(s.sizes, s.threads);
    report_speed(&p);
    report_memory(&p);
    const int failed = report_accuracy(&p);
    problem_free(&p);
    if (failed) fprintf(stderr, "floyd_demo: the results are not what fp32 arithmetic gives\n");
    return failed;
}
