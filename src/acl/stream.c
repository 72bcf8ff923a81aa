/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream: a queue of works and the thread that runs them. Works are counted as they come and as they end; a wait
 * is for a count. The thread ends when the stream is closing and the queue is empty, so whatever was accepted runs.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The next work, or NULL when there will be none. */
static acl_node *next_work(acl_stream *stream)
{
    static const acl_deadline never = {.forever = true};
    acl_monitor_lock(&stream->monitor);
    while (stream->first == NULL && !stream->closing) acl_monitor_wait(&stream->monitor, &never);
    acl_node *node = stream->first;
    if (node != NULL) {
        stream->first = node->next;
        if (stream->first == NULL) stream->last = NULL;
    }
    acl_monitor_unlock(&stream->monitor);
    return node;
}

static void finish(acl_stream *stream, aclError status, const char *message)
{
    acl_monitor_lock(&stream->monitor);
    stream->completed += 1;
    if (status != ACL_SUCCESS && stream->failure == ACL_SUCCESS) {
        stream->failure = status;
        memcpy(stream->message, message, sizeof stream->message);
    }
    acl_monitor_broadcast(&stream->monitor);
    acl_monitor_unlock(&stream->monitor);
}

static void *serve(void *user)
{
    acl_stream *stream = user;
    acl_enter_callback(true);
    for (acl_node *node; (node = next_work(stream)) != NULL;) {
        char message[ACL_MESSAGE_SIZE];
        acl_context_set_current(stream->context->object.handle); /* the host function before may have set another */
        aclError status = node->work.run(node->work.user);
        /* A host function may fork. The copy of this thread in the child must leave the parent's queue alone. */
        if (acl_fork_count() != stream->fork_count) return NULL;
        acl_take_message(message); /* also of calls in a host function: the next work begins with none */
        if (node->work.drop != NULL) node->work.drop(node->work.user);
        free(node);
        finish(stream, status, message);
    }
    return NULL;
}

/* Signals are for the program's own threads, but for the faults that work on the stream commits itself. */
static bool start_thread(acl_stream *stream)
{
    static const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&stream->thread, NULL, serve, stream) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void free_stream(acl_object *object)
{
    acl_stream *stream = (acl_stream *)object;
    acl_put(&stream->context->object);
    acl_monitor_destroy(&stream->monitor);
    free(stream);
}

/* A stream with its thread, not in the table yet; or ACL_ERROR_RT_MEMORY_ALLOCATION or _NO_STREAM_RESOURCE. */
static aclError make_stream(acl_context *context, acl_stream **made)
{
    acl_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return ACL_ERROR_RT_MEMORY_ALLOCATION;
    stream->context = (acl_context *)acl_get(context->object.handle, ACL_KIND_CONTEXT);
    stream->fork_count = acl_fork_count();
    *made = stream;
    bool watched = stream->context != NULL && acl_monitor_init(&stream->monitor);
    if (watched && start_thread(stream)) return ACL_SUCCESS;
    if (watched) acl_monitor_destroy(&stream->monitor);
    if (stream->context != NULL) acl_put(&stream->context->object);
    free(stream);
    return watched ? ACL_ERROR_RT_NO_STREAM_RESOURCE : ACL_ERROR_RT_MEMORY_ALLOCATION;
}

static uint64_t close_queue(acl_stream *stream)
{
    acl_monitor_lock(&stream->monitor);
    stream->closing = true;
    uint64_t ticket = stream->submitted;
    acl_monitor_broadcast(&stream->monitor);
    acl_monitor_unlock(&stream->monitor);
    return ticket;
}

static void end_thread(acl_stream *stream)
{
    close_queue(stream);
    pthread_join(stream->thread, NULL);
}

void acl_stream_drain(acl_stream *stream)
{
    static const acl_deadline never = {.forever = true};
    acl_stream_wait(stream, close_queue(stream), &never);
}

void acl_stream_end(acl_stream *stream)
{
    end_thread(stream);
    acl_callback_forget(stream->object.handle);
    acl_remove(&stream->object);
}

/* Another thread may have destroyed the context meanwhile: that is then why. */
static aclError report_not_made(const char *function, const acl_context *context, aclError otherwise)
{
    acl_object *still = acl_get(context->object.handle, ACL_KIND_CONTEXT);
    if (still == NULL) {
        return acl_report(ACL_ERROR_RT_CONTEXT_NULL, "%s: this thread's context was destroyed", function);
    }
    acl_put(still);
    if (otherwise == ACL_ERROR_RT_MEMORY_ALLOCATION) return acl_report_no_memory(function);
    return acl_report(otherwise, "%s: the host starts no more threads, and a stream needs one", function);
}

aclError acl_stream_create(const char *function, acl_context *context, aclrtStream *handle)
{
    acl_stream *stream;
    aclError status = make_stream(context, &stream);
    if (status != ACL_SUCCESS) return report_not_made(function, context, status);
    void *made = acl_open(&stream->object, ACL_KIND_STREAM, free_stream, &context->object);
    if (made == NULL) {
        end_thread(stream);
        free_stream(&stream->object);
        return report_not_made(function, context, ACL_ERROR_RT_MEMORY_ALLOCATION);
    }
    *handle = made;
    return ACL_SUCCESS;
}

aclError acl_stream_get(const char *function, aclrtStream handle, acl_stream **stream)
{
    *stream = NULL;
    acl_context *context;
    aclError status = acl_context_current(function, &context);
    if (status != ACL_SUCCESS) return status;
    acl_stream *found = (acl_stream *)acl_get(handle != NULL ? handle : context->default_stream, ACL_KIND_STREAM);
    if (found == NULL) {
        status =
            handle == NULL
                ? acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: the context is being destroyed", function)
                : acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: %p is not a stream that exists", function, handle);
    } else if (found->context != context) {
        status =
            acl_report(ACL_ERROR_RT_STREAM_CONTEXT,
                       "%s: stream %p belongs to another context than this thread's current one", function, handle);
        acl_put(&found->object);
    } else {
        *stream = found;
    }
    acl_put(&context->object);
    return status;
}

aclError acl_stream_enqueue(const char *function, acl_stream *stream, acl_work work, uint64_t *ticket)
{
    acl_node *node = malloc(sizeof *node);
    if (node == NULL) return acl_report_no_memory(function);
    *node = (acl_node){.work = work};
    acl_monitor_lock(&stream->monitor);
    bool closing = stream->closing;
    if (!closing) {
        *(stream->last != NULL ? &stream->last->next : &stream->first) = node;
        stream->last = node;
        stream->submitted += 1;
        if (ticket != NULL) *ticket = stream->submitted;
        acl_monitor_broadcast(&stream->monitor);
    }
    acl_monitor_unlock(&stream->monitor);
    if (!closing) return ACL_SUCCESS;
    free(node);
    return acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: the stream is being destroyed", function);
}

aclError acl_stream_submit(aclrtStream handle, acl_work work)
{
    acl_stream *stream;
    aclError status = acl_stream_get("work on a stream", handle, &stream);
    if (status != ACL_SUCCESS) return status;
    status = acl_stream_enqueue("work on a stream", stream, work, NULL);
    acl_put(&stream->object);
    return status;
}

uint64_t acl_stream_ticket(acl_stream *stream)
{
    acl_monitor_lock(&stream->monitor);
    uint64_t ticket = stream->submitted;
    acl_monitor_unlock(&stream->monitor);
    return ticket;
}

bool acl_stream_wait(acl_stream *stream, uint64_t ticket, const acl_deadline *deadline)
{
    acl_monitor_lock(&stream->monitor);
    bool in_time = true;
    while (stream->completed < ticket && in_time) in_time = acl_monitor_wait(&stream->monitor, deadline);
    bool done = stream->completed >= ticket;
    acl_monitor_unlock(&stream->monitor);
    return done;
}

aclError acl_stream_take_failure(acl_stream *stream)
{
    char message[ACL_MESSAGE_SIZE];
    acl_monitor_lock(&stream->monitor);
    aclError failure = stream->failure;
    memcpy(message, stream->message, sizeof message);
    stream->failure = ACL_SUCCESS;
    acl_monitor_unlock(&stream->monitor);
    if (failure == ACL_SUCCESS) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_INTERNAL_ERROR, "work on the stream failed with status %d: %s", failure,
                      message);
}
