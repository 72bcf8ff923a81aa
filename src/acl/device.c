/* SPDX-License-Identifier: Apache-2.0 */
/* Device 0, the host: its default context, shared and counted, and what the machine is. */
#include "internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t uses;                /* guarded by lock, as is: */
static aclrtContext default_context; /* NULL when uses is 0 */

aclError acl_check_device(const char *function, int32_t device)
{
    if (device == 0) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_INVALID_DEVICEID, "%s: deviceId is %d; it needs 0, the only device", function,
                      (int)device);
}

void acl_device_fork(acl_fork_phase phase)
{
    if (phase == ACL_FORK_CHILD) {
        uses = 0;
        default_context = NULL;
    }
    acl_lock_fork(&lock, phase);
}

aclError aclrtSetDevice(int32_t deviceId)
{
    aclError status = acl_check_device(__func__, deviceId);
    if (status != ACL_SUCCESS) return status;
    pthread_mutex_lock(&lock);
    if (uses == 0) status = acl_context_create(__func__, deviceId, true, &default_context);
    if (status == ACL_SUCCESS) {
        uses += 1;
        acl_context_set_current(default_context);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

/* The default context when this use is the last and must be torn down, NULL when others remain. */
static aclError give_up(const char *function, bool all, aclrtContext *torn)
{
    aclError status = ACL_SUCCESS;
    pthread_mutex_lock(&lock);
    if (uses == 0) {
        status = acl_report(ACL_ERROR_RT_CONTEXT_NULL, "%s: device 0 is not set", function);
    } else if (!all && uses > 1) {
        uses -= 1;
        *torn = NULL;
    } else if ((status = acl_check_may_wait(function)) == ACL_SUCCESS) {
        uses = 0;
        *torn = default_context;
        default_context = NULL;
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static aclError reset(const char *function, int32_t device, bool all)
{
    aclrtContext torn = NULL;
    aclError status = acl_check_device(function, device);
    if (status == ACL_SUCCESS) status = give_up(function, all, &torn);
    /* Outside the lock: waiting for work here must not keep another thread from setting the device afresh. */
    if (status == ACL_SUCCESS && torn != NULL) status = acl_context_destroy(function, torn);
    return status;
}

aclError aclrtResetDevice(int32_t deviceId)
{
    return reset(__func__, deviceId, false);
}
aclError aclrtResetDeviceForce(int32_t deviceId)
{
    return reset(__func__, deviceId, true);
}

aclError aclrtGetDevice(int32_t *deviceId)
{
    if (deviceId == NULL) return acl_report_null(__func__, "deviceId");
    acl_context *context;
    aclError status = acl_context_current(__func__, &context);
    if (status != ACL_SUCCESS) return status;
    *deviceId = context->device;
    acl_put(&context->object);
    return ACL_SUCCESS;
}

aclError aclrtGetDeviceCount(uint32_t *count)
{
    if (count == NULL) return acl_report_null(__func__, "count");
    *count = 1;
    return ACL_SUCCESS;
}

const char *aclrtGetSocName(void)
{
    return "HostCPU";
}

aclError aclrtGetRunMode(aclrtRunMode *runMode)
{
    if (runMode == NULL) return acl_report_null(__func__, "runMode");
    *runMode = ACL_HOST;
    return ACL_SUCCESS;
}

static bool wait_for_streams(const acl_deadline *deadline)
{
    size_t cursor = 0;
    bool done = true;
    for (acl_object *o; done && (o = acl_next(ACL_KIND_STREAM, &cursor)) != NULL; acl_put(o)) {
        acl_stream *stream = (acl_stream *)o;
        done = acl_stream_wait(stream, acl_stream_ticket(stream), deadline);
    }
    return done;
}

/* One: those of other streams are for later calls. */
static aclError take_failure(void)
{
    size_t cursor = 0;
    aclError status = ACL_SUCCESS;
    for (acl_object *o; status == ACL_SUCCESS && (o = acl_next(ACL_KIND_STREAM, &cursor)) != NULL; acl_put(o))
        status = acl_stream_take_failure((acl_stream *)o);
    return status;
}

static aclError synchronize(const char *function, int32_t timeout)
{
    aclError status = acl_check_timeout(function, timeout);
    if (status == ACL_SUCCESS) status = acl_check_may_wait(function);
    if (status == ACL_SUCCESS) status = acl_check_context(function);
    if (status != ACL_SUCCESS) return status;
    acl_deadline deadline = acl_deadline_in(timeout);
    if (!wait_for_streams(&deadline)) {
        return acl_report(ACL_ERROR_RT_STREAM_SYNC_TIMEOUT, "%s: streams still had work after %d ms", function,
                          (int)timeout);
    }
    return take_failure();
}

aclError aclrtSynchronizeDevice(void)
{
    return synchronize(__func__, ACL_FOREVER);
}
aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout)
{
    return synchronize(__func__, timeout);
}
