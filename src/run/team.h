/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of one call: the pool's, or those that the caller's own function brings. */
#ifndef FLOYD_TEAM_H
#define FLOYD_TEAM_H

#include "floydattn.h"
#include "pool.h"

typedef struct floyd_team {
    int threads;                /* the calling one included */
    floyd_parallel_fn parallel; /* NULL: the pool's */
    floyd_lease lease;
} floyd_team;

/* On failure returns an errno value, with nothing acquired. A team that was gathered must run. */
int floyd_team_gather(floyd_team *team, int threads, floyd_parallel_fn parallel);

/*
 * Runs job(user, 0) here and job(user, i) with 1 <= i < threads elsewhere, each of these once at most; returns when
 * all are done. Every job must finish what is left, however few there are.
 */
void floyd_team_run(floyd_team *team, void (*job)(void *user, int index), void *user);

#endif
