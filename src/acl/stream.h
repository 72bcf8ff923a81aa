/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rest of libfloydattn_acl may ask of the runtime: put work on a stream, and say what went wrong.
 * A NULL stream is the default stream of the calling thread's context.
 */
#ifndef FLOYD_ACL_STREAM_H
#define FLOYD_ACL_STREAM_H

#include "acl/acl.h"

/*
 * A piece of work. run is called once on the stream's own thread, in order of submission; what it returns,
 * when not ACL_SUCCESS, is kept with the message it reported until the next synchronize, which returns
 * ACL_ERROR_RT_INTERNAL_ERROR (507000); of several failures the first is kept. drop is called exactly once for
 * every work that was accepted, after run and before a synchronize that waits for it returns; it frees user. A
 * stream that is torn down runs what it holds first.
 */
typedef struct acl_work {
    aclError (*run)(void *user);
    void (*drop)(void *user);
    void *user;
} acl_work;

/*
 * Returns ACL_SUCCESS; ACL_ERROR_RT_CONTEXT_NULL (107002) when the thread has no context;
 * ACL_ERROR_RT_INVALID_HANDLE (107017) for a stream that is unknown, destroyed or from before a fork;
 * ACL_ERROR_RT_STREAM_CONTEXT (107003) for one of another context; ACL_ERROR_RT_MEMORY_ALLOCATION (207001).
 * On failure nothing was queued and drop is not called.
 */
aclError acl_stream_submit(aclrtStream stream, acl_work work);

/* Records the newest message of this thread for aclGetRecentErrMsg, printf-like. Returns code. */
int acl_report(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, for who reads one file alone, such as a static analyser: what was reported is what is returned. */
#define acl_report(code, ...) ((void)(acl_report)(code, __VA_ARGS__), (code))

#endif
