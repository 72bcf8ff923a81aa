/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pause behind some unlocks of a thread: others then have time to get in the way of what it does next.
 * The library's calls come here, since a program's symbols come before those of the libraries it is linked with.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "races.h"

#include <dlfcn.h>
#include <string.h>
#include <time.h>

/* clang links its runtime into the program: there is no next one to call. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_PAUSES
#endif
#endif

static _Thread_local uint64_t random_state; /* 0: this thread does not pause */

void races_pause_here(void)
{
    random_state = (uintptr_t)&random_state;
}

#ifndef NO_PAUSES
static int unlock(pthread_mutex_t *mutex)
{
    static _Thread_local int (*real)(pthread_mutex_t *);
    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "pthread_mutex_unlock");
        memcpy(&real, &symbol, sizeof real);
    }
    return real(mutex);
}

__attribute__((visibility("default"))) int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    const int status = unlock(mutex);
    const bool pause = random_state != 0 && next_random(&random_state) % 8 == 0;
    if (pause) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return status;
}
#endif
