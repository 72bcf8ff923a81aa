/* SPDX-License-Identifier: Apache-2.0 */
/* How fast is it here? Verifies a sample first, then times forward and backward and names all they depend on. */
#include "arguments.h"
#include "commands.h"
#include "compare.h"
#include "fma_peak.h"
#include "machine.h"
#include "progress.h"
#include "report.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SAMPLE = 24, DEFAULT_REPEATS = 5, PEAK_REPEATS = 10 };

static const struct {
    const char *name;
    double work; /* flops for each of B*H*N*M*K*D */
} passes[TRIAL_PASSES] = {[TRIAL_FORWARD] = {"forward", 8}, [TRIAL_BACKWARD] = {"backward", 20}};

typedef struct settings {
    trial_problem problem;
    const char *dtype;
    int threads, repeats;
    bool json;
} settings;

typedef struct timing {
    double best, median; /* seconds */
    double flops;
    size_t workspace;
} timing;

typedef struct report {
    timing pass[TRIAL_PASSES];
    verdict checked;
    double peak; /* flops per second of one thread */
    const char *isa;
} report;

static const struct argp_option options[] = {
    {"shape", 'S', "B,H,N,M,K,D", 0, "Sizes (default 1,1,256,256,256,64)", 0},
    {"dtype", 'd', "TYPE", 0, "Type of the tensors: f16, bf16, f32 (the default) or f64", 0},
    {"threads", 't', "N", 0, "Compute with N threads (default: all that this process may use)", 0},
    {"repeat", 'r', "N", 0, "Time each pass N times (default 5)", 0},
    {"json", 'j', NULL, 0, "Print JSON", 0},
    {0}};

static error_t parse(int key, char *value, struct argp_state *state)
{
    settings *s = state->input;
    switch (key) {
    case 'S': {
        int64_t sizes[6];
        sizes_argument(state, "--shape", value, sizes, 6);
        s->problem = (trial_problem){sizes[0], sizes[1],         sizes[2],  sizes[3],          sizes[4],
                                     sizes[5], s->problem.dtype, MASK_NONE, FLOYD_MASK_REPLACE};
        break;
    }
    case 'd':
        s->problem.dtype = (floyd_dtype)choice_argument(state, "--dtype", value, dtype_choices);
        s->dtype = value;
        break;
    case 't':
        s->threads = positive_argument(state, "--threads", value);
        break;
    case 'r':
        s->repeats = positive_argument(state, "--repeat", value);
        break;
    case 'j':
        s->json = true;
        break;
    case ARGP_KEY_ARG:
        argp_usage(state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const char help[] =
    "How fast is it here? Verifies some rows against the reference, then times forward and backward.\v"
    "The peak is what one thread reaches in multiply-adds from registers, measured in the same run, times the "
    "threads. The operands are random; nothing is masked.";

static const struct argp parser = {.options = options, .parser = parse, .doc = help};

static double cells(const trial_problem *p)
{
    return (double)p->B * (double)p->H * (double)p->N * (double)p->M * (double)p->K * (double)p->D;
}

static void demand_ok(floyd_status status)
{
    if (status != FLOYD_OK) die_of_library(status, floyd_last_message());
}

/* No tensor has more than that many elements, so its bytes, up to 8 each, then fit in 63 bits. */
static void check_sizes(const trial_problem *p)
{
    if (cells(p) > 0x1p59) die(STATUS_USAGE, "--shape is too large: B*H*N*M*K*D must stay below 2^59");
}

static int64_t pick(uint64_t *state, int64_t size)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((*state >> 33) % (uint64_t)size);
}

static verdict verify(const trial *t)
{
    const trial_problem *p = &t->problem;
    comparison c = {.trial = t};
    uint64_t state = 1;
    for (int i = 0; i < SAMPLE; i++) {
        const int64_t b = pick(&state, p->B), h = pick(&state, p->H);
        const int64_t n = pick(&state, p->N), m = pick(&state, p->M), k = pick(&state, p->K);
        compare_row(&c, b, h, n, m);
        compare_edge1(&c, b, h, n, k);
        compare_edge2(&c, b, h, k, m);
    }
    const verdict v = judge(&c);
    free_comparison(&c);
    if (!(v.worst <= 1))
        die(STATUS_SYSTEM,
            "wrong results, so no times: %s is %.9g where the reference has %.9g: see `floydattn selftest'",
            trial_tensor_name(v.where), v.got, v.want);
    return v;
}

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Units of work done and to do, for the bar: each run of a pass counts its flops. */
typedef struct advance {
    double done, total;
} advance;

static void show(const advance *a)
{
    enum { STEPS = 1000 };
    progress_step(NULL, (int64_t)(STEPS * a->done / a->total), STEPS);
}

static void *workspace_of(const trial *t, trial_pass pass, int threads, size_t *bytes)
{
    demand_ok(trial_workspace(t, pass, threads, bytes));
    return allocate(*bytes, "the workspace");
}

/* Both passes once: their results are verified, their threads started, their memory touched. */
static void warm_up(const settings *s, trial *t, advance *a)
{
    for (int pass = 0; pass < TRIAL_PASSES; pass++) {
        size_t bytes;
        void *workspace = workspace_of(t, (trial_pass)pass, s->threads, &bytes);
        demand_ok(run_trial(t, (trial_pass)pass, s->threads, workspace, bytes));
        free(workspace);
        a->done += passes[pass].work;
        show(a);
    }
}

static timing measure(const settings *s, const trial *t, trial_pass pass, advance *a)
{
    timing result = {.flops = passes[pass].work * cells(&s->problem)};
    double *seconds = allocate((size_t)s->repeats * sizeof *seconds, "the times");
    void *workspace = workspace_of(t, pass, s->threads, &result.workspace);
    for (int i = 0; i < s->repeats; i++) {
        const double started = monotonic_seconds();
        demand_ok(run_trial(t, pass, s->threads, workspace, result.workspace));
        seconds[i] = monotonic_seconds() - started;
        a->done += passes[pass].work;
        show(a);
    }
    free(workspace);
    qsort(seconds, (size_t)s->repeats, sizeof *seconds, ascending);
    result.best = seconds[0];
    result.median = (seconds[(s->repeats - 1) / 2] + seconds[s->repeats / 2]) / 2;
    free(seconds);
    return result;
}

static report run_bench(const settings *s)
{
    report r = {.isa = chosen_isa().name};
    advance a = {0, (s->repeats + 1) * (passes[TRIAL_FORWARD].work + passes[TRIAL_BACKWARD].work)};
    progress_start(false);
    progress_phase("bench", 0, 1);
    trial t = create_trial(&s->problem, 1);
    warm_up(s, &t, &a);
    r.checked = verify(&t);
    for (int pass = 0; pass < TRIAL_PASSES; pass++) r.pass[pass] = measure(s, &t, (trial_pass)pass, &a);
    r.peak = floyd_fma_peak(r.isa, s->problem.dtype == FLOYD_F64, PEAK_REPEATS);
    progress_erase();
    free_trial(&t);
    return r;
}

static double share_of_peak(const settings *s, const report *r, int pass)
{
    return r->pass[pass].flops / r->pass[pass].best / (r->peak * s->threads);
}

static void print_text(const settings *s, const report *r)
{
    const trial_problem *p = &s->problem;
    machine m = describe_machine();
    printf("floydattn %s, kernel %s, %s\n%s, %s, %s\n", floyd_version(), r->isa, m.compiler, m.processor, m.system,
           m.kernel);
    printf("B,H,N,M,K,D = %" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
           " in %s, %d thread%s, %d runs\n\n",
           p->B, p->H, p->N, p->M, p->K, p->D, s->dtype, s->threads, s->threads == 1 ? "" : "s", s->repeats);
    printf("              min s   median s    GFLOP/s   of peak    workspace\n");
    for (int i = 0; i < TRIAL_PASSES; i++) {
        char workspace[BYTES_TEXT];
        const timing *t = &r->pass[i];
        printf("%-10s %8.4g %10.4g %10.1f %8.1f%% %12s\n", passes[i].name, t->best, t->median,
               t->flops / t->best / 1e9, 100 * share_of_peak(s, r, i), bytes_text(workspace, (double)t->workspace));
    }
    printf("\nPeak: %.1f GFLOP/s a thread. Verified %d samples of each result: error at most %.2f of the bound.\n",
           r->peak / 1e9, SAMPLE, r->checked.worst);
    free_machine(&m);
}

static json_t *shape_json(const trial_problem *p)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "B", (json_int_t)p->B, "H", (json_int_t)p->H, "N",
                     (json_int_t)p->N, "M", (json_int_t)p->M, "K", (json_int_t)p->K, "D", (json_int_t)p->D);
}

static json_t *timing_json(const settings *s, const report *r, int pass)
{
    const timing *t = &r->pass[pass];
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:I}", "min_s", t->best, "median_s", t->median, "flops", t->flops,
                     "gflops_per_s", t->flops / t->best / 1e9, "share_of_peak", share_of_peak(s, r, pass),
                     "workspace_bytes", (json_int_t)t->workspace);
}

static void print_json(const settings *s, const report *r)
{
    machine m = describe_machine();
    json_t *object = json_pack(
        "{s:s,s:s,s:o,s:o,s:s,s:i,s:i,s:f,s:{s:i,s:f},s:o,s:o}", "version", floyd_version(), "isa", r->isa,
        "machine", machine_json(&m), "shape", shape_json(&s->problem), "dtype", s->dtype, "threads", s->threads,
        "repeats", s->repeats, "peak_gflops_per_s_per_thread", r->peak / 1e9, "verified", "samples", SAMPLE,
        "worst_share_of_bound", r->checked.worst, passes[TRIAL_FORWARD].name, timing_json(s, r, TRIAL_FORWARD),
        passes[TRIAL_BACKWARD].name, timing_json(s, r, TRIAL_BACKWARD));
    (void)json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(object);
    free_machine(&m);
}

int bench_command(int argc, char **argv)
{
    settings s = {.problem = {1, 1, 256, 256, 256, 64, FLOYD_F32, MASK_NONE, FLOYD_MASK_REPLACE},
                  .dtype = "f32",
                  .threads = floyd_default_threads(),
                  .repeats = DEFAULT_REPEATS};
    parse_arguments(&parser, argc, argv, 0, &s);
    check_sizes(&s.problem);
    const report r = run_bench(&s);
    if (s.json)
        print_json(&s, &r);
    else
        print_text(&s, &r);
    return STATUS_OK;
}
