/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that wait between calls. A call leases as many as it wants, all or none, before it writes anything.
 * Workers idle without using the processor, block every signal but their own faults, and are made once; a child
 * after fork starts with an empty pool of its own.
 */
#ifndef FLOYD_POOL_H
#define FLOYD_POOL_H

#include <stdbool.h>

typedef struct floyd_worker floyd_worker;

typedef struct floyd_lease {
    floyd_worker *workers; /* a list */
    int count;
} floyd_lease;

/* Leases count workers. On failure returns an errno value, with nothing leased. */
int floyd_pool_lease(floyd_lease *lease, int count);

/* Runs job(user, 1) .. job(user, count) on the workers and job(user, 0) here; returns the workers when all are
 * done. */
void floyd_pool_run(floyd_lease *lease, void (*job)(void *user, int index), void *user);

#endif
