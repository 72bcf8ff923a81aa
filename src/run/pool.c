/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

/* A run in progress, on the stack of the thread that called. */
typedef struct crew {
    void (*job)(void *user, int index);
    void *user;
    int busy;
    pthread_cond_t done;
} crew;

/* Lives on the worker's own stack, so that making one takes no memory but the thread's. */
struct floyd_worker {
    pthread_t thread;
    pthread_cond_t wake;
    crew *crew; /* NULL: nothing to do */
    int index;
    bool quit;
    floyd_worker *next;
};

/* One lock for all: held for a few instructions, a few times per call, and while a worker is made. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static floyd_worker *idle;
static bool watched;   /* fork holds the lock; guarded by it, as is: */
static unsigned forks; /* between the process that loaded the library and this one */

/* ---- fork ---------------------------------------------------------------------------------------- */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}
static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
    idle = NULL; /* those threads did not come along */
    forks++;
    pthread_mutex_unlock(&lock);
}

/* With the lock held. 0 or an errno value; the next call then tries again. */
static int watch_forks(void)
{
    if (watched) return 0;
    const int error = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    watched = error == 0;
    return error;
}

/* From the beginning: nobody can be within fork, past the handlers that come before it, when the lock is first
 * taken. */
__attribute__((constructor)) static void begin(void)
{
    pthread_mutex_lock(&lock);
    (void)watch_forks();
    pthread_mutex_unlock(&lock);
}

/* ---- a worker ------------------------------------------------------------------------------------ */

typedef struct birth {
    floyd_worker *worker;
    pthread_cond_t born;
} birth;

static void make_idle(floyd_worker *worker)
{
    worker->crew = NULL;
    worker->next = idle;
    idle = worker;
}

static void *work(void *argument)
{
    birth *made = argument;
    floyd_worker self = {.thread = pthread_self()};
    pthread_cond_init(&self.wake, NULL);
    pthread_mutex_lock(&lock);
    made->worker = &self;
    pthread_cond_signal(&made->born);
    for (;;) {
        while (!self.crew && !self.quit) pthread_cond_wait(&self.wake, &lock);
        if (self.quit) break;
        crew *team = self.crew;
        pthread_mutex_unlock(&lock);
        team->job(team->user, self.index);
        pthread_mutex_lock(&lock);
        make_idle(&self);
        if (--team->busy == 0) pthread_cond_signal(&team->done);
    }
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&self.wake);
    return NULL; /* NOLINT(clang-analyzer-core.StackAddressEscape): who sets quit took it out of the idle ones */
}

/*
 * Starts a worker and waits until it can be given work. The lock is held. Signals stay with the program's threads,
 * but for those that a thread raises itself: a mapped file may shrink under it, and the program may handle that.
 */
static int start(floyd_worker **worker)
{
    birth made = {NULL, PTHREAD_COND_INITIALIZER};
    static const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    sigset_t every, before;
    pthread_t thread;
    sigfillset(&every);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&every, faults[i]);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    const int error = pthread_create(&thread, NULL, work, &made);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) return error;
    while (!made.worker) pthread_cond_wait(&made.born, &lock);
    pthread_cond_destroy(&made.born);
    *worker = made.worker;
    return 0;
}

/* ---- leases -------------------------------------------------------------------------------------- */

static void give_back(floyd_lease *lease)
{
    while (lease->workers) {
        floyd_worker *worker = lease->workers;
        lease->workers = worker->next;
        make_idle(worker);
    }
    lease->count = 0;
}

int floyd_pool_lease(floyd_lease *lease, int count)
{
    lease->workers = NULL;
    lease->count = 0;
    if (count <= 0) return 0;
    pthread_mutex_lock(&lock);
    int error = watch_forks();
    while (lease->count < count && error == 0) {
        floyd_worker *worker = idle;
        if (worker)
            idle = worker->next;
        else
            error = start(&worker);
        if (error != 0) break;
        worker->next = lease->workers;
        lease->workers = worker;
        lease->count++;
    }
    if (error != 0) give_back(lease);
    pthread_mutex_unlock(&lock);
    return error;
}

void floyd_pool_run(floyd_lease *lease, void (*job)(void *user, int index), void *user)
{
    crew team = {job, user, lease->count, PTHREAD_COND_INITIALIZER};
    if (team.busy == 0) {
        job(user, 0);
        return;
    }
    pthread_mutex_lock(&lock);
    const unsigned process = forks;
    int index = 0;
    for (floyd_worker *worker = lease->workers, *next; worker; worker = next) {
        next = worker->next;
        worker->index = ++index;
        worker->crew = &team;
        pthread_cond_signal(&worker->wake);
    }
    lease->workers = NULL;
    pthread_mutex_unlock(&lock);
    job(user, 0);
    pthread_mutex_lock(&lock);
    /* The job may have forked, in a callback of the program's: in the child there is nobody to wait for. */
    while (team.busy > 0 && forks == process) pthread_cond_wait(&team.done, &lock);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&team.done);
}

/* At exit, workers that wait are ended, so that leak checkers find nothing; one that still computes is left alone.
 */
__attribute__((destructor)) static void end_idle(void)
{
    pthread_mutex_lock(&lock);
    while (idle) {
        floyd_worker *worker = idle;
        const pthread_t thread = worker->thread;
        idle = worker->next;
        worker->quit = true;
        pthread_cond_signal(&worker->wake);
        pthread_mutex_unlock(&lock);
        pthread_join(thread, NULL);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
}
