/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that share a few contexts, streams and events, and make, use and destroy them without a word to one
 * another, the device included. Whatever a call meets, its status is one that is documented for that, with a
 * message; and each function of the host that was accepted runs once, though all around it goes.
 */
#include "races.h"

enum { SLOTS = 6, KINDS = 14 };

static _Atomic(void *) contexts[SLOTS], streams[SLOTS], events[SLOTS];
static atomic_long accepted, ran;

typedef struct intruder {
    pthread_t thread;
    int index, steps;
    uint64_t random;
} intruder;

static void run(void *unused)
{
    (void)unused;
    atomic_fetch_add(&ran, 1);
}

/* What documentation says of handles that others may destroy; and what of waits with a limit and of events. */
static void check(aclError status, int line)
{
    static const aclError known[] = {
        ACL_ERROR_RT_CONTEXT_NULL,     ACL_ERROR_RT_INVALID_HANDLE,      ACL_ERROR_RT_STREAM_CONTEXT,
        ACL_ERROR_RT_PARAM_INVALID,    ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, ACL_ERROR_RT_EVENT_SYNC_TIMEOUT,
        ACL_ERROR_REPEAT_INITIALIZE,   ACL_ERROR_REPEAT_FINALIZE,        ACL_ERROR_INVALID_PARAM,
        ACL_ERROR_RT_STREAM_SUBSCRIBE,
    };
    bool fine = status == ACL_SUCCESS;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) fine = fine || status == known[i];
    if (!fine) races_die(__FILE__, line, "chaos", status);
    const char *message = aclGetRecentErrMsg();
    if ((status == ACL_SUCCESS) != (message == NULL)) races_die(__FILE__, line, "a message, or none", status);
}

#define CHECK(call) check((call), __LINE__)

static void launch(aclrtStream stream)
{
    atomic_fetch_add(&accepted, 1);
    const aclError status = aclrtLaunchHostFunc(stream, run, NULL);
    if (status != ACL_SUCCESS) atomic_fetch_sub(&accepted, 1);
    CHECK(status);
}

static void make_stream(_Atomic(void *) *slot)
{
    aclrtStream made = NULL;
    const aclError status = aclrtCreateStream(&made);
    CHECK(status);
    if (status != ACL_SUCCESS) return;
    aclrtStream old = atomic_exchange(slot, made);
    if (old != NULL) CHECK(aclrtDestroyStream(old)); /* of another context, perhaps: it then goes with that */
}

static void make_context(_Atomic(void *) *slot)
{
    aclrtContext made = NULL;
    CHECK(aclrtCreateContext(&made, 0));
    aclrtContext old = atomic_exchange(slot, made);
    if (old != NULL) CHECK(aclrtDestroyContext(old));
}

static void make_event(_Atomic(void *) *slot)
{
    aclrtEvent made = NULL;
    const aclError status = aclrtCreateEvent(&made);
    CHECK(status);
    if (status != ACL_SUCCESS) return;
    aclrtEvent old = atomic_exchange(slot, made);
    if (old != NULL) CHECK(aclrtDestroyEvent(old));
}

static void step(intruder *w)
{
    const uint64_t draw = next_random(&w->random);
    void *context = atomic_load(&contexts[draw >> 8 & 3]), *stream = atomic_load(&streams[draw >> 16 & 3]);
    void *event = atomic_load(&events[draw >> 24 & 3]);
    aclrtStreamStatus streaming;
    aclrtEventRecordedStatus recorded;
    switch (draw % KINDS) {
    case 0:
        make_stream(&streams[draw >> 16 & 3]);
        break;
    case 1:
        make_context(&contexts[draw >> 8 & 3]);
        break;
    case 2:
        make_event(&events[draw >> 24 & 3]);
        break;
    case 3:
        CHECK(aclrtSetCurrentContext(context));
        break;
    case 4:
        CHECK(aclrtSetDevice(0));
        break;
    case 5:
        CHECK((draw >> 32 & 7) == 0 ? aclrtResetDeviceForce(0) : aclrtResetDevice(0));
        break;
    case 6:
        CHECK(aclrtRecordEvent(event, stream));
        break;
    case 7:
        CHECK(aclrtStreamWaitEvent(stream, event));
        break;
    case 8:
        CHECK(aclrtSynchronizeStreamWithTimeout(stream, (int32_t)(draw >> 32 & 1)));
        break;
    case 9:
        CHECK(aclrtSynchronizeEventWithTimeout(event, (int32_t)(draw >> 32 & 1)));
        break;
    case 10:
        CHECK(aclrtSynchronizeDevice());
        break;
    case 11:
        CHECK((draw >> 32 & 1) == 0 ? aclInit(NULL) : aclFinalize());
        break;
    case 12:
        CHECK(stream != NULL && (draw >> 32 & 3) == 0 ? aclrtDestroyStream(stream)
                                                      : aclrtStreamQuery(stream, &streaming));
        break;
    default:
        CHECK(aclrtQueryEventStatus(event, &recorded));
        break;
    }
    launch(stream);
    launch(NULL);
}

static void *intrude(void *user)
{
    intruder *w = user;
    if (w->index % 2 == 1) races_pause_here();
    place *at = watchdog_place("intruder", w->index);
    for (int i = 0; i < w->steps; i++) {
        atomic_store(&at->step, i);
        WATCH(at, "a step of chaos");
        step(w);
    }
    atomic_store(&at->what, NULL);
    return NULL;
}

static void clear(_Atomic(void *) *slots, aclError (*destroy)(void *))
{
    for (int i = 0; i < SLOTS; i++) {
        void *left = atomic_exchange(&slots[i], NULL);
        if (left != NULL) CHECK(destroy(left));
    }
}

void chaos(const load *how, uint64_t seed)
{
    intruder intruders[MOST_THREADS];
    for (int i = 0; i < how->threads; i++) {
        intruders[i] = (intruder){.index = i, .steps = how->works * 4, .random = seed * 977 + (uint64_t)i};
        TRUE(pthread_create(&intruders[i].thread, NULL, intrude, &intruders[i]) == 0);
    }
    for (int i = 0; i < how->threads; i++) TRUE(pthread_join(intruders[i].thread, NULL) == 0);
    clear(contexts, aclrtDestroyContext);
    clear(events, aclrtDestroyEvent);
    for (int i = 0; i < SLOTS; i++) atomic_store(&streams[i], NULL); /* they went with their contexts */
    CHECK(aclrtResetDeviceForce(0));
    TRUE(atomic_load(&accepted) == atomic_load(&ran));
    TRUE(atomic_load(&ran) > 0);
    (void)aclFinalize();
    (void)aclGetRecentErrMsg();
}
