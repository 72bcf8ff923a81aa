/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <string.h>

typedef struct counter {
    int64_t issued, passed;
} counter;

static int64_t faces(const floyd_plan *plan)
{
    return plan->n.parts * plan->m.parts + plan->n.parts * plan->k.parts + plan->k.parts * plan->m.parts;
}

static counter *counters(const floyd_schedule *s, int slot)
{
    return (counter *)(s->slots + (size_t)slot * s->plan->slot_bytes + s->plan->slot.tickets);
}

void floyd_schedule_start(floyd_schedule *s, const floyd_problem *problem, const floyd_plan *plan, char *slots)
{
    memset(s, 0, sizeof *s);
    s->problem = problem;
    s->plan = plan;
    s->slots = slots;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    for (int slot = 0; slots && slot < plan->slots; slot++)
        memset(counters(s, slot), 0, (size_t)faces(plan) * sizeof(counter));
}

bool floyd_schedule_end(floyd_schedule *s)
{
    const floyd_problem *p = s->problem;
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->moved);
    /* The last task may have been another thread's. */
    if (p->progress && !s->cancelled && s->told < s->done)
        s->cancelled = p->progress(p->progress_user, s->done, s->plan->tasks) != 0;
    return s->cancelled;
}

/* Heads go in groups, whose tasks alternate; the last group may be smaller. Returns the index within the head. */
static int64_t place_head(const floyd_schedule *s, int64_t index, floyd_task *task)
{
    const floyd_plan *plan = s->plan;
    const int64_t first = index / (plan->head_tasks * plan->group) * plan->group;
    const int64_t left = plan->heads - first, size = left < plan->group ? left : plan->group;
    const int64_t inside = index - first * plan->head_tasks;
    task->head = first + inside % size;
    task->slot = (int)(task->head % plan->slots);
    return inside / size;
}

/* The axes by number of parts, most first; equal ones keep the order m, k, n. */
static void rank_axes(const floyd_plan *plan, floyd_task *task, int64_t *part[3], int64_t parts[3])
{
    int64_t *const to[3] = {&task->m, &task->k, &task->n};
    const int64_t count[3] = {plan->m.parts, plan->k.parts, plan->n.parts};
    for (int i = 0; i < 3; i++) {
        int at = i;
        for (; at > 0 && parts[at - 1] < count[i]; at--) {
            parts[at] = parts[at - 1];
            part[at] = part[at - 1];
        }
        parts[at] = count[i];
        part[at] = to[i];
    }
}

/* Where task number `index` of the list lies. */
static void place(const floyd_schedule *s, int64_t index, floyd_task *task)
{
    const int64_t inside = place_head(s, index, task);
    if (!s->slots) {
        task->m = inside % s->plan->m.parts;
        task->n = inside / s->plan->m.parts;
        task->k = 0;
        return;
    }
    int64_t *part[3], parts[3];
    rank_axes(s->plan, task, part, parts);
    *part[0] = inside % parts[0];
    *part[2] = inside / parts[0] % parts[2];
    *part[1] = (*part[0] + *part[2] + inside / parts[0] / parts[2]) % parts[1];
}

static void take_tickets(const floyd_schedule *s, floyd_task *task)
{
    const int64_t n = s->plan->n.parts, m = s->plan->m.parts, k = s->plan->k.parts;
    const int64_t visits[3] = {k, m, n}, earlier = task->head / s->plan->slots;
    int64_t visit[3];
    task->face[0] = task->n * m + task->m;
    task->face[1] = n * m + task->n * k + task->k;
    task->face[2] = n * m + n * k + task->k * m + task->m;
    for (int i = 0; i < 3; i++) {
        task->ticket[i] = counters(s, task->slot)[task->face[i]].issued++;
        visit[i] = task->ticket[i] - earlier * visits[i];
    }
    task->visit_nm = visit[0], task->visit_nk = visit[1], task->visit_km = visit[2];
}

static bool may_start(const floyd_schedule *s, const floyd_task *task)
{
    const counter *all = counters(s, task->slot);
    for (int i = 0; i < 3; i++)
        if (all[task->face[i]].passed != task->ticket[i]) return false;
    return true;
}

bool floyd_schedule_claim(floyd_schedule *s, floyd_task *task)
{
    pthread_mutex_lock(&s->lock);
    bool taken = !s->cancelled && s->next < s->plan->tasks;
    if (taken) {
        place(s, s->next++, task);
        if (s->slots) {
            take_tickets(s, task);
            s->waiting++;
            while (!s->cancelled && !may_start(s, task)) pthread_cond_wait(&s->moved, &s->lock);
            s->waiting--;
            taken = !s->cancelled;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return taken;
}

static void cancel(floyd_schedule *s)
{
    pthread_mutex_lock(&s->lock);
    s->cancelled = true;
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

void floyd_schedule_finish(floyd_schedule *s, const floyd_task *task, int thread)
{
    pthread_mutex_lock(&s->lock);
    const int64_t done = ++s->done;
    if (s->slots) {
        for (int i = 0; i < 3; i++) counters(s, task->slot)[task->face[i]].passed++;
        if (s->waiting > 0) pthread_cond_broadcast(&s->moved);
    }
    pthread_mutex_unlock(&s->lock);
    const floyd_problem *p = s->problem;
    if (thread != 0 || !p->progress) return;
    s->told = done;
    if (p->progress(p->progress_user, done, s->plan->tasks) != 0) cancel(s);
}
