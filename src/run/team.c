/* SPDX-License-Identifier: Apache-2.0 */
#include "team.h"

#include <pthread.h>
#include <stdatomic.h>

int floyd_team_gather(floyd_team *team, int threads, floyd_parallel_fn parallel)
{
    *team = (floyd_team){.threads = threads, .parallel = parallel};
    return parallel ? 0 : floyd_pool_lease(&team->lease, threads - 1);
}

typedef struct guests {
    void (*job)(void *user, int index);
    void *user;
    int threads;
    pthread_t caller;
    atomic_int others; /* that came so far */
} guests;

/* What a thread of the caller's does. Those that are one too many leave again. */
static void body(void *data)
{
    guests *g = data;
    const int index = pthread_equal(pthread_self(), g->caller) ? 0 : 1 + atomic_fetch_add(&g->others, 1);
    if (index < g->threads) g->job(g->user, index);
}

void floyd_team_run(floyd_team *team, void (*job)(void *user, int index), void *user)
{
    if (!team->parallel) {
        floyd_pool_run(&team->lease, job, user);
        return;
    }
    guests g = {.job = job, .user = user, .threads = team->threads, .caller = pthread_self()};
    atomic_init(&g.others, 0);
    if (team->threads > 1) team->parallel(body, &g, (unsigned)team->threads, 0);
    job(user, 0); /* nothing is left, unless nobody came */
}
