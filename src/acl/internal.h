/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the runtime share.
 *
 * Objects (contexts, streams, events) live in one table and are known to the outside by handles: numbers that name
 * a slot of the table and a generation of that slot, so a handle is never followed as a pointer and a stale one is
 * not found. Who looks a handle up holds a reference until acl_put; the table holds one until acl_remove.
 *
 * Locks: one for the table; one for the device; one for the memory list; one for callbacks; one for messages; one
 * for the count of aclInit; one monitor for each stream and each event. Under the device's and aclInit's others may
 * be taken; the rest are taken alone. fork.c knows the global ones.
 */
#ifndef FLOYD_ACL_INTERNAL_H
#define FLOYD_ACL_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "stream.h"

/* ---- Waiting (monitor.c) ----------------------------------------------------------------------------------- */

typedef struct acl_monitor {
    pthread_mutex_t lock;
    pthread_cond_t changed;
} acl_monitor;

/* When to give up, on the monotonic clock. */
typedef struct acl_deadline {
    bool forever;
    struct timespec at;
} acl_deadline;

#define ACL_FOREVER (-1)

bool acl_monitor_init(acl_monitor *m);
void acl_monitor_destroy(acl_monitor *m);
void acl_monitor_lock(acl_monitor *m);
void acl_monitor_unlock(acl_monitor *m);
void acl_monitor_broadcast(acl_monitor *m);

/* Waits, with the lock held, for a broadcast. False when the deadline has passed. */
bool acl_monitor_wait(acl_monitor *m, const acl_deadline *deadline);

acl_deadline acl_deadline_in(int32_t milliseconds);

/* ACL_SUCCESS, or ACL_ERROR_RT_PARAM_INVALID for a timeout below -1. */
aclError acl_check_timeout(const char *function, int32_t timeout);

/* ACL_SUCCESS, or in a host function or callback of a stream ACL_ERROR_RT_FEATURE_NOT_SUPPORT. */
aclError acl_check_may_wait(const char *function);

/* Set while this thread serves a stream: what waits then could be waiting for itself. Returns what it was. */
bool acl_enter_callback(bool inside);

int64_t acl_now_ns(void);

/* ---- Messages (message.c) ---------------------------------------------------------------------------------- */

#define ACL_MESSAGE_SIZE 768

/* Reports ACL_ERROR_INVALID_PARAM for a NULL argument. */
static inline int acl_report_null(const char *function, const char *argument)
{
    return acl_report(ACL_ERROR_INVALID_PARAM, "%s: %s is NULL", function, argument);
}

/* Reports ACL_ERROR_RT_MEMORY_ALLOCATION for want of memory for a record of ours. */
static inline int acl_report_no_memory(const char *function)
{
    return acl_report(ACL_ERROR_RT_MEMORY_ALLOCATION, "%s: the host has no memory for the library's records",
                      function);
}

/* Takes this thread's newest text away into text, "" if there is none. */
void acl_take_message(char text[ACL_MESSAGE_SIZE]);

void acl_set_process_messages(bool process_wide);

/* ---- Objects and handles (handle.c) ------------------------------------------------------------------------ */

typedef enum acl_kind { ACL_KIND_CONTEXT = 1, ACL_KIND_STREAM = 2, ACL_KIND_EVENT = 3 } acl_kind;

typedef struct acl_object {
    acl_kind kind;
    unsigned references; /* guarded by the table's lock */
    void *handle;
    void (*destroy)(struct acl_object *object); /* called with the last reference, no lock held */
} acl_object;

/*
 * Puts the object in the table and returns its handle. parent, when not NULL, must not be closed.
 * NULL for want of memory or of the parent; the object is then unchanged. Else the one reference is the table's:
 * another thread may find the object there and close it before this returns.
 */
void *acl_open(acl_object *object, acl_kind kind, void (*destroy)(acl_object *), const acl_object *parent);

/* The object with a reference for the caller, or NULL. */
acl_object *acl_get(void *handle, acl_kind kind);

/*
 * From here on acl_get does not find the object, but acl_next still does. The caller, who is the only one, ends it
 * and then calls acl_remove. NULL for who comes late.
 */
acl_object *acl_close(void *handle, acl_kind kind);

/* Takes a closed object out of the table, and gives the table's reference back. */
void acl_remove(acl_object *object);

void acl_put(acl_object *object);

/*
 * The next object of the kind at or after slot *cursor, closed or not, with a reference, and *cursor behind it;
 * NULL at the end.
 */
acl_object *acl_next(acl_kind kind, size_t *cursor);

/* How many times this process was forked from another since the library was loaded. */
unsigned acl_fork_count(void);

/* ---- Contexts (context.c) ---------------------------------------------------------------------------------- */

typedef struct acl_context {
    acl_object object;
    int32_t device;
    bool of_device; /* its default one */
    aclrtStream default_stream;
} acl_context;

/* A context with its default stream, in the table. of_device: it is the default one and goes with the device. */
aclError acl_context_create(const char *function, int32_t device, bool of_device, aclrtContext *handle);

/* Closes the context, waits for its streams and destroys them. ACL_ERROR_RT_INVALID_HANDLE if it is closed already.
 */
aclError acl_context_destroy(const char *function, aclrtContext context);

void acl_context_set_current(aclrtContext context);

/* The thread's context with a reference, or the codes that acl_rt.h calls "no context". */
aclError acl_context_current(const char *function, acl_context **context);

/* ACL_SUCCESS when the thread has a context. */
aclError acl_check_context(const char *function);

/* ACL_SUCCESS for device 0. */
aclError acl_check_device(const char *function, int32_t device);

/* ---- Streams (stream.c) ------------------------------------------------------------------------------------ */

typedef struct acl_node {
    struct acl_node *next;
    acl_work work;
} acl_node;

typedef struct acl_stream {
    acl_object object;
    acl_context *context; /* referenced */
    acl_monitor monitor;  /* guards what follows */
    acl_node *first, *last;
    uint64_t submitted, completed; /* works, ever */
    bool closing;
    aclError failure; /* of the first work that failed since the last synchronize */
    char message[ACL_MESSAGE_SIZE];
    unsigned fork_count; /* of the process that the thread belongs to */
    pthread_t thread;
} acl_stream;

aclError acl_stream_create(const char *function, acl_context *context, aclrtStream *handle);

/* The stream, or for NULL the default one, with a reference; or "no context" or "bad stream". */
aclError acl_stream_get(const char *function, aclrtStream handle, acl_stream **stream);

/* Queues the work; *ticket, when asked for, is what acl_stream_wait takes. */
aclError acl_stream_enqueue(const char *function, acl_stream *stream, acl_work work, uint64_t *ticket);

/* The ticket of all that is queued now. */
uint64_t acl_stream_ticket(acl_stream *stream);

/* True when everything up to the ticket is done. */
bool acl_stream_wait(acl_stream *stream, uint64_t ticket, const acl_deadline *deadline);

/* Takes a kept failure away and reports it: ACL_SUCCESS or ACL_ERROR_RT_INTERNAL_ERROR. */
aclError acl_stream_take_failure(acl_stream *stream);

/* Takes no more work, and waits until what there is was done. */
void acl_stream_drain(acl_stream *stream);

/* Drains a stream that the caller has closed, ends its thread and takes it out of the table. */
void acl_stream_end(acl_stream *stream);

/* ---- Callbacks (callback.c) -------------------------------------------------------------------------------- */

/* The stream is gone: so are its subscription and its callbacks. */
void acl_callback_forget(aclrtStream stream);

/* ---- The library's locks around a fork (fork.c and the files that own them) --------------------------------- */

typedef enum acl_fork_phase { ACL_FORK_BEFORE, ACL_FORK_PARENT, ACL_FORK_CHILD } acl_fork_phase;

void acl_init_fork(acl_fork_phase phase);
void acl_device_fork(acl_fork_phase phase);
void acl_table_fork(acl_fork_phase phase);
void acl_memory_fork(acl_fork_phase phase);
void acl_callback_fork(acl_fork_phase phase);
void acl_message_fork(acl_fork_phase phase);

/* A lock of ours around a fork: held from before it, and free on both sides after it. */
void acl_lock_fork(pthread_mutex_t *lock, acl_fork_phase phase);

#endif
