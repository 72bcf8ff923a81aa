/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Put before the library with LD_PRELOAD, so that the command meets what a sound library on a fast machine never
 * shows it: long runs, wrong results, a file that changes at just the wrong moment. STAND_IN says which:
 *
 *   slow      a second of progress, then done           stubborn  a minute of no progress
 *   endless   a minute of progress                      wrong     one wrong element of y
 *   wait      the real call, but only once the file named by STAND_IN_GO is there
 *   unsteady  every call's first element of dq another one
 *   refuse    the status that STAND_IN_STATUS is the number of
 *
 * Every call makes the file named by STAND_IN_CALLED, if that is set.
 */
#include "floydattn.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_US = 10000, SECOND = 1000000 / TICK_US };

static int mode_is(const char *mode)
{
    const char *set = getenv("STAND_IN");
    return set && strcmp(set, mode) == 0;
}

static void announce(void)
{
    const char *path = getenv("STAND_IN_CALLED");
    if (path) close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void wait_for_go(void)
{
    const char *path = getenv("STAND_IN_GO");
    for (int tick = 0; path && access(path, F_OK) != 0 && tick < 60 * SECOND; tick++) usleep(TICK_US);
}

static floyd_status spend(const floyd_options *options, int ticks)
{
    for (int tick = 0; tick < ticks; tick++) {
        if (options->progress && options->progress(options->progress_user, tick, ticks))
            return FLOYD_ERROR_CANCELLED;
        usleep(TICK_US);
    }
    return FLOYD_OK;
}

/* Whether the real call is still to be made; if not, *status is the answer. */
static int go_on(const floyd_options *options, floyd_status *status)
{
    announce();
    if (mode_is("wait")) wait_for_go();
    for (int tick = 0; mode_is("stubborn") && tick < 60 * SECOND; tick++) usleep(TICK_US);
    if (mode_is("refuse")) {
        *status = (floyd_status)atoi(getenv("STAND_IN_STATUS"));
        return 0;
    }
    if (!mode_is("slow") && !mode_is("endless")) return 1;
    *status = spend(options, mode_is("slow") ? SECOND : 60 * SECOND);
    return 0;
}

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

FLOYD_API floyd_status floyd_forward(const floyd_forward_args *args, const floyd_options *options, void *workspace,
                                     size_t bytes)
{
    floyd_status (*call)(const floyd_forward_args *, const floyd_options *, void *, size_t);
    *(void **)&call = real("floyd_forward");
    floyd_status status;
    if (!go_on(options, &status)) return status;
    status = call(args, options, workspace, bytes);
    if (mode_is("wrong")) memset(args->y->data, 0x3c, floyd_dtype_size(args->y->dtype));
    return status;
}

FLOYD_API floyd_status floyd_backward(const floyd_backward_args *args, const floyd_options *options,
                                      void *workspace, size_t bytes)
{
    static int calls;
    floyd_status (*call)(const floyd_backward_args *, const floyd_options *, void *, size_t);
    *(void **)&call = real("floyd_backward");
    floyd_status status;
    if (!go_on(options, &status)) return status;
    status = call(args, options, workspace, bytes);
    if (mode_is("unsteady")) *(uint8_t *)args->dq->data ^= (uint8_t)(++calls & 1);
    return status;
}
