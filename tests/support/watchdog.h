/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For programs whose failure may be that they stand still: every thread says where it is, and a thread that watches
 * prints all of that and ends the process when it was not told in time that things go on.
 */
#ifndef FLOYD_TEST_WATCHDOG_H
#define FLOYD_TEST_WATCHDOG_H

#include <stdatomic.h>

typedef struct place {
    char name[32];
    _Atomic(const char *) what; /* a literal; NULL: has ended */
    atomic_int line;
    atomic_long step;
} place;

/* Watches from now on, and dies unless fed within so many seconds. Once in a process. */
void watchdog_start(int seconds);
/* Things go on: so many seconds from now. */
void watchdog_feed(int seconds);

/* A place for a thread; of one name there is one, which may be taken again when its thread has ended. */
place *watchdog_place(const char *kind, int index);

#define WATCH(p, text) (atomic_store(&(p)->line, __LINE__), atomic_store(&(p)->what, (text)))

/* What of this process may grow without need: bytes that are resident, bytes allocated and not freed, threads. */
typedef struct footprint {
    long resident, allocated, threads;
} footprint;

footprint footprint_now(void);

/* Whether a sanitizer is built in: it keeps memory and threads of its own, and takes its time. */
int sanitized(void);
/* ThreadSanitizer: a child of fork has to do without threads. */
int thread_sanitized(void);

#endif
