/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the host in a stream's order: on the stream's own thread (aclrtLaunchHostFunc), or on a thread of
 * the program that subscribed to the stream and asks for them (aclrtLaunchCallback). The latter pass through one
 * queue of calls; the stream's thread puts a call there in its turn and, for a blocking one, waits until it was
 * made.
 */
#include <stdlib.h>

#include "internal.h"

typedef struct subscription {
    struct subscription *next;
    uint64_t thread;
    aclrtStream stream;
} subscription;

typedef enum call_state { CALL_NEW, CALL_POSTED, CALL_RUNNING, CALL_DONE, CALL_CANCELLED } call_state;

typedef struct call {
    struct call *next; /* among the posted */
    unsigned references;
    call_state state;
    uint64_t thread;
    aclrtStream stream;
    aclrtCallback function;
    void *user;
    bool blocks;
} call;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;
static acl_monitor monitor;         /* guards what follows, and the state of every call */
static subscription *subscriptions; /* one for each stream at most */
static call *posted;                /* in order */

static void make_monitor(void)
{
    usable = acl_monitor_init(&monitor);
}

static bool lock_calls(void)
{
    pthread_once(&once, make_monitor);
    if (usable) acl_monitor_lock(&monitor);
    return usable;
}

static void unlock_calls(void)
{
    acl_monitor_unlock(&monitor);
}

/* The child has none of the threads that subscribed or wait here: it begins with nothing. */
void acl_callback_fork(acl_fork_phase phase)
{
    if (phase == ACL_FORK_BEFORE) {
        lock_calls();
        return;
    }
    if (usable) unlock_calls();
    if (phase == ACL_FORK_CHILD) {
        subscriptions = NULL;
        posted = NULL;
        make_monitor();
    }
}

static void unreference(call *c)
{
    if (--c->references == 0) free(c);
}

static subscription **find_subscription(aclrtStream stream)
{
    subscription **s = &subscriptions;
    while (*s != NULL && (*s)->stream != stream) s = &(*s)->next;
    return s;
}

static bool is_subscribed(uint64_t thread)
{
    const subscription *s = subscriptions;
    while (s != NULL && s->thread != thread) s = s->next;
    return s != NULL;
}

/* Removes the subscription at s, and the calls of its stream that have not begun. */
static void end_subscription(subscription **s)
{
    subscription *gone = *s;
    *s = gone->next;
    for (call **p = &posted; *p != NULL;) {
        call *c = *p;
        if (c->stream == gone->stream) {
            *p = c->next;
            c->state = CALL_CANCELLED;
            unreference(c);
        } else {
            p = &c->next;
        }
    }
    free(gone);
    acl_monitor_broadcast(&monitor);
}

void acl_callback_forget(aclrtStream stream)
{
    if (!lock_calls()) return;
    subscription **s = find_subscription(stream);
    if (*s != NULL) end_subscription(s);
    unlock_calls();
}

static aclError subscribe(const char *function, uint64_t thread, aclrtStream stream)
{
    subscription *fresh = malloc(sizeof *fresh);
    if (fresh == NULL || !lock_calls()) {
        free(fresh);
        return acl_report_no_memory(function);
    }
    *fresh = (subscription){NULL, thread, stream};
    subscription **end = find_subscription(stream);
    bool taken = *end != NULL;
    if (!taken) *end = fresh;
    unlock_calls();
    if (!taken) return ACL_SUCCESS;
    free(fresh);
    return acl_report(ACL_ERROR_RT_STREAM_SUBSCRIBE, "%s: the stream has a thread for its callbacks already",
                      function);
}

aclError aclrtSubscribeReport(uint64_t threadId, aclrtStream stream)
{
    acl_stream *found;
    aclError status = acl_stream_get(__func__, stream, &found);
    if (status != ACL_SUCCESS) return status;
    void *handle = found->object.handle;
    status = subscribe(__func__, threadId, handle);
    acl_put(&found->object);
    /* Who destroys a stream closes it and then forgets its subscription, which may have been before this one. */
    acl_object *still = acl_get(handle, ACL_KIND_STREAM);
    if (still != NULL) {
        acl_put(still);
    } else if (status == ACL_SUCCESS) {
        acl_callback_forget(handle);
        status = acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: the stream is being destroyed", __func__);
    }
    return status;
}

static aclError unsubscribe(const char *function, uint64_t thread, aclrtStream stream)
{
    if (!lock_calls()) return acl_report_no_memory(function);
    subscription **s = find_subscription(stream);
    bool right = *s != NULL && (*s)->thread == thread;
    if (right) end_subscription(s);
    unlock_calls();
    if (right) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_THREAD_SUBSCRIBE, "%s: the thread is not the one for this stream's callbacks",
                      function);
}

aclError aclrtUnSubscribeReport(uint64_t threadId, aclrtStream stream)
{
    acl_stream *found;
    aclError status = acl_stream_get(__func__, stream, &found);
    if (status != ACL_SUCCESS) return status;
    status = unsubscribe(__func__, threadId, found->object.handle);
    acl_put(&found->object);
    return status;
}

/* ---- On the stream's thread --------------------------------------------------------------------------------- */

static void post(call *c)
{
    call **end = &posted;
    while (*end != NULL) end = &(*end)->next;
    *end = c;
    c->references += 1;
    c->state = CALL_POSTED;
    acl_monitor_broadcast(&monitor);
}

static aclError run_call(void *user)
{
    static const acl_deadline never = {.forever = true};
    call *c = user;
    lock_calls();
    const subscription *s = *find_subscription(c->stream);
    if (s != NULL) {
        c->thread = s->thread;
        post(c);
        while (c->blocks && c->state < CALL_DONE) acl_monitor_wait(&monitor, &never);
    } else {
        c->state = CALL_CANCELLED;
    }
    bool cancelled = c->state == CALL_CANCELLED;
    unlock_calls();
    if (!cancelled) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_STREAM_NO_CB_REG,
                      "aclrtLaunchCallback: the thread was unsubscribed before the callback began");
}

static void drop_call(void *user)
{
    lock_calls();
    unreference(user);
    unlock_calls();
}

static aclError launch(const char *function, acl_stream *stream, aclrtCallback fn, void *user, bool blocks)
{
    call *c = malloc(sizeof *c);
    if (c == NULL || !lock_calls()) {
        free(c);
        return acl_report_no_memory(function);
    }
    bool subscribed = *find_subscription(stream->object.handle) != NULL;
    unlock_calls();
    *c = (call){.references = 1, .stream = stream->object.handle, .function = fn, .user = user, .blocks = blocks};
    aclError status = subscribed ? acl_stream_enqueue(function, stream, (acl_work){run_call, drop_call, c}, NULL)
                                 : acl_report(ACL_ERROR_RT_STREAM_NO_CB_REG,
                                              "%s: no thread runs this stream's callbacks; it needs "
                                              "aclrtSubscribeReport first",
                                              function);
    if (status != ACL_SUCCESS) free(c);
    return status;
}

aclError aclrtLaunchCallback(aclrtCallback fn, void *userData, aclrtCallbackBlockType blockType, aclrtStream stream)
{
    if (fn == NULL) return acl_report_null(__func__, "fn");
    if (blockType != ACL_CALLBACK_NO_BLOCK && blockType != ACL_CALLBACK_BLOCK) {
        return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: blockType is %d, which is no aclrtCallbackBlockType",
                          __func__, (int)blockType);
    }
    acl_stream *found;
    aclError status = acl_stream_get(__func__, stream, &found);
    if (status != ACL_SUCCESS) return status;
    status = launch(__func__, found, fn, userData, blockType == ACL_CALLBACK_BLOCK);
    acl_put(&found->object);
    return status;
}

typedef struct host_call {
    aclrtHostFunc function;
    void *user;
} host_call;

static aclError run_host_call(void *user)
{
    const host_call *c = user;
    c->function(c->user);
    return ACL_SUCCESS;
}

aclError aclrtLaunchHostFunc(aclrtStream stream, aclrtHostFunc fn, void *args)
{
    if (fn == NULL) return acl_report_null(__func__, "fn");
    acl_stream *found;
    aclError status = acl_stream_get(__func__, stream, &found);
    if (status != ACL_SUCCESS) return status;
    host_call *c = malloc(sizeof *c);
    if (c != NULL) {
        *c = (host_call){fn, args};
        status = acl_stream_enqueue(__func__, found, (acl_work){run_host_call, free, c}, NULL);
        if (status != ACL_SUCCESS) free(c);
    } else {
        status = acl_report_no_memory(__func__);
    }
    acl_put(&found->object);
    return status;
}

/* ---- On the subscribed thread ------------------------------------------------------------------------------- */

/* Takes the first call for the thread out of the queue, with the queue's reference; NULL if there is none. */
static call *take_call(uint64_t thread)
{
    call **p = &posted;
    while (*p != NULL && (*p)->thread != thread) p = &(*p)->next;
    call *c = *p;
    if (c != NULL) {
        *p = c->next;
        c->state = CALL_RUNNING;
    }
    return c;
}

static void make_call(call *c)
{
    bool before = acl_enter_callback(true);
    c->function(c->user);
    acl_enter_callback(before);
    lock_calls();
    c->state = CALL_DONE;
    unreference(c);
    acl_monitor_broadcast(&monitor);
    unlock_calls();
}

aclError aclrtProcessReport(int32_t timeout)
{
    aclError status = acl_check_timeout(__func__, timeout);
    if (status == ACL_SUCCESS) status = acl_check_may_wait(__func__);
    if (status != ACL_SUCCESS) return status;
    uint64_t self = (uint64_t)pthread_self();
    acl_deadline deadline = acl_deadline_in(timeout);
    if (!lock_calls()) return acl_report_no_memory(__func__);
    call *c = NULL;
    bool subscribed, in_time = true;
    while ((subscribed = is_subscribed(self)) && (c = take_call(self)) == NULL && in_time)
        in_time = acl_monitor_wait(&monitor, &deadline);
    unlock_calls();
    if (c != NULL) {
        make_call(c);
        return ACL_SUCCESS;
    }
    if (subscribed) {
        return acl_report(ACL_ERROR_RT_REPORT_TIMEOUT, "%s: no callback came in %d ms", __func__, (int)timeout);
    }
    return acl_report(ACL_ERROR_RT_THREAD_SUBSCRIBE, "%s: this thread is subscribed to no stream", __func__);
}
