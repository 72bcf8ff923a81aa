/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many host threads at the native calls: with any number of threads, the pool's or ones that the caller brings,
 * with progress or without, cancelled here and there. Every call that is not cancelled has the bits of one thread
 * alone.
 *
 *     test_races [THREADS CALLS ROUNDS SEED]
 */
#define _DEFAULT_SOURCE
#include "cmocka_all.h"

#include "check.h"
#include "watchdog.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_HOSTS = 16, PROBLEMS = 5, MOST_THREADS = 6, PATIENCE = 600 };

typedef struct host {
    pthread_t thread;
    place *at;
    int calls, progress_left; /* calls of the callback until it says stop; below 0: never */
    uint64_t random;
    problem p[PROBLEMS];
    long done, cancelled;
} host;

static problem alone[PROBLEMS];
static host hosts[MOST_HOSTS];

_Noreturn static void die(int line, const char *what)
{
    fprintf(stderr, "test_races.c:%d: %s: %s\n", line, what, floyd_last_message());
    _exit(1);
}

#define TRUE(condition)                                                                                            \
    do {                                                                                                           \
        if (!(condition)) die(__LINE__, #condition);                                                               \
    } while (0)

static uint64_t draw(host *h, uint64_t below)
{
    h->random = h->random * 6364136223846793005u + 1442695040888963407u;
    return (h->random >> 33) % below;
}

static spec spec_number(int i)
{
    static const int sizes[PROBLEMS][4] = {
        {140, 70, 66, 8}, {33, 64, 70, 8}, {9, 140, 130, 8}, {65, 17, 33, 12}, {1, 1, 300, 4}};
    spec s = spec_of(2, 2, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
    s.dtype = (floyd_dtype)(i % 4);
    s.mask = i % 2 == 0 ? MASK_RANDOM : MASK_NONE;
    if (i == 1) add_extras(&s, EXTRAS);
    s.seed = (uint64_t)i;
    return s;
}

/* ---- Threads that the caller brings ----------------------------------------------------------------- */

typedef struct visit {
    void (*body)(void *data);
    void *data;
} visit;

static void *visit_main(void *argument)
{
    const visit *v = argument;
    v->body(v->data);
    return NULL;
}

static void bring(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    pthread_t others[MOST_THREADS];
    visit v = {body, data};
    TRUE(flags == 0 && threads <= MOST_THREADS);
    for (unsigned i = 1; i < threads; i++) TRUE(pthread_create(&others[i], NULL, visit_main, &v) == 0);
    body(data);
    for (unsigned i = 1; i < threads; i++) TRUE(pthread_join(others[i], NULL) == 0);
}

static void bring_nobody(void (*body)(void *data), void *data, unsigned threads, unsigned flags)
{
    (void)threads;
    (void)flags;
    body(data);
}

/* ---- A host thread ---------------------------------------------------------------------------------- */

static int count_down(void *user, int64_t done, int64_t total)
{
    host *h = user;
    TRUE(done >= 0 && done <= total && pthread_equal(pthread_self(), h->thread));
    return h->progress_left >= 0 && h->progress_left-- == 0;
}

static floyd_options any_options(host *h)
{
    static const floyd_parallel_fn functions[] = {NULL, NULL, NULL, bring, bring_nobody};
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = 1 + (int)draw(h, MOST_THREADS);
    options.parallel = functions[draw(h, sizeof functions / sizeof *functions)];
    h->progress_left = draw(h, 4) == 0 ? (int)draw(h, 12) : -1;
    if (h->progress_left >= 0 || draw(h, 2) == 0) {
        options.progress = count_down;
        options.progress_user = h;
    }
    return options;
}

static void finish(host *h, floyd_status status, const problem *got, const problem *want, unsigned roles)
{
    TRUE(status == FLOYD_OK || (status == FLOYD_ERROR_CANCELLED && strlen(floyd_last_message()) > 0));
    h->cancelled += status != FLOYD_OK;
    h->done += status == FLOYD_OK;
    for (int r = 0; r < ROLES && status == FLOYD_OK; r++) {
        if (!(roles & 1u << r) || want->t[r].block == NULL) continue;
        TRUE(memcmp(got->t[r].block, want->t[r].block, want->t[r].bytes) == 0);
    }
}

/* The backward starts from what the forward alone gave, so that a cancelled forward spoils nothing. */
static void *host_main(void *argument)
{
    host *h = argument;
    h->thread = pthread_self();
    for (int i = 0; i < h->calls; i++) {
        const int which = (int)draw(h, PROBLEMS);
        problem *p = &h->p[which];
        const floyd_options options = any_options(h);
        const bool forward = draw(h, 2) == 0;
        atomic_store(&h->at->step, i);
        for (int r = 0; r < ROLES; r++)
            if ((forward ? FORWARD_OUTPUTS : GRADIENTS) & 1 << r && p->t[r].block != NULL) tensor_poison(&p->t[r]);
        WATCH(h->at, forward ? "forward" : "backward");
        if (forward) {
            const floyd_forward_args args = forward_args(p, FORWARD_OUTPUTS);
            finish(h, run_forward_args(&args, &options), p, &alone[which], FORWARD_OUTPUTS);
        }
        for (enum role r = T_Y; r <= T_SUM; r++) memcpy(p->t[r].block, alone[which].t[r].block, p->t[r].bytes);
        if (!forward) {
            const floyd_backward_args args = backward_args(p, GRADIENTS);
            finish(h, run_backward_args(&args, &options), p, &alone[which], GRADIENTS);
        }
    }
    atomic_store(&h->at->what, NULL);
    return NULL;
}

static void run_round(int count)
{
    pthread_t threads[MOST_HOSTS];
    for (int i = 0; i < count; i++) TRUE(pthread_create(&threads[i], NULL, host_main, &hosts[i]) == 0);
    for (int i = 0; i < count; i++) TRUE(pthread_join(threads[i], NULL) == 0);
}

/* ---- All of it --------------------------------------------------------------------------------------- */

static int grew(const footprint *first, const footprint *last)
{
    printf("resident %ld -> %ld KiB, allocated %ld -> %ld bytes, threads %ld -> %ld\n", first->resident / 1024,
           last->resident / 1024, first->allocated, last->allocated, first->threads, last->threads);
    if (sanitized()) return 0;
    return last->allocated - first->allocated > 16384 || last->resident - first->resident > 4096 * 1024;
}

static int argument(int argc, char **argv, int index, int otherwise, int most)
{
    const int value = argc > index ? atoi(argv[index]) : otherwise;
    if (value >= 1 && value <= most) return value;
    fprintf(stderr, "usage: %s [THREADS CALLS ROUNDS SEED]\n", argv[0]);
    exit(2);
}

int main(int argc, char **argv)
{
    const int count = argument(argc, argv, 1, sanitized() ? 4 : 6, MOST_HOSTS),
              calls = argument(argc, argv, 2, sanitized() ? 12 : 30, 1000000);
    const int rounds = argument(argc, argv, 3, sanitized() ? 2 : 3, 1000000),
              seed = argument(argc, argv, 4, 1, 1000000000);
    footprint first = {0}, last = {0};
    long done = 0, cancelled = 0;
    printf("%d host threads, %d calls each, %d rounds, seed %d\n", count, calls, rounds, seed);
    watchdog_start(PATIENCE);
    for (int i = 0; i < PROBLEMS; i++) {
        const spec s = spec_number(i);
        alone[i] = computed(&s);
        for (int h = 0; h < count; h++) hosts[h].p[i] = problem_new(&s);
    }
    for (int h = 0; h < count; h++) {
        hosts[h].at = watchdog_place("host", h);
        hosts[h].calls = calls;
        hosts[h].random = (uint64_t)seed * 7919 + (uint64_t)h;
    }
    for (int round = 0; round < rounds; round++) {
        watchdog_feed(PATIENCE);
        run_round(count);
        last = footprint_now();
        if (round == 0) first = last;
    }
    for (int h = 0; h < count; h++) {
        done += hosts[h].done;
        cancelled += hosts[h].cancelled;
        for (int i = 0; i < PROBLEMS; i++) problem_free(&hosts[h].p[i]);
    }
    for (int i = 0; i < PROBLEMS; i++) problem_free(&alone[i]);
    printf("%ld calls done, %ld cancelled\n", done, cancelled);
    TRUE(done > 0 && cancelled > 0);
    return grew(&first, &last);
}
