/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "storm.h"

#include "watchdog.h"

#include <fenv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static atomic_long hits, strangers;
static pid_t mine;

/*
 * What a handler does to the floating-point environment is its own affair: the kernel puts the thread's back. Not
 * so ThreadSanitizer, which calls handlers as functions, later.
 */
static void on_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&hits, 1);
    if (gettid() != mine) atomic_fetch_add(&strangers, 1);
    if (!thread_sanitized()) (void)fesetround(FE_UPWARD);
}

static void set_timer(long microseconds)
{
    const struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    if (setitimer(ITIMER_REAL, &timer, NULL) != 0) abort();
}

void storm_begin(void)
{
    struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    mine = gettid();
    atomic_store(&hits, 0);
    atomic_store(&strangers, 0);
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, NULL) != 0) abort();
    set_timer(200);
}

void storm_end(void)
{
    set_timer(0);
}

long storm_hits(void)
{
    return atomic_load(&hits);
}

long storm_strangers(void)
{
    return atomic_load(&strangers);
}

int blocks_all_but_faults(const void *set)
{
    for (int number = 1; number < 32; number++) {
        const int fault = number == SIGBUS || number == SIGFPE || number == SIGILL || number == SIGSEGV;
        if (number == SIGKILL || number == SIGSTOP) continue;
        if (sigismember(set, number) == fault) return 0;
    }
    return 1;
}
