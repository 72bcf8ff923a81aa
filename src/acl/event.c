/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events. Each record of an event is an object of its own, done or not: a wait holds the record that it found, so a
 * later record or reset changes nothing for it. Waits therefore look back in the order of submission only, and
 * streams can never wait for one another in a ring.
 */
#include <stdlib.h>

#include "internal.h"

#define KNOWN_FLAGS (ACL_EVENT_SYNC | ACL_EVENT_CAPTURE_STREAM_PROGRESS | ACL_EVENT_TIME_LINE)

typedef struct record {
    unsigned references; /* guarded by the event's monitor, as is the rest */
    bool done;
    int64_t ns; /* when */
} record;

typedef struct event {
    acl_object object;
    bool ex;
    uint32_t flags; /* constant */
    acl_monitor monitor;
    record *last; /* NULL: never recorded, or reset; guarded by monitor */
} event;

/* A record on its way through a queue, with references to both. */
typedef struct passage {
    event *event;
    record *record;
} passage;

static void unreference(record *r)
{
    if (r != NULL && --r->references == 0) free(r);
}

static void free_event(acl_object *object)
{
    event *e = (event *)object;
    unreference(e->last);
    acl_monitor_destroy(&e->monitor);
    free(e);
}

static aclError get_event(const char *function, const char *argument, aclrtEvent handle, event **e)
{
    *e = NULL;
    if (handle == NULL) return acl_report_null(function, argument);
    *e = (event *)acl_get(handle, ACL_KIND_EVENT);
    if (*e != NULL) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: %s is %p, not an event that exists", function, argument,
                      handle);
}

static aclError create(const char *function, aclrtEvent *handle, bool ex, uint32_t flags)
{
    if (handle == NULL) return acl_report_null(function, "event");
    if (flags == 0 || (flags & ~KNOWN_FLAGS) != 0) {
        return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: flag is 0x%x; it needs one or more of ACL_EVENT_*",
                          function, (unsigned)flags);
    }
    aclError status = acl_check_context(function);
    if (status != ACL_SUCCESS) return status;
    event *e = calloc(1, sizeof *e);
    if (e == NULL) return acl_report_no_memory(function);
    e->ex = ex;
    e->flags = flags;
    if (acl_monitor_init(&e->monitor)) {
        void *made = acl_open(&e->object, ACL_KIND_EVENT, free_event, NULL);
        if (made != NULL) {
            *handle = made;
            return ACL_SUCCESS;
        }
        acl_monitor_destroy(&e->monitor);
    }
    free(e);
    return acl_report_no_memory(function);
}

aclError aclrtCreateEvent(aclrtEvent *handle)
{
    return create(__func__, handle, false, KNOWN_FLAGS);
}

aclError aclrtCreateEventWithFlag(aclrtEvent *handle, uint32_t flag)
{
    return create(__func__, handle, false, flag);
}

aclError aclrtCreateEventExWithFlag(aclrtEvent *handle, uint32_t flag)
{
    return create(__func__, handle, true, flag);
}

aclError aclrtDestroyEvent(aclrtEvent handle)
{
    if (handle == NULL) return acl_report_null(__func__, "event");
    acl_object *object = acl_close(handle, ACL_KIND_EVENT);
    if (object == NULL) {
        return acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: %p is not an event that exists", __func__, handle);
    }
    acl_remove(object);
    return ACL_SUCCESS;
}

/* ---- On a stream ------------------------------------------------------------------------------------------- */

static void drop_passage(void *user)
{
    passage *p = user;
    acl_monitor_lock(&p->event->monitor);
    unreference(p->record);
    acl_monitor_unlock(&p->event->monitor);
    acl_put(&p->event->object);
    free(p);
}

static aclError pass_record(void *user)
{
    passage *p = user;
    acl_monitor_lock(&p->event->monitor);
    p->record->ns = acl_now_ns();
    p->record->done = true;
    acl_monitor_broadcast(&p->event->monitor);
    acl_monitor_unlock(&p->event->monitor);
    return ACL_SUCCESS;
}

static bool wait_for_record(event *e, const record *r, const acl_deadline *deadline)
{
    bool in_time = true;
    while (!r->done && in_time) in_time = acl_monitor_wait(&e->monitor, deadline);
    return r->done;
}

static aclError pass_wait(void *user)
{
    static const acl_deadline never = {.forever = true};
    passage *p = user;
    acl_monitor_lock(&p->event->monitor);
    wait_for_record(p->event, p->record, &never);
    acl_monitor_unlock(&p->event->monitor);
    return ACL_SUCCESS;
}

/* Queues one of the two; takes a reference to the event, and over the caller's to the record. */
static aclError enqueue(const char *function, acl_stream *stream, event *e, record *r, aclError (*run)(void *))
{
    passage *p = malloc(sizeof *p);
    if (p != NULL) {
        *p = (passage){(event *)acl_get(e->object.handle, ACL_KIND_EVENT), r};
        if (p->event != NULL) {
            aclError status = acl_stream_enqueue(function, stream, (acl_work){run, drop_passage, p}, NULL);
            if (status != ACL_SUCCESS) drop_passage(p);
            return status;
        }
    }
    acl_monitor_lock(&e->monitor);
    unreference(r);
    acl_monitor_unlock(&e->monitor);
    if (p == NULL) return acl_report_no_memory(function);
    free(p);
    return acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: the event is being destroyed", function);
}

/* The event and the stream with a reference to each, or neither. */
static aclError get_both(const char *function, aclrtEvent event_handle, aclrtStream stream_handle, event **e,
                         acl_stream **stream)
{
    aclError status = get_event(function, "event", event_handle, e);
    if (status != ACL_SUCCESS) return status;
    status = acl_stream_get(function, stream_handle, stream);
    if (status != ACL_SUCCESS) acl_put(&(*e)->object);
    return status;
}

static aclError record_on(const char *function, event *e, acl_stream *stream)
{
    record *r = malloc(sizeof *r);
    if (r == NULL) return acl_report_no_memory(function);
    *r = (record){.references = 2}; /* the queue's and the event's */
    aclError status = enqueue(function, stream, e, r, pass_record);
    acl_monitor_lock(&e->monitor);
    if (status == ACL_SUCCESS) {
        unreference(e->last);
        e->last = r;
    } else {
        unreference(r);
    }
    acl_monitor_unlock(&e->monitor);
    return status;
}

aclError aclrtRecordEvent(aclrtEvent handle, aclrtStream stream_handle)
{
    event *e;
    acl_stream *stream;
    aclError status = get_both(__func__, handle, stream_handle, &e, &stream);
    if (status != ACL_SUCCESS) return status;
    status = record_on(__func__, e, stream);
    acl_put(&stream->object);
    acl_put(&e->object);
    return status;
}

static aclError check_flag(const char *function, const char *argument, const event *e, uint32_t flag,
                           const char *name)
{
    if ((e->flags & flag) != 0) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: %s was made without %s", function, argument, name);
}

/* The last record with a reference for the caller, or NULL. */
static record *last_record(event *e)
{
    acl_monitor_lock(&e->monitor);
    record *r = e->last;
    if (r != NULL) r->references += 1;
    acl_monitor_unlock(&e->monitor);
    return r;
}

static aclError wait_on(const char *function, event *e, acl_stream *stream)
{
    aclError status = check_flag(function, "event", e, ACL_EVENT_SYNC, "ACL_EVENT_SYNC");
    if (status != ACL_SUCCESS) return status;
    record *r = last_record(e);
    if (r != NULL) return enqueue(function, stream, e, r, pass_wait);
    if (e->ex) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: the event was not recorded; it needs aclrtRecordEvent first",
                      function);
}

aclError aclrtStreamWaitEvent(aclrtStream stream_handle, aclrtEvent handle)
{
    event *e;
    acl_stream *stream;
    aclError status = get_both(__func__, handle, stream_handle, &e, &stream);
    if (status != ACL_SUCCESS) return status;
    status = wait_on(__func__, e, stream);
    acl_put(&stream->object);
    acl_put(&e->object);
    return status;
}

static aclError check_not_ex(const char *function, const event *e)
{
    if (!e->ex) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "%s: not for events of aclrtCreateEventExWithFlag",
                      function);
}

aclError aclrtResetEvent(aclrtEvent handle, aclrtStream stream_handle)
{
    event *e;
    acl_stream *stream;
    aclError status = get_both(__func__, handle, stream_handle, &e, &stream);
    if (status != ACL_SUCCESS) return status;
    status = check_not_ex(__func__, e);
    if (status == ACL_SUCCESS) status = check_flag(__func__, "event", e, ACL_EVENT_SYNC, "ACL_EVENT_SYNC");
    if (status == ACL_SUCCESS) {
        acl_monitor_lock(&e->monitor);
        unreference(e->last);
        e->last = NULL;
        acl_monitor_unlock(&e->monitor);
    }
    acl_put(&stream->object);
    acl_put(&e->object);
    return status;
}

/* ---- From the host ----------------------------------------------------------------------------------------- */

/* Whether the last record is done; blank when there is none. */
static bool is_done(event *e, bool blank)
{
    acl_monitor_lock(&e->monitor);
    bool done = e->last != NULL ? e->last->done : blank;
    acl_monitor_unlock(&e->monitor);
    return done;
}

aclError aclrtQueryEvent(aclrtEvent handle, aclrtEventStatus *status)
{
    if (status == NULL) return acl_report_null(__func__, "status");
    event *e;
    aclError error = get_event(__func__, "event", handle, &e);
    if (error != ACL_SUCCESS) return error;
    error = check_not_ex(__func__, e);
    if (error == ACL_SUCCESS) *status = is_done(e, true) ? ACL_EVENT_STATUS_COMPLETE : ACL_EVENT_STATUS_NOT_READY;
    acl_put(&e->object);
    return error;
}

aclError aclrtQueryEventStatus(aclrtEvent handle, aclrtEventRecordedStatus *status)
{
    if (status == NULL) return acl_report_null(__func__, "status");
    event *e;
    aclError error = get_event(__func__, "event", handle, &e);
    if (error != ACL_SUCCESS) return error;
    *status = is_done(e, e->ex) ? ACL_EVENT_RECORDED_STATUS_COMPLETE : ACL_EVENT_RECORDED_STATUS_NOT_READY;
    acl_put(&e->object);
    return ACL_SUCCESS;
}

static aclError synchronize(const char *function, aclrtEvent handle, int32_t timeout)
{
    event *e;
    aclError status = acl_check_timeout(function, timeout);
    if (status == ACL_SUCCESS) status = acl_check_may_wait(function);
    if (status == ACL_SUCCESS) status = get_event(function, "event", handle, &e);
    if (status != ACL_SUCCESS) return status;
    acl_deadline deadline = acl_deadline_in(timeout);
    record *r = last_record(e);
    if (r != NULL) {
        acl_monitor_lock(&e->monitor);
        bool done = wait_for_record(e, r, &deadline);
        unreference(r);
        acl_monitor_unlock(&e->monitor);
        if (!done) {
            status = acl_report(ACL_ERROR_RT_EVENT_SYNC_TIMEOUT, "%s: the event was not complete after %d ms",
                                function, (int)timeout);
        }
    }
    acl_put(&e->object);
    return status;
}

aclError aclrtSynchronizeEvent(aclrtEvent handle)
{
    return synchronize(__func__, handle, ACL_FOREVER);
}

aclError aclrtSynchronizeEventWithTimeout(aclrtEvent handle, int32_t timeout)
{
    return synchronize(__func__, handle, timeout);
}

static aclError time_of(const char *function, const char *argument, aclrtEvent handle, int64_t *ns)
{
    event *e;
    aclError status = get_event(function, argument, handle, &e);
    if (status != ACL_SUCCESS) return status;
    status = check_flag(function, argument, e, ACL_EVENT_TIME_LINE, "ACL_EVENT_TIME_LINE");
    if (status == ACL_SUCCESS) {
        acl_monitor_lock(&e->monitor);
        record last = e->last != NULL ? *e->last : (record){0};
        acl_monitor_unlock(&e->monitor);
        *ns = last.ns;
        if (last.references == 0)
            status =
                acl_report(ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID, "%s: %s was not recorded", function, argument);
        else if (!last.done)
            status = acl_report(ACL_ERROR_RT_EVENT_NOT_COMPLETE, "%s: %s is not complete", function, argument);
    }
    acl_put(&e->object);
    return status;
}

aclError aclrtEventElapsedTime(float *ms, aclrtEvent startEvent, aclrtEvent endEvent)
{
    if (ms == NULL) return acl_report_null(__func__, "ms");
    int64_t start, end;
    aclError status = time_of(__func__, "startEvent", startEvent, &start);
    if (status == ACL_SUCCESS) status = time_of(__func__, "endEvent", endEvent, &end);
    if (status == ACL_SUCCESS) *ms = (float)((double)(end - start) / 1e6);
    return status;
}
