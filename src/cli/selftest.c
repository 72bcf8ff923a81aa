/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does this machine compute right? Small problems of every type and mask, each element against the reference and,
 * run with several numbers of threads, against itself, bit for bit. Catches a broken processor, a wrong build, a
 * library that is not the one it should be.
 */
#include "arguments.h"
#include "commands.h"
#include "compare.h"
#include "machine.h"
#include "progress.h"
#include "report.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

static const int thread_counts[] = {1, 2, 3, 7};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

/* Sizes of 1, odd ones, those around the kernels' tiles, and heads and batches that must not mix. */
static const trial_problem cases[] = {
    {1, 1, 1, 1, 1, 1, FLOYD_F32, MASK_NONE, FLOYD_MASK_REPLACE},
    {1, 2, 17, 33, 40, 32, FLOYD_F32, MASK_NONE, FLOYD_MASK_REPLACE},
    {2, 2, 16, 24, 31, 33, FLOYD_F32, MASK_RANDOM, FLOYD_MASK_REPLACE},
    {2, 1, 9, 16, 20, 8, FLOYD_F32, MASK_PADDING, FLOYD_MASK_REPLACE},
    {2, 1, 9, 16, 20, 8, FLOYD_F32, MASK_PADDING, FLOYD_MASK_ZERO_GRAD},
    {1, 1, 36, 40, 70, 64, FLOYD_F32, MASK_FULL, FLOYD_MASK_REPLACE},
    {1, 1, 10, 12, 14, 256, FLOYD_F32, MASK_NONE, FLOYD_MASK_REPLACE},
    {1, 2, 19, 32, 50, 64, FLOYD_F16, MASK_RANDOM, FLOYD_MASK_REPLACE},
    {1, 1, 16, 64, 65, 32, FLOYD_F16, MASK_PADDING, FLOYD_MASK_REPLACE},
    {1, 2, 19, 32, 50, 64, FLOYD_BF16, MASK_PADDING, FLOYD_MASK_ZERO_GRAD},
    {1, 1, 16, 40, 33, 128, FLOYD_BF16, MASK_NONE, FLOYD_MASK_REPLACE},
    {2, 1, 20, 21, 22, 20, FLOYD_F64, MASK_RANDOM, FLOYD_MASK_REPLACE},
    {1, 1, 33, 34, 35, 64, FLOYD_F64, MASK_PADDING, FLOYD_MASK_ZERO_GRAD},
};
enum { CASES = sizeof cases / sizeof *cases };

static const char *const mask_names[] = {[MASK_NONE] = "no mask",
                                         [MASK_RANDOM] = "random mask",
                                         [MASK_PADDING] = "padding mask",
                                         [MASK_FULL] = "full mask"};

static error_t parse(int key, char *value, struct argp_state *state)
{
    (void)value;
    if (key == ARGP_KEY_ARG) argp_usage(state);
    return ARGP_ERR_UNKNOWN;
}

static const char help[] =
    "Does this machine compute right? Checks every type and mask against a plain implementation in double "
    "precision, and that different numbers of threads give the same bits.\v"
    "The kernel is the one that `floydattn info' shows as running; FLOYDATTN_ISA names another. Exit status 3: it "
    "does not.";

static const struct argp parser = {.parser = parse, .doc = help};

/* FNV-1a over all outputs. */
static uint64_t fingerprint(const trial *t)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = TRIAL_Y; i < TRIAL_TENSORS; i++) {
        const uint8_t *bytes = t->tensor[i].data;
        const size_t count = tensor_bytes(&t->tensor[i]);
        for (size_t b = 0; b < count; b++) hash = (hash ^ bytes[b]) * 0x100000001b3u;
    }
    return hash;
}

static floyd_status run_both(trial *t, int threads)
{
    floyd_status status = FLOYD_OK;
    poison_outputs(t);
    for (int pass = 0; pass < TRIAL_PASSES && status == FLOYD_OK; pass++) {
        size_t bytes;
        status = trial_workspace(t, (trial_pass)pass, threads, &bytes);
        if (status != FLOYD_OK) break;
        void *workspace = allocate(bytes, "the workspace");
        status = run_trial(t, (trial_pass)pass, threads, workspace, bytes);
        free(workspace);
    }
    return status;
}

static verdict compare_everything(const trial *t)
{
    const trial_problem *p = &t->problem;
    comparison c = {.trial = t};
    for (int64_t b = 0; b < p->B; b++)
        for (int64_t h = 0; h < p->H; h++) {
            for (int64_t n = 0; n < p->N; n++)
                for (int64_t m = 0; m < p->M; m++) compare_row(&c, b, h, n, m);
            for (int64_t n = 0; n < p->N; n++)
                for (int64_t k = 0; k < p->K; k++) compare_edge1(&c, b, h, n, k);
            for (int64_t k = 0; k < p->K; k++)
                for (int64_t m = 0; m < p->M; m++) compare_edge2(&c, b, h, k, m);
        }
    verdict v = judge(&c);
    free_comparison(&c);
    return v;
}

static void print_case(bool right, const trial_problem *p, const char *result)
{
    char *shape = text("%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64, p->B, p->H, p->N,
                       p->M, p->K, p->D);
    const char *dtype = "";
    for (const choice *c = dtype_choices; c->name; c++)
        if (c->value == (int)p->dtype) dtype = c->name;
    printf("%s  %-5s%-20s%-13s %-10s %s\n", right ? "PASS" : "FAIL", dtype, shape, mask_names[p->mask],
           p->rule == FLOYD_MASK_ZERO_GRAD ? "zero-grad" : "", result);
    fflush(stdout);
    free(shape);
}

/* What is wrong with the case, or NULL; in *worst the largest error as a share of the bound. */
static char *fault_of(trial *t, double *worst)
{
    uint64_t first = 0;
    for (int i = 0; i < THREAD_COUNTS; i++) {
        const floyd_status status = run_both(t, thread_counts[i]);
        if (status == FLOYD_ERROR_SYSTEM) die_of_library(status, floyd_last_message()); /* no word on the machine */
        if (status != FLOYD_OK) return text("%s: %s", floyd_status_name(status), floyd_last_message());
        const uint64_t bits = fingerprint(t);
        if (i == 0) first = bits;
        if (bits != first) return text("%d threads give other bits than %d", thread_counts[i], thread_counts[0]);
    }
    const verdict v = compare_everything(t);
    *worst = v.worst;
    if (v.worst <= 1) return NULL;
    return text("%s is %.9g where the reference has %.9g", trial_tensor_name(v.where), v.got, v.want);
}

static bool run_case(int index)
{
    double worst = 0;
    trial t = create_trial(&cases[index], (uint64_t)index + 1);
    char *fault = fault_of(&t, &worst);
    char *result = fault ? fault : text("error at most %.2f of the bound", worst);
    print_case(!fault, &cases[index], result);
    free(result);
    free_trial(&t);
    return !fault;
}

int selftest_command(int argc, char **argv)
{
    int wrong = 0;
    parse_arguments(&parser, argc, argv, 0, NULL);
    const double started = monotonic_seconds();
    machine m = describe_machine();
    printf("floydattn %s, kernel %s, on %s\n", floyd_version(), chosen_isa().name, m.processor);
    printf("      type B,H,N,M,K,D         mask          rule       result, the same bits with 1, 2, 3 and 7 "
           "threads\n");
    free_machine(&m);
    for (int i = 0; i < CASES; i++) wrong += !run_case(i);
    if (wrong) {
        printf("FAIL  %d of %d cases\n", wrong, CASES);
        fflush(stdout);
        die(STATUS_SYSTEM,
            "this machine or this build computes wrongly: use no result of it; report the lines above "
            "with the output of `floydattn info'");
    }
    printf("PASS  all %d cases, %.1f s\n", CASES, monotonic_seconds() - started);
    return STATUS_OK;
}
