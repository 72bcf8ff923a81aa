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
 * ACL_ERROR_RT_INTERNAL_ERROR (507000). drop is called exactly once for every work that was accepted,
 * after run or instead of it (when the stream is torn down first), and frees user.
 */
typedef struct acl_work {
    aclError (*run)(void *user);
    void (*drop)(void *user);
    void *user;
} acl_work;

/*
 * Returns ACL_SUCCESS; ACL_ERROR_RT_CONTEXT_NULL (107002) when stream is NULL and the thread has no context;
 * ACL_ERROR_INVALID_RESOURCE... codes of ACL for a handle that is unknown or of another context; or a bad-alloc
 * code. On failure nothing was queued and drop is not called.
 */
aclError acl_stream_submit(aclrtStream stream, acl_work work);

/* Records the newest message of this thread for aclGetRecentErrMsg, printf-like. Returns code. */
int acl_report(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
