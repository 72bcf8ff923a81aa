/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying and setting memory, now or in a stream's order. An asynchronous copy whose memory is not all ours returns
 * only when it is done, since the program may then do with that memory what it likes.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "memory.h"

typedef struct copy_work {
    void *to;
    const void *from; /* NULL: set to value */
    size_t count;
    int value;
    unsigned char staged[]; /* what from points to, with ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE */
} copy_work;

static aclError run_copy(void *user)
{
    const copy_work *w = user;
    if (w->from != NULL)
        memmove(w->to, w->from, w->count);
    else
        memset(w->to, w->value, w->count);
    return ACL_SUCCESS;
}

static aclError check_range(const char *function, size_t count, size_t room)
{
    if (count <= room) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_PARAM_INVALID, "%s: count is %zu; it needs %zu, the destination's size, or less",
                      function, count, room);
}

static aclError check_copy(const char *function, const void *dst, size_t room, const void *src, size_t count,
                           aclrtMemcpyKind kind)
{
    if (dst == NULL) return acl_report_null(function, "dst");
    if (src == NULL) return acl_report_null(function, "src");
    if ((int)kind < (int)ACL_MEMCPY_HOST_TO_HOST || (int)kind > (int)ACL_MEMCPY_INTER_DEVICE_TO_DEVICE) {
        return acl_report(ACL_ERROR_INVALID_PARAM, "%s: kind is %d, which is no aclrtMemcpyKind", function,
                          (int)kind);
    }
    return check_range(function, count, room);
}

static aclError check_set(const char *function, const void *ptr, size_t room, size_t count)
{
    if (ptr == NULL) return acl_report_null(function, "devPtr");
    return check_range(function, count, room);
}

/* Queues the work, which it owns from here on, and with wait returns when it is done. */
static aclError enqueue(const char *function, aclrtStream handle, copy_work *work, bool wait)
{
    acl_stream *stream;
    uint64_t ticket;
    aclError status = acl_stream_get(function, handle, &stream);
    if (status == ACL_SUCCESS) {
        status = acl_stream_enqueue(function, stream, (acl_work){run_copy, free, work}, &ticket);
        if (status == ACL_SUCCESS && wait) {
            acl_deadline never = acl_deadline_in(ACL_FOREVER);
            acl_stream_wait(stream, ticket, &never);
        }
        acl_put(&stream->object);
        if (status == ACL_SUCCESS) return status;
    }
    free(work);
    return status;
}

aclError aclrtMemcpy(void *dst, size_t destMax, const void *src, size_t count, aclrtMemcpyKind kind)
{
    if (count == 0) return ACL_SUCCESS;
    aclError status = check_copy(__func__, dst, destMax, src, count, kind);
    if (status == ACL_SUCCESS) status = acl_check_context(__func__);
    if (status == ACL_SUCCESS) memmove(dst, src, count);
    return status;
}

aclError aclrtMemcpyAsync(void *dst, size_t destMax, const void *src, size_t count, aclrtMemcpyKind kind,
                          aclrtStream stream)
{
    if (count == 0) return ACL_SUCCESS;
    aclError status = check_copy(__func__, dst, destMax, src, count, kind);
    if (status != ACL_SUCCESS) return status;
    acl_memory_kind to = acl_memory_kind_of(dst), from = acl_memory_kind_of(src);
    bool no_device = to != ACL_MEMORY_DEVICE && from != ACL_MEMORY_DEVICE;
    if (kind == ACL_MEMCPY_HOST_TO_HOST || (kind == ACL_MEMCPY_DEFAULT && no_device)) {
        return acl_report(ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "%s: there is no asynchronous copy from host to host",
                          __func__);
    }
    bool staged = kind == ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE;
    bool wait = to == ACL_MEMORY_PAGEABLE || (from == ACL_MEMORY_PAGEABLE && !staged);
    if (wait) status = acl_check_may_wait(__func__);
    if (status != ACL_SUCCESS) return status;
    size_t extra = staged ? count : 0;
    copy_work *work = extra <= PTRDIFF_MAX ? malloc(sizeof *work + extra) : NULL;
    if (work == NULL) return acl_report_no_memory(__func__);
    *work = (copy_work){.to = dst, .from = staged ? work->staged : src, .count = count};
    memcpy(work->staged, src, extra);
    return enqueue(__func__, stream, work, wait);
}

aclError aclrtMemset(void *devPtr, size_t maxCount, int32_t value, size_t count)
{
    if (count == 0) return ACL_SUCCESS;
    aclError status = check_set(__func__, devPtr, maxCount, count);
    if (status == ACL_SUCCESS) status = acl_check_context(__func__);
    if (status == ACL_SUCCESS) memset(devPtr, value, count);
    return status;
}

aclError aclrtMemsetAsync(void *devPtr, size_t maxCount, int32_t value, size_t count, aclrtStream stream)
{
    if (count == 0) return ACL_SUCCESS;
    aclError status = check_set(__func__, devPtr, maxCount, count);
    if (status != ACL_SUCCESS) return status;
    copy_work *work = malloc(sizeof *work);
    if (work == NULL) return acl_report_no_memory(__func__);
    *work = (copy_work){.to = devPtr, .value = value, .count = count};
    return enqueue(__func__, stream, work, false);
}
