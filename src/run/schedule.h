/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which thread takes which task when.
 *
 * Tasks are claimed in the order of one list. In the backward a task adds to three faces of its head's box, (n,m),
 * (n,k) and (k,m). Claiming it takes the next ticket on each; it starts when all earlier tickets of the three are
 * through. So every face is added to in the order of the list, whatever the threads do, and nothing is added to
 * twice at once. A task waits only for tasks before it in the list, which are claimed already: no deadlock.
 *
 * In a head the list follows diagonals. With the axes ranked by their number of parts, x most and z least: for r,
 * for z, for x, with y = (x + z + r) mod parts of y. Neighbours in it share at most one coordinate, so they run
 * side by side. Where one head cannot keep all threads busy, heads go in groups whose tasks alternate; that leaves
 * the order within each head, and so every bit, as it is. Tickets go on from head to head of a slot: the next head
 * to use a slot waits, face by face, for the one before.
 */
#ifndef FLOYD_SCHEDULE_H
#define FLOYD_SCHEDULE_H

#include <pthread.h>

#include "plan/plan.h"

typedef struct floyd_task {
    int64_t head;
    int slot;
    int64_t n, m, k; /* parts; k is 0 in the forward */
    /* Which visit of the head to each face this is; the last is parts - 1 of the axis that the face lacks. */
    int64_t visit_nm, visit_nk, visit_km;
    int64_t face[3], ticket[3]; /* the schedule's own */
} floyd_task;

typedef struct floyd_schedule {
    const floyd_problem *problem;
    const floyd_plan *plan;
    char *slots; /* slot_bytes each; NULL in the forward */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t next, done, told; /* told: what the callback last heard */
    int waiting;
    bool cancelled;
} floyd_schedule;

void floyd_schedule_start(floyd_schedule *schedule, const floyd_problem *problem, const floyd_plan *plan,
                          char *slots);
/* After every thread has returned: tells the callback of the end. True when the call is cancelled. */
bool floyd_schedule_end(floyd_schedule *schedule);

/* Takes the next task and waits until it may start. False when none is left or the call is cancelled. */
bool floyd_schedule_claim(floyd_schedule *schedule, floyd_task *task);

/* Says that a claimed task is done; on thread 0, the caller's, it then tells the progress callback. */
void floyd_schedule_finish(floyd_schedule *schedule, const floyd_task *task, int thread);

#endif
