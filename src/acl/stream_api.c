/* SPDX-License-Identifier: Apache-2.0 */
/* The vendor's functions on streams. */
#include "internal.h"

#define KNOWN_FLAGS (ACL_STREAM_FAST_LAUNCH | ACL_STREAM_FAST_SYNC | ACL_STREAM_PERSISTENT)

static aclError create(const char *function, aclrtStream *stream, uint32_t flag)
{
    if (stream == NULL) return acl_report_null(function, "stream");
    if ((flag & ~KNOWN_FLAGS) != 0) {
        return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: flag is 0x%x; it needs ACL_STREAM_* only", function,
                          (unsigned)flag);
    }
    acl_context *context;
    aclError status = acl_context_current(function, &context);
    if (status != ACL_SUCCESS) return status;
    status = acl_stream_create(function, context, stream);
    acl_put(&context->object);
    return status;
}

aclError aclrtCreateStream(aclrtStream *stream)
{
    return create(__func__, stream, 0);
}

aclError aclrtCreateStreamWithConfig(aclrtStream *stream, uint32_t priority, uint32_t flag)
{
    (void)priority;
    return create(__func__, stream, flag);
}

aclError aclrtDestroyStream(aclrtStream stream)
{
    if (stream == NULL) return acl_report_null(__func__, "stream");
    aclError status = acl_check_may_wait(__func__);
    acl_stream *found;
    if (status == ACL_SUCCESS) status = acl_stream_get(__func__, stream, &found);
    if (status != ACL_SUCCESS) return status;
    if (acl_close(stream, ACL_KIND_STREAM) != NULL) {
        acl_stream_end(found);
    } else {
        status = acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: %p is being destroyed", __func__, stream);
    }
    acl_put(&found->object);
    return status;
}

aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus *status)
{
    if (status == NULL) return acl_report_null(__func__, "status");
    acl_stream *found;
    aclError error = acl_stream_get(__func__, stream, &found);
    if (error != ACL_SUCCESS) return error;
    acl_deadline now = acl_deadline_in(0);
    bool done = acl_stream_wait(found, acl_stream_ticket(found), &now);
    *status = done ? ACL_STREAM_STATUS_COMPLETE : ACL_STREAM_STATUS_NOT_READY;
    acl_put(&found->object);
    return ACL_SUCCESS;
}

static aclError synchronize(const char *function, aclrtStream stream, int32_t timeout)
{
    acl_stream *found;
    aclError status = acl_check_timeout(function, timeout);
    if (status == ACL_SUCCESS) status = acl_check_may_wait(function);
    if (status == ACL_SUCCESS) status = acl_stream_get(function, stream, &found);
    if (status != ACL_SUCCESS) return status;
    acl_deadline deadline = acl_deadline_in(timeout);
    if (acl_stream_wait(found, acl_stream_ticket(found), &deadline)) {
        status = acl_stream_take_failure(found);
    } else {
        status = acl_report(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "%s: the stream still had work after %d ms", function,
                            (int)timeout);
    }
    acl_put(&found->object);
    return status;
}

aclError aclrtSynchronizeStream(aclrtStream stream)
{
    return synchronize(__func__, stream, ACL_FOREVER);
}

aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t timeout)
{
    return synchronize(__func__, stream, timeout);
}
