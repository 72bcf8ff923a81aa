/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "watchdog.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PLACES = 128 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static place places[MOST_PLACES];
static int count;
static time_t due;

static time_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void tell_where(void)
{
    fprintf(stderr, "watchdog: nothing has moved in time; the threads are at:\n");
    for (int i = 0; i < count; i++) {
        const char *what = atomic_load(&places[i].what);
        if (what == NULL) continue;
        fprintf(stderr, "  %-16s %s, line %d, step %ld\n", places[i].name, what, atomic_load(&places[i].line),
                atomic_load(&places[i].step));
    }
}

static void *watch(void *unused)
{
    (void)unused;
    for (;;) {
        usleep(200000);
        pthread_mutex_lock(&lock);
        if (now() > due) {
            tell_where();
            _exit(99);
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

void watchdog_feed(int seconds)
{
    pthread_mutex_lock(&lock);
    due = now() + seconds;
    pthread_mutex_unlock(&lock);
}

void watchdog_start(int seconds)
{
    pthread_t thread;
    /* Large blocks go back to the system when they are freed, and so resident memory is what the program needs. */
    mallopt(M_MMAP_THRESHOLD, 65536);
    watchdog_feed(seconds);
    if (pthread_create(&thread, NULL, watch, NULL) != 0 || pthread_detach(thread) != 0) abort();
}

place *watchdog_place(const char *kind, int index)
{
    char name[sizeof places[0].name];
    snprintf(name, sizeof name, "%s %d", kind, index);
    pthread_mutex_lock(&lock);
    int i = 0;
    while (i < count && strcmp(places[i].name, name) != 0) i++;
    if (i == count && count++ == MOST_PLACES) abort();
    memcpy(places[i].name, name, sizeof name);
    pthread_mutex_unlock(&lock);
    return &places[i];
}

static long field_of_status(const char *key)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && value < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0) value = strtol(line + strlen(key), NULL, 10);
    if (file != NULL) fclose(file);
    return value;
}

footprint footprint_now(void)
{
    footprint f = {.threads = field_of_status("Threads:")};
    if (!sanitized()) {
        const struct mallinfo2 info = mallinfo2();
        f.allocated = (long)(info.uordblks + info.hblkhd);
    }
    f.resident = field_of_status("VmRSS:") * 1024;
    return f;
}

#if defined(__SANITIZE_ADDRESS__)
enum { ADDRESSES = 1 };
#elif defined(__has_feature)
enum { ADDRESSES = __has_feature(address_sanitizer) };
#else
enum { ADDRESSES = 0 };
#endif
#if defined(__SANITIZE_THREAD__)
enum { THREADS = 1 };
#elif defined(__has_feature)
enum { THREADS = __has_feature(thread_sanitizer) };
#else
enum { THREADS = 0 };
#endif

int sanitized(void)
{
    return ADDRESSES || THREADS;
}

int thread_sanitized(void)
{
    return THREADS;
}
