/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: which one a thread uses, and their streams' common end. */
#include <stdlib.h>

#include "internal.h"

/* The fork count tells a context that was destroyed from one that a fork left behind. */
static _Thread_local struct {
    aclrtContext context;
    unsigned fork_count;
} current;

void acl_context_set_current(aclrtContext context)
{
    current.context = context;
    current.fork_count = acl_fork_count();
}

aclError acl_context_current(const char *function, acl_context **context)
{
    *context = NULL;
    if (current.context == NULL) {
        return acl_report(ACL_ERROR_RT_CONTEXT_NULL,
                          "%s: this thread has no context; it needs aclrtSetDevice, aclrtCreateContext or "
                          "aclrtSetCurrentContext first",
                          function);
    }
    *context = (acl_context *)acl_get(current.context, ACL_KIND_CONTEXT);
    if (*context != NULL) return ACL_SUCCESS;
    if (current.fork_count != acl_fork_count()) {
        return acl_report(ACL_ERROR_RT_INVALID_HANDLE,
                          "%s: this thread's context is from before the fork; a child needs aclrtSetDevice",
                          function);
    }
    return acl_report(ACL_ERROR_RT_CONTEXT_NULL, "%s: this thread's context was destroyed", function);
}

aclError acl_check_context(const char *function)
{
    acl_context *context;
    aclError status = acl_context_current(function, &context);
    if (status == ACL_SUCCESS) acl_put(&context->object);
    return status;
}

static void free_context(acl_object *object)
{
    free(object);
}

aclError acl_context_create(const char *function, int32_t device, bool of_device, aclrtContext *handle)
{
    acl_context *context = calloc(1, sizeof *context);
    if (context == NULL) return acl_report_no_memory(function);
    context->device = device;
    context->of_device = of_device;
    void *made = acl_open(&context->object, ACL_KIND_CONTEXT, free_context, NULL);
    if (made == NULL) {
        free(context);
        return acl_report_no_memory(function);
    }
    /* It stays: contexts are closed by their handles alone, and nobody has this one's yet. */
    aclError status = acl_stream_create(function, context, &context->default_stream);
    if (status != ACL_SUCCESS) {
        acl_remove(acl_close(made, ACL_KIND_CONTEXT));
        return status;
    }
    *handle = made;
    return ACL_SUCCESS;
}

static void end_streams(const acl_context *context)
{
    size_t cursor = 0;
    for (acl_object *o; (o = acl_next(ACL_KIND_STREAM, &cursor)) != NULL; acl_put(o)) {
        acl_stream *stream = (acl_stream *)o;
        if (stream->context != context) continue;
        if (acl_close(o->handle, ACL_KIND_STREAM) != NULL)
            acl_stream_end(stream);
        else
            acl_stream_drain(stream); /* another thread destroys it */
    }
}

aclError acl_context_destroy(const char *function, aclrtContext handle)
{
    /* Closed first: no stream can join a closed context. */
    acl_context *context = (acl_context *)acl_close(handle, ACL_KIND_CONTEXT);
    if (context == NULL) {
        return acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: %p is not a context that exists", function, handle);
    }
    end_streams(context);
    if (current.context == handle) current.context = NULL;
    acl_remove(&context->object);
    return ACL_SUCCESS;
}

aclError aclrtCreateContext(aclrtContext *context, int32_t deviceId)
{
    if (context == NULL) return acl_report_null(__func__, "context");
    aclError status = acl_check_device(__func__, deviceId);
    aclrtContext made;
    if (status == ACL_SUCCESS) status = acl_context_create(__func__, deviceId, false, &made);
    if (status != ACL_SUCCESS) return status;
    *context = made;
    acl_context_set_current(made);
    return ACL_SUCCESS;
}

aclError aclrtDestroyContext(aclrtContext context)
{
    if (context == NULL) return acl_report_null(__func__, "context");
    aclError status = acl_check_may_wait(__func__);
    if (status != ACL_SUCCESS) return status;
    acl_context *found = (acl_context *)acl_get(context, ACL_KIND_CONTEXT);
    bool of_device = found != NULL && found->of_device;
    if (found != NULL) acl_put(&found->object);
    if (of_device) {
        return acl_report(ACL_ERROR_RT_PARAM_INVALID,
                          "%s: the default context of a device; it goes with aclrtResetDevice", __func__);
    }
    return acl_context_destroy(__func__, context);
}

aclError aclrtSetCurrentContext(aclrtContext context)
{
    if (context == NULL) return acl_report_null(__func__, "context");
    acl_object *object = acl_get(context, ACL_KIND_CONTEXT);
    if (object == NULL) {
        return acl_report(ACL_ERROR_RT_INVALID_HANDLE, "%s: %p is not a context that exists", __func__, context);
    }
    acl_context_set_current(context);
    acl_put(object);
    return ACL_SUCCESS;
}

aclError aclrtGetCurrentContext(aclrtContext *context)
{
    if (context == NULL) return acl_report_null(__func__, "context");
    aclError status = acl_check_context(__func__);
    if (status == ACL_SUCCESS) *context = current.context;
    return status;
}
