/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds of many threads at everything (races.h): right bits, nobody who waits for ever, nothing that grows.
 *
 *     test_aclnn_races [THREADS STREAMS WORKS ROUNDS SEED]
 */
#include "races.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static actor actors[MOST_THREADS];

static void set_up(const load *how)
{
    for (int i = 0; i < how->threads; i++) {
        actors[i] = (actor){.index = i, .how = how};
        actors[i].at = watchdog_place("actor", i);
        actors[i].reporter_at = watchdog_place("reporter", i);
    }
}

/* One after another, one thread each. */
static void run_alone(const load *how, outcome *expected)
{
    for (int i = 0; i < how->threads; i++) {
        actors[i].alone = true;
        (void)actor_main(&actors[i]);
        actors[i].alone = false;
        expected[i] = actors[i].outcome;
        watchdog_feed(how->patience);
    }
}

static void run_together(const load *how, ending how_it_ends)
{
    pthread_barrier_t together;
    TRUE(pthread_barrier_init(&together, NULL, (unsigned)how->threads) == 0);
    for (int i = 0; i < how->threads; i++) {
        actors[i].ending = how_it_ends;
        actors[i].together = &together;
        TRUE(pthread_create(&actors[i].thread, NULL, actor_main, &actors[i]) == 0);
    }
    for (int i = 0; i < how->threads; i++) TRUE(pthread_join(actors[i].thread, NULL) == 0);
    TRUE(pthread_barrier_destroy(&together) == 0);
}

static int compare(const load *how, const outcome *expected)
{
    int wrong = 0;
    for (int i = 0; i < how->threads; i++) {
        const outcome *got = &actors[i].outcome, *want = &expected[i];
        for (int c = 0; c < how->cells; c++)
            for (int r = 0; r <= ROLES; r++) {
                if (got->cell[c][r] == want->cell[c][r]) continue;
                printf("actor %d, cell %d: %s is not as alone\n", i, c, r < ROLES ? role_names[r] : "the order");
                wrong++;
            }
        if (got->read != want->read) printf("actor %d: read something else than alone\n", i);
        wrong += got->read != want->read;
    }
    return wrong;
}

/* The second round has met every need that later ones have: what those add is a leak, but for a few threads'
 * stacks. */
static int compare_footprints(const footprint *second, const footprint *last)
{
    enum { KIB = 1024 };
    printf("resident %ld -> %ld KiB, allocated %ld -> %ld KiB, threads %ld -> %ld\n", second->resident / KIB,
           last->resident / KIB, second->allocated / KIB, last->allocated / KIB, second->threads, last->threads);
    if (sanitized()) return 0;
    int wrong = 0;
    if (last->allocated - second->allocated > 16 * KIB) wrong += printf("allocated memory grew\n");
    if (last->resident - second->resident > 4096 * KIB) wrong += printf("resident memory grew\n");
    return wrong;
}

static int argument(int argc, char **argv, int index, int otherwise, int most)
{
    const int value = argc > index ? atoi(argv[index]) : otherwise;
    if (value >= 1 && value <= most) return value;
    fprintf(stderr, "usage: %s [THREADS STREAMS WORKS ROUNDS SEED]\n", argv[0]);
    exit(2);
}

int main(int argc, char **argv)
{
    const load how = {.threads = argument(argc, argv, 1, 4, MOST_THREADS),
                      .streams = argument(argc, argv, 2, 4, MOST_STREAMS),
                      .cells = 2,
                      .works = argument(argc, argv, 3, 20, 1000000),
                      .rounds = argument(argc, argv, 4, ENDINGS, 1000000),
                      .patience = 1200,
                      .seed = (uint64_t)argument(argc, argv, 5, 1, 1000000000)};
    static outcome expected[MOST_THREADS];
    footprint second = {0}, last = {0};
    int wrong = 0;
    printf("%d threads of %d streams, %d works on each, %d rounds, seed %d\n", how.threads, how.streams, how.works,
           how.rounds, (int)how.seed);
    watchdog_start(how.patience);
    races_prepare();
    set_up(&how);
    run_alone(&how, expected);
    for (int round = 0; round < how.rounds && wrong == 0; round++) {
        watchdog_feed(how.patience);
        run_together(&how, (ending)(round % ENDINGS));
        wrong += compare(&how, expected);
        duels(how.seed + (uint64_t)round);
        chaos(&how, how.seed + (uint64_t)round);
        last = footprint_now();
        if (round == 1) second = last;
        if (wrong > 0) printf("in round %d\n", round);
    }
    if (how.rounds > 2) wrong += compare_footprints(&second, &last);
    races_clean_up();
    return wrong > 0;
}
