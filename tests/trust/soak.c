/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Problems drawn by chance, one after another for as long as is asked, each judged by the reference; and the memory
 * of the process meanwhile, which must not grow: what malloc has given out is to be the same to the byte.
 *
 *     trust_soak --minutes 5 [--from SEED]   problems SEED, SEED + 1, ...
 *     trust_soak --seed SEED                 that one alone
 */
#define _GNU_SOURCE
#include "cmocka_all.h"

#include "check.h"
#include "draw.h"
#include "machine.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- one problem ----------------------------------------------------------------------------------- */

static volatile uint64_t current; /* its seed */
static volatile int at_work;
static const spec *volatile current_spec;

/* Where a check fails, or the process. */
static void print_repeat(void)
{
    char text[SPEC_TEXT];
    if (!at_work) return;
    at_work = 0;
    fprintf(stderr, "soak: FAILED at the problem\n%s\nrepeat it with: ./run test soak --seed %llu\n",
            spec_text(current_spec, text), (unsigned long long)current);
}

static void on_signal(int number)
{
    fprintf(stderr, "soak: signal %d\n", number);
    print_repeat();
    _exit(1);
}

enum option { MASKED, BIASED, DBIAS_ASKED, CAPPED, FILLED, DROPPED, CARRIED, ADDED, STRIDED, THREADED, OPTIONS };
static const char *const option_names[OPTIONS] = {
    "mask", "bias", "dbias", "cap", "mask_fill", "dropout", "carry", "add", "strides of its own", "threads"};

static struct {
    int64_t problems, elements, options[OPTIONS], dtypes[4];
    double positions;
} done;

static void count_problem(const drawn *d, const problem *p)
{
    const spec *s = &d->s;
    const int has[OPTIONS] = {s->mask != MASK_NONE,
                              s->bias != BIAS_NONE,
                              s->dbias,
                              s->softmax_cap != 0,
                              s->mask_fill != 0,
                              s->dropout != 0,
                              d->carry,
                              d->add,
                              memcmp(&d->inputs, &layout_contiguous, sizeof d->inputs) != 0,
                              s->threads > 1};
    for (int i = 0; i < OPTIONS; i++) done.options[i] += has[i];
    for (int r = 0; r < ROLES; r++)
        if (((FORWARD_OUTPUTS | GRADIENTS) >> r & 1) && p->t[r].block) done.elements += tensor_count(&p->t[r].view);
    done.dtypes[s->dtype]++;
    done.positions += (double)(s->B * s->H * s->N * s->M) * (double)s->K;
    done.problems++;
}

static void set_all(const problem *p, unsigned roles, double value)
{
    for (int r = 0; r < ROLES; r++) {
        const floyd_tensor *t = &p->t[r].view;
        int64_t index[5] = {0};
        if (!(roles >> r & 1) || !p->t[r].block) continue;
        for (int64_t i = 0, count = tensor_count(t); i < count; i++, tensor_next(t, index))
            tensor_set(t, index, value);
    }
}

static void expect_ok(floyd_status status)
{
    if (status != FLOYD_OK) fail_msg("%s: %s", floyd_status_name(status), floyd_last_message());
}

/* Continued: from the empty state, where Y and max are not read; added to: from zeros. */
static void soak_once(uint64_t seed)
{
    drawn d;
    floyd_options options = FLOYD_OPTIONS_INIT;
    draw_problem(&d, seed, seed % 32 ? 5e4 : 2e6);
    current = seed, current_spec = &d.s, at_work = 1;
    problem p = problem_new(&d.s);
    floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    floyd_backward_args backward = backward_args(&p, GRADIENTS);
    forward.carry = d.carry, backward.add = d.add;
    options.threads = d.s.threads;
    if (d.carry) set_all(&p, 1u << T_SUM, 0);
    expect_ok(run_forward_args(&forward, &options));
    check_and_store_forward(&p);
    if (d.add) set_all(&p, GRADIENTS, 0);
    expect_ok(run_backward_args(&backward, &options));
    check_backward(&p);
    for (int r = 0; r < ROLES; r++)
        if (p.t[r].block && !tensor_gaps_untouched(&p.t[r]))
            fail_msg("bytes between the elements of %s were written", role_names[r]);
    count_problem(&d, &p);
    problem_free(&p);
    at_work = 0;
}

/* ---- memory ---------------------------------------------------------------------------------------- */

typedef struct memory {
    double resident, data; /* KiB */
    size_t given_out;      /* by malloc, bytes */
    int64_t problems;
} memory;

static memory memory_now(void)
{
    malloc_trim(0);
    const struct mallinfo2 heap = mallinfo2();
    return (memory){status_kilobytes("VmRSS:"), status_kilobytes("VmData:"), heap.uordblks + heap.hblkhd,
                    done.problems};
}

/*
 * Pages come and go by what was freed last: a MiB says nothing. A leak of one small block in a few problems is seen
 * in what malloc has given out, which has no play once all threads run and where malloc keeps nothing for each
 * (soak.sh).
 */
static int is_flat(const memory *early, const memory *late)
{
    enum { PAGES = 1024 };
    return late->resident <= early->resident + PAGES && late->data <= early->data + PAGES &&
           late->given_out <= early->given_out;
}

static void print_memory(const char *when, const memory *m)
{
    printf("%s: VmRSS %.0f KiB, VmData %.0f KiB, malloc %zu bytes, after %lld problems\n", when, m->resident,
           m->data, m->given_out, (long long)m->problems);
}

/* ---- all ------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void print_done(double time)
{
    static const char *const dtypes[] = {"fp32", "fp64", "fp16", "bf16"};
    printf("%lld problems in %.0f s, forward and backward; %.3g positions (n,m,k), %lld elements judged\n  ",
           (long long)done.problems, time, done.positions, (long long)done.elements);
    for (int i = 0; i < 4; i++) printf("%s %lld, ", dtypes[i], (long long)done.dtypes[i]);
    for (int i = 0; i < OPTIONS; i++)
        printf("%s %lld%s", option_names[i], (long long)done.options[i], i + 1 < OPTIONS ? ", " : "\n");
}

/* A thread's stack counts as growth: they all start now, and are kept. */
static void start_threads(void)
{
    spec s = spec_of(1, 1, 48, 128, 64, 16);
    s.threads = 4; /* as many as are drawn at most */
    problem p = computed(&s);
    problem_free(&p);
}

static int soak(double minutes, uint64_t first)
{
    const double start = seconds(), length = 60 * minutes;
    memory early = {0};
    print_machine();
    printf("problems from %llu, for %g minutes\n", (unsigned long long)first, minutes);
    start_threads();
    for (uint64_t seed = first; seconds() < start + length || done.problems < 8; seed++) {
        soak_once(seed);
        if (!early.problems && seconds() > start + length / 4) {
            early = memory_now();
            print_memory("at 25 %  ", &early);
        }
        fflush(stdout);
    }
    const memory late = memory_now();
    print_memory("at the end", &late);
    print_done(seconds() - start);
    if (is_flat(&early, &late)) return 0;
    fprintf(stderr, "soak: FAILED: memory grew\n");
    return 1;
}

int main(int count, char **arguments)
{
    double minutes = 5;
    uint64_t from = (uint64_t)time(NULL), seed = 0;
    int one = 0;
    for (int i = 1; i + 1 < count; i += 2) {
        if (strcmp(arguments[i], "--minutes") == 0) minutes = strtod(arguments[i + 1], NULL);
        if (strcmp(arguments[i], "--from") == 0) from = strtoull(arguments[i + 1], NULL, 0);
        if (strcmp(arguments[i], "--seed") == 0) seed = strtoull(arguments[i + 1], NULL, 0), one = 1;
    }
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (int i = 0; i < 5; i++) signal(fatal[i], on_signal);
    atexit(print_repeat); /* a check that fails outside cmocka's tests ends the process */
    /* Large blocks come from the system and go back to it, so that sizes tell what is in use. */
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    if (!one) return soak(minutes, from);
    soak_once(seed);
    printf("problem %llu is right\n", (unsigned long long)seed);
    return 0;
}
