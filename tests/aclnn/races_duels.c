/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads at one object: one uses it, with pauses, while the other destroys it. The user may come too late, and
 * is then told so; who destroys is never refused, and nothing is left over.
 */
#include "races.h"

#include <sched.h>
#include <string.h>
#include <time.h>

enum { DUELS = 40 };

static _Atomic(void *) contested;
static atomic_bool settled;
static atomic_long uses; /* that succeeded; or that came in time, where none can succeed */

static void expect(aclError status, aclError otherwise, int line)
{
    const bool told = aclGetRecentErrMsg() != NULL;
    if (status != ACL_SUCCESS && status != otherwise) races_die(__FILE__, line, "the status of a duel", status);
    if ((status == ACL_SUCCESS) == told) races_die(__FILE__, line, "a message, or none", status);
    if (status == ACL_SUCCESS) atomic_fetch_add(&uses, 1);
}

#define EXPECT(otherwise, call) expect((call), (otherwise), __LINE__)

/* The rounds: make() gives an object, and unmake() must succeed whatever the other thread does with it meanwhile.
 */
static void duel(void *(*use)(void *), void *(*make)(void), aclError (*unmake)(void *), uint64_t seed)
{
    pthread_t other;
    atomic_store(&settled, false);
    atomic_store(&contested, NULL);
    TRUE(pthread_create(&other, NULL, use, NULL) == 0);
    for (int i = 0; i < DUELS; i++) {
        void *made = make();
        const long before = atomic_load(&uses);
        atomic_store(&contested, made);
        while (atomic_load(&uses) == before) sched_yield();
        nanosleep(&(struct timespec){.tv_nsec = (long)(next_random(&seed) % 2000000)}, NULL);
        TRUE(unmake(made) == ACL_SUCCESS);
    }
    atomic_store(&settled, true);
    TRUE(pthread_join(other, NULL) == 0);
}

static void begin_use(void)
{
    races_pause_here();
    while (atomic_load(&contested) == NULL) sched_yield();
}

/* ---- Contexts, in which the other makes streams: one may be gone before its maker has returned ----------------
 */

static void *make_context(void)
{
    aclrtContext made = NULL;
    TRUE(aclrtCreateContext(&made, 0) == ACL_SUCCESS);
    return made;
}

static void *make_streams(void *unused)
{
    begin_use();
    while (!atomic_load(&settled)) {
        aclrtStream made = NULL;
        aclError status = aclrtSetCurrentContext(atomic_load(&contested));
        if (status == ACL_SUCCESS)
            status = aclrtCreateStream(&made);
        else
            TRUE(status == ACL_ERROR_RT_INVALID_HANDLE);
        if (status == ACL_ERROR_RT_INVALID_HANDLE) status = ACL_ERROR_RT_CONTEXT_NULL;
        EXPECT(ACL_ERROR_RT_CONTEXT_NULL, status);
    }
    return unused;
}

/* ---- Streams, to whose callbacks the other subscribes ---------------------------------------------------------
 */

static aclrtContext arena;

static void *make_stream(void)
{
    aclrtStream made = NULL;
    TRUE(aclrtCreateStream(&made) == ACL_SUCCESS);
    return made;
}

static void *subscribe(void *unused)
{
    begin_use();
    TRUE(aclrtSetCurrentContext(arena) == ACL_SUCCESS);
    const uint64_t self = (uint64_t)pthread_self();
    while (!atomic_load(&settled)) {
        aclrtStream stream = atomic_load(&contested);
        const aclError status = aclrtSubscribeReport(self, stream);
        EXPECT(ACL_ERROR_RT_INVALID_HANDLE, status);
        if (status == ACL_SUCCESS && aclrtUnSubscribeReport(self, stream) != ACL_SUCCESS)
            (void)aclGetRecentErrMsg();
    }
    /* With every stream its subscription has gone. */
    TRUE(aclrtProcessReport(0) == ACL_ERROR_RT_THREAD_SUBSCRIBE);
    (void)aclGetRecentErrMsg();
    return unused;
}

/* ---- Executors, which the other launches without a workspace ------------------------------------------ */

static call refused;

static void *make_executor(void)
{
    TRUE(call_phase_one(&refused) == ACLNN_SUCCESS);
    return refused.executor;
}

static aclError unmake_executor(void *executor)
{
    return aclDestroyAclOpExecutor(executor);
}

static void *launch(void *unused)
{
    begin_use();
    while (!atomic_load(&settled)) {
        TRUE(FORWARD.launch(NULL, 0, atomic_load(&contested), NULL) == ACLNN_ERR_PARAM_INVALID);
        const char *message = aclGetRecentErrMsg();
        TRUE(message != NULL);
        if (strstr(message, "workspaceSize") != NULL)
            atomic_fetch_add(&uses, 1);
        else
            TRUE(strstr(message, "destroyed") != NULL);
    }
    return unused;
}

void duels(uint64_t seed)
{
    const spec s = smallest();
    duel(make_streams, make_context, aclrtDestroyContext, seed);
    TRUE(aclrtCreateContext(&arena, 0) == ACL_SUCCESS);
    duel(subscribe, make_stream, aclrtDestroyStream, seed + 1);
    TRUE(aclrtDestroyContext(arena) == ACL_SUCCESS);
    call_open_unfilled(&refused, &FORWARD, &s);
    duel(launch, make_executor, unmake_executor, seed + 2);
    call_close(&refused);
}
