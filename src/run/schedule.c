/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <string.h>
#include <unistd.h>

/* What the schedule knows of a head in flight. The arrays, of the plan's parts, follow the struct in its slot. */
typedef struct progress {
    int64_t head; /* whose it is; -1: nobody's yet */
    int64_t left; /* tasks not done */
} progress;

/* Tasks done on each face, in the order that the face demands; and whether one is at work along m. */
typedef struct faces {
    progress *of;
    int64_t *nm, *km, *nk, *busy;
} faces;

static faces faces_of(const floyd_schedule *s, int slot)
{
    const floyd_plan *p = s->plan;
    progress *of = (progress *)(s->slots + (size_t)slot * p->slot_bytes + p->slot.progress);
    int64_t *nm = (int64_t *)(of + 1), *km = nm + p->n.parts * p->m.parts, *nk = km + p->k.parts * p->m.parts;
    return (faces){of, nm, km, nk, nk + p->n.parts * p->k.parts};
}

void floyd_schedule_start(floyd_schedule *s, const floyd_problem *problem, const floyd_plan *plan, char *slots)
{
    memset(s, 0, sizeof *s);
    s->problem = problem;
    s->plan = plan;
    s->slots = slots;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, NULL);
    for (int slot = 0; slots && slot < plan->slots; slot++) faces_of(s, slot).of->head = -1;
}

bool floyd_schedule_end(floyd_schedule *s)
{
    const floyd_problem *p = s->problem;
    if (s->orphaned) return true; /* what waits on the condition in the parent would be waited for here */
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->moved);
    /* The last task may have been another thread's. */
    if (p->progress && !s->cancelled && s->told < s->done)
        s->cancelled = p->progress(p->progress_user, s->done, s->plan->tasks) != 0;
    return s->cancelled;
}

static void begin_head(const floyd_schedule *s, const faces *f, int64_t head)
{
    const floyd_plan *p = s->plan;
    memset(f->of, 0, p->slot.cleared_bytes);
    f->of->head = head;
    f->of->left = p->head_tasks;
}

/* The part of m that visit number `visit` to a face of part n brings. */
static int64_t m_of_visit(const floyd_plan *p, int64_t n, int64_t visit)
{
    const int64_t steps = p->m.parts > p->n.parts ? p->m.parts : p->n.parts;
    int64_t m = n;
    while (m >= p->m.parts || visit-- > 0) m = (m + 1) % steps;
    return m;
}

/* How many parts visit a face of part m before part n does. */
static int64_t visits_before(const floyd_plan *p, int64_t n, int64_t m)
{
    const int64_t steps = p->m.parts > p->n.parts ? p->m.parts : p->n.parts;
    int64_t before = 0;
    for (int64_t other = m; other != n; other = (other + steps - 1) % steps) before += other < p->n.parts;
    return before;
}

/* Takes a task of one head that may start; false when there is none. */
static bool take_from(const floyd_schedule *s, int64_t head, floyd_task *task)
{
    const floyd_plan *p = s->plan;
    const int slot = (int)(head % p->slots);
    const faces f = faces_of(s, slot);
    if (f.of->head != head) begin_head(s, &f, head);
    for (int64_t k = 0; k < p->k.parts; k++)
        for (int64_t n = 0; n < p->n.parts; n++) {
            const int64_t nk = n * p->k.parts + k;
            if (f.busy[nk] || f.nk[nk] == p->m.parts) continue;
            const int64_t m = m_of_visit(p, n, f.nk[nk]), before = visits_before(p, n, m);
            if (f.nm[n * p->m.parts + m] != k || f.km[k * p->m.parts + m] != before) continue;
            f.busy[nk] = 1;
            *task = (floyd_task){head, slot, n, m, k, f.nk[nk], before};
            return true;
        }
    return false;
}

static bool take(const floyd_schedule *s, floyd_task *task)
{
    const floyd_plan *p = s->plan;
    if (!s->slots) {
        const int64_t inside = s->claimed % p->head_tasks;
        *task = (floyd_task){s->claimed / p->head_tasks, 0, inside / p->m.parts, inside % p->m.parts, 0, 0, 0};
        return true;
    }
    for (int64_t head = s->oldest; head < s->oldest + p->slots && head < p->heads; head++)
        if (take_from(s, head, task)) return true;
    return false;
}

static void release(floyd_schedule *s, const floyd_task *task)
{
    const floyd_plan *p = s->plan;
    const faces f = faces_of(s, task->slot);
    f.nm[task->n * p->m.parts + task->m]++;
    f.km[task->k * p->m.parts + task->m]++;
    f.nk[task->n * p->k.parts + task->k]++;
    f.busy[task->n * p->k.parts + task->k] = 0;
    if (--f.of->left == 0 && s->head_done) s->head_done(s->head_done_user, task->head, task->slot);
    while (s->oldest < p->heads) {
        const progress *of = faces_of(s, (int)(s->oldest % p->slots)).of;
        if (of->head != s->oldest || of->left > 0) break;
        s->oldest++;
    }
    if (s->waiting > 0) pthread_cond_broadcast(&s->moved);
}

bool floyd_schedule_claim(floyd_schedule *s, floyd_task *task)
{
    bool taken = false;
    if (s->orphaned) return false;
    pthread_mutex_lock(&s->lock);
    while (!s->cancelled && s->claimed < s->plan->tasks && !(taken = take(s, task))) {
        s->waiting++;
        pthread_cond_wait(&s->moved, &s->lock);
        s->waiting--;
    }
    if (taken) s->claimed++;
    /* The last claim leaves nothing to wait for. */
    if (s->claimed == s->plan->tasks && s->waiting > 0) pthread_cond_broadcast(&s->moved);
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

void floyd_schedule_finish(floyd_schedule *s, const floyd_task *task)
{
    pthread_mutex_lock(&s->lock);
    s->done++;
    if (s->slots) release(s, task);
    pthread_mutex_unlock(&s->lock);
}

void floyd_schedule_tell(floyd_schedule *s, int thread)
{
    const floyd_problem *p = s->problem;
    if (thread != 0 || !p->progress) return;
    pthread_mutex_lock(&s->lock);
    const int64_t done = s->done;
    pthread_mutex_unlock(&s->lock);
    s->told = done;
    const pid_t process = getpid();
    const bool stop = p->progress(p->progress_user, done, s->plan->tasks) != 0;
    if (s->plan->threads > 1 && getpid() != process)
        s->orphaned = true;
    else if (stop)
        cancel(s);
}
