/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which thread takes which task when.
 *
 * In the backward a task adds to three faces of its head's box, (n,m), (n,k) and (k,m). Every face is added to in
 * one order, whatever the threads do: (n,m) as k ascends; the others by steps, where task (n,m,k) has step m - n,
 * modulo the number of parts of m or of n, whichever is more. On each face a task waits for the one before it, so
 * nothing is added to twice at once; and what it waits for has a lesser k or a lesser step, so there is no
 * deadlock. All n of a step may run side by side, and those of another k follow. Of the tasks that may start, a
 * thread takes one of the oldest head, the least k, the least n: few threads stay near one another in K1 and V1. In
 * the forward tasks are independent.
 */
#ifndef FLOYD_SCHEDULE_H
#define FLOYD_SCHEDULE_H

#include <pthread.h>

#include "plan/plan.h"

typedef struct floyd_task {
    int64_t head;
    int slot;
    int64_t n, m, k;            /* parts; k is 0 in the forward */
    int64_t visit_nk, visit_km; /* which visit of the face this is, from 0; of (n,m) it is k */
} floyd_task;

typedef struct floyd_schedule {
    const floyd_problem *problem;
    const floyd_plan *plan;
    char *slots; /* slot_bytes each, for heads in flight: head h has slot h % plan->slots; NULL in the forward */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t oldest;              /* the first head that is not done */
    int64_t claimed, done, told; /* tasks; told: what the callback last heard */
    int waiting;
    bool cancelled;
    bool orphaned; /* this is the child of a fork in the callback: the other threads, and what they held, stayed
                      behind */
    void (*head_done)(void *user, int64_t head, int slot); /* after a head's last task, before its slot is reused */
    void *head_done_user;
} floyd_schedule;

void floyd_schedule_start(floyd_schedule *schedule, const floyd_problem *problem, const floyd_plan *plan,
                          char *slots);
/* After every thread has returned: tells the callback of the end. True when the call is cancelled. */
bool floyd_schedule_end(floyd_schedule *schedule);

/* Takes the next task and waits until it may start. False when none is left or the call is cancelled. */
bool floyd_schedule_claim(floyd_schedule *schedule, floyd_task *task);

/* Says that a claimed task is done. */
void floyd_schedule_finish(floyd_schedule *schedule, const floyd_task *task);

/* On thread 0, the caller's, tells the progress callback. */
void floyd_schedule_tell(floyd_schedule *schedule, int thread);

#endif
