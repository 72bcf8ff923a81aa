/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime: device, context, stream, event, memory, callbacks, messages. The host CPU is device 0.
 *
 * A stream is a queue, first in first out, served by a thread of its own. A context holds streams, one of them its
 * default stream, which a NULL stream means. Each thread has a current context, or none; it may use the streams of
 * its current context only, and events of any.
 *
 * Every function may be called from any thread. None aborts, exits or prints. Beside the status that each lists,
 *   "no context"   is ACL_ERROR_RT_CONTEXT_NULL: the calling thread has no current context, or it was destroyed;
 *                  ACL_ERROR_RT_INVALID_HANDLE when the context is from before a fork of this process;
 *   "bad stream"   is ACL_ERROR_RT_INVALID_HANDLE: not a stream, destroyed, being destroyed, or from before a fork;
 *                  ACL_ERROR_RT_STREAM_CONTEXT: a stream of another context;
 *   "bad event"    is ACL_ERROR_INVALID_PARAM: NULL; ACL_ERROR_RT_INVALID_HANDLE: as for streams;
 *   "in callback"  is ACL_ERROR_RT_FEATURE_NOT_SUPPORT: a function that waits, called from a host function or
 *                  callback of a stream, which would wait for itself; functions that only enqueue are fine there;
 *   "no memory"    is ACL_ERROR_RT_MEMORY_ALLOCATION: the host has no memory for the library's own records.
 * A status other than ACL_SUCCESS leaves a text for aclGetRecentErrMsg, and the outputs untouched.
 *
 * Timeouts are milliseconds: -1 waits without limit, 0 only looks.
 */
#ifndef FLOYDATTN_ACL_ACL_RT_H
#define FLOYDATTN_ACL_ACL_RT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acl_base.h"
#include "acl_rt_allocator.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the interface that these names follow. */
#define ACL_MAJOR_VERSION 1
#define ACL_MINOR_VERSION 17
#define ACL_PATCH_VERSION 0

/* Flags of events. */
#define ACL_EVENT_SYNC 0x00000001U                    /* streams may wait for it; it may be reset */
#define ACL_EVENT_CAPTURE_STREAM_PROGRESS 0x00000002U /* the host may ask how far a stream is */
#define ACL_EVENT_TIME_LINE 0x00000008U               /* it has a time */

/* Flags of streams: accepted, and without effect here. */
#define ACL_STREAM_FAST_LAUNCH 0x00000001U
#define ACL_STREAM_FAST_SYNC 0x00000002U
#define ACL_STREAM_PERSISTENT 0x00000004U

typedef enum { ACL_DEVICE = 0, ACL_HOST = 1 } aclrtRunMode;

typedef enum {
    ACL_EVENT_STATUS_COMPLETE = 0,
    ACL_EVENT_STATUS_NOT_READY = 1,
    ACL_EVENT_STATUS_RESERVED = 2
} aclrtEventStatus;

/* !! The other way round than aclrtEventStatus. */
typedef enum {
    ACL_EVENT_RECORDED_STATUS_NOT_READY = 0,
    ACL_EVENT_RECORDED_STATUS_COMPLETE = 1
} aclrtEventRecordedStatus;

typedef enum {
    ACL_STREAM_STATUS_COMPLETE = 0,
    ACL_STREAM_STATUS_NOT_READY = 1,
    ACL_STREAM_STATUS_RESERVED = 0xFFFF
} aclrtStreamStatus;

typedef enum { ACL_CALLBACK_NO_BLOCK = 0, ACL_CALLBACK_BLOCK = 1 } aclrtCallbackBlockType;

typedef enum {
    ACL_MEMCPY_HOST_TO_HOST = 0,
    ACL_MEMCPY_HOST_TO_DEVICE = 1,
    ACL_MEMCPY_DEVICE_TO_HOST = 2,
    ACL_MEMCPY_DEVICE_TO_DEVICE = 3,
    ACL_MEMCPY_DEFAULT = 4,
    ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE = 5,
    ACL_MEMCPY_INNER_DEVICE_TO_DEVICE = 6,
    ACL_MEMCPY_INTER_DEVICE_TO_DEVICE = 7
} aclrtMemcpyKind;

typedef enum {
    ACL_MEM_MALLOC_HUGE_FIRST = 0,
    ACL_MEM_MALLOC_HUGE_ONLY = 1,
    ACL_MEM_MALLOC_NORMAL_ONLY = 2,
    ACL_MEM_MALLOC_HUGE_FIRST_P2P = 3,
    ACL_MEM_MALLOC_HUGE_ONLY_P2P = 4,
    ACL_MEM_MALLOC_NORMAL_ONLY_P2P = 5,
    ACL_MEM_MALLOC_HUGE1G_ONLY = 6,
    ACL_MEM_MALLOC_HUGE1G_ONLY_P2P = 7,
    ACL_MEM_TYPE_LOW_BAND_WIDTH = 0x0100,
    ACL_MEM_TYPE_HIGH_BAND_WIDTH = 0x1000,
    ACL_MEM_ACCESS_USER_SPACE_READONLY = 0x100000
} aclrtMemMallocPolicy;

typedef enum {
    ACL_DDR_MEM = 0,
    ACL_HBM_MEM = 1,
    ACL_DDR_MEM_HUGE = 2,
    ACL_DDR_MEM_NORMAL = 3,
    ACL_HBM_MEM_HUGE = 4,
    ACL_HBM_MEM_NORMAL = 5,
    ACL_DDR_MEM_P2P_HUGE = 6,
    ACL_DDR_MEM_P2P_NORMAL = 7,
    ACL_HBM_MEM_P2P_HUGE = 8,
    ACL_HBM_MEM_P2P_NORMAL = 9,
    ACL_HBM_MEM_HUGE1G = 10,
    ACL_HBM_MEM_P2P_HUGE1G = 11,
    ACL_MEM_NORMAL = 12,
    ACL_MEM_HUGE = 13,
    ACL_MEM_HUGE1G = 14,
    ACL_MEM_P2P_NORMAL = 15,
    ACL_MEM_P2P_HUGE = 16,
    ACL_MEM_P2P_HUGE1G = 17
} aclrtMemAttr;

typedef void (*aclrtCallback)(void *userData);
typedef void (*aclrtHostFunc)(void *args);

/* ---- Beginning, end, messages ------------------------------------------------------------------------------ */

/*
 * Begins. configPath names a JSON file, or is NULL or "" for defaults. Of its keys this library obeys one:
 * "err_msg_mode" "1" makes aclGetRecentErrMsg give the newest message of the process; else, of the thread.
 * The other functions of this header work without it.
 * Returns ACL_SUCCESS; ACL_ERROR_REPEAT_INITIALIZE when it was called before, which counts one more use and may be
 * ignored; ACL_ERROR_INVALID_FILE: no regular file of at most 10 MiB that can be read; ACL_ERROR_PARSE_FILE: it is
 * not an object in JSON; ACL_ERROR_BAD_ALLOC: no memory to read it.
 */
ACL_FUNC_VISIBILITY aclError aclInit(const char *configPath);

/*
 * Ends, however many times aclInit was called; aclInit may follow. Devices, streams and memory stay as they are.
 * Returns ACL_SUCCESS; ACL_ERROR_REPEAT_FINALIZE when there is nothing to end.
 */
ACL_FUNC_VISIBILITY aclError aclFinalize(void);

/*
 * Takes back one aclInit, ends with the last, and stores how many are left (refCount may be NULL).
 * Returns ACL_SUCCESS; ACL_ERROR_REPEAT_FINALIZE, and 0 left, when there was none.
 */
ACL_FUNC_VISIBILITY aclError aclFinalizeReference(uint64_t *refCount);

/*
 * The text of the newest failure of the calling thread (of the process: see aclInit) that was not asked for yet, or
 * NULL. The text is valid until the thread's next call of this function.
 */
ACL_FUNC_VISIBILITY const char *aclGetRecentErrMsg(void);

/* ACL_MAJOR_VERSION and so on. Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: an argument is NULL. */
ACL_FUNC_VISIBILITY aclError aclrtGetVersion(int32_t *majorVersion, int32_t *minorVersion, int32_t *patchVersion);

/* ---- Device ------------------------------------------------------------------------------------------------ */

/*
 * Makes the default context of the device, shared by all threads that set it, current for this thread; creates it
 * and its default stream at the first use. Uses are counted.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_INVALID_DEVICEID: not 0; ACL_ERROR_RT_NO_STREAM_RESOURCE: no thread for the
 * default stream; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtSetDevice(int32_t deviceId);

/*
 * Takes back one aclrtSetDevice. With the last, waits for the work of the default context's streams and destroys
 * them and it. Contexts made with aclrtCreateContext, events and memory stay.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_INVALID_DEVICEID: not 0; ACL_ERROR_RT_CONTEXT_NULL: the device is not set;
 * in callback (with the last only).
 */
ACL_FUNC_VISIBILITY aclError aclrtResetDevice(int32_t deviceId);

/* aclrtResetDevice as with the last, however many uses there are. Returns as aclrtResetDevice. */
ACL_FUNC_VISIBILITY aclError aclrtResetDeviceForce(int32_t deviceId);

/* The device of the current context. Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; no context. */
ACL_FUNC_VISIBILITY aclError aclrtGetDevice(int32_t *deviceId);

/* 1. Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL. */
ACL_FUNC_VISIBILITY aclError aclrtGetDeviceCount(uint32_t *count);

/* "HostCPU": no name of a chip, and never NULL. */
ACL_FUNC_VISIBILITY const char *aclrtGetSocName(void);

/* ACL_HOST: the program runs on the host and copies to the device. Returns as aclrtGetDeviceCount. */
ACL_FUNC_VISIBILITY aclError aclrtGetRunMode(aclrtRunMode *runMode);

/*
 * Waits for the work that all streams of the device, of every context, hold now.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_INTERNAL_ERROR: work on a stream has failed since its last synchronize, with
 * that work's message; no context; in callback; and with a timeout ACL_ERROR_RT_STREAM_SYNC_TIMEOUT: it is not done
 * yet, or ACL_ERROR_RT_PARAM_INVALID: the timeout is below -1.
 */
ACL_FUNC_VISIBILITY aclError aclrtSynchronizeDevice(void);
ACL_FUNC_VISIBILITY aclError aclrtSynchronizeDeviceWithTimeout(int32_t timeout);

/* ---- Context ----------------------------------------------------------------------------------------------- */

/*
 * A context with a default stream of its own; becomes current for this thread. Belongs to the caller.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; ACL_ERROR_RT_INVALID_DEVICEID: not 0;
 * ACL_ERROR_RT_NO_STREAM_RESOURCE: no thread for the default stream; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtCreateContext(aclrtContext *context, int32_t deviceId);

/*
 * Waits for the work of the context's streams and destroys them and it. Threads where it is current have no context
 * after that.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; ACL_ERROR_RT_INVALID_HANDLE: not a context, destroyed, or
 * from before a fork; ACL_ERROR_RT_PARAM_INVALID: a device's default context; in callback.
 */
ACL_FUNC_VISIBILITY aclError aclrtDestroyContext(aclrtContext context);

/*
 * Makes a context current for this thread.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; ACL_ERROR_RT_INVALID_HANDLE: as aclrtDestroyContext.
 */
ACL_FUNC_VISIBILITY aclError aclrtSetCurrentContext(aclrtContext context);

/* The thread's current context. Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; no context. */
ACL_FUNC_VISIBILITY aclError aclrtGetCurrentContext(aclrtContext *context);

/* ---- Stream ------------------------------------------------------------------------------------------------ */

/*
 * A stream of the current context. The priority is not looked at.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; ACL_ERROR_RT_PARAM_INVALID: a flag that is no ACL_STREAM_*;
 * ACL_ERROR_RT_NO_STREAM_RESOURCE: no thread for it; no context; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtCreateStream(aclrtStream *stream);
ACL_FUNC_VISIBILITY aclError aclrtCreateStreamWithConfig(aclrtStream *stream, uint32_t priority, uint32_t flag);

/*
 * Waits for the stream's work and destroys it. A failure that no synchronize has returned is forgotten.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; no context; bad stream; in callback.
 */
ACL_FUNC_VISIBILITY aclError aclrtDestroyStream(aclrtStream stream);

/* Whether all work is done. Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: status is NULL; no context; bad stream.
 */
ACL_FUNC_VISIBILITY aclError aclrtStreamQuery(aclrtStream stream, aclrtStreamStatus *status);

/*
 * Waits for the work that the stream holds now.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_INTERNAL_ERROR: work has failed since the last synchronize, with the first such
 * work's message; no context; bad stream; in callback; and with a timeout ACL_ERROR_RT_STREAM_SYNC_TIMEOUT: it is
 * not done yet, or ACL_ERROR_RT_PARAM_INVALID: the timeout is below -1.
 */
ACL_FUNC_VISIBILITY aclError aclrtSynchronizeStream(aclrtStream stream);
ACL_FUNC_VISIBILITY aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t timeout);

/*
 * What is put on the stream from now on starts after the work that the event's last record captured.
 * Returns ACL_SUCCESS, also, without waiting, for an Ex event that was never recorded; ACL_ERROR_RT_PARAM_INVALID:
 * an event without ACL_EVENT_SYNC, or another event that was not recorded; no context; bad stream; bad event; no
 * memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtStreamWaitEvent(aclrtStream stream, aclrtEvent event);

/* ---- Event ------------------------------------------------------------------------------------------------- */

/*
 * An event. Without flags it can do everything; with flags, what they say. Ex events cannot be reset.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; ACL_ERROR_RT_PARAM_INVALID: no flag, or one that is no
 * ACL_EVENT_*; no context; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtCreateEvent(aclrtEvent *event);
ACL_FUNC_VISIBILITY aclError aclrtCreateEventWithFlag(aclrtEvent *event, uint32_t flag);
ACL_FUNC_VISIBILITY aclError aclrtCreateEventExWithFlag(aclrtEvent *event, uint32_t flag);

/* Destroys it at once; streams that wait for it go on waiting for its record. Returns ACL_SUCCESS; bad event. */
ACL_FUNC_VISIBILITY aclError aclrtDestroyEvent(aclrtEvent event);

/*
 * Captures the work that the stream holds now; the event is complete when that is done. A later record replaces
 * this one, but not for those who wait already. Returns ACL_SUCCESS; no context; bad stream; bad event; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream);

/*
 * Makes the event as if never recorded. Waits that were put on a stream before keep what they wait for.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_FEATURE_NOT_SUPPORT: an Ex event; ACL_ERROR_RT_PARAM_INVALID: an event without
 * ACL_EVENT_SYNC; no context; bad stream; bad event.
 */
ACL_FUNC_VISIBILITY aclError aclrtResetEvent(aclrtEvent event, aclrtStream stream);

/*
 * Deprecated by the vendor. ACL_EVENT_STATUS_COMPLETE, also when never recorded, or ACL_EVENT_STATUS_NOT_READY.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_FEATURE_NOT_SUPPORT: an Ex event; ACL_ERROR_INVALID_PARAM: status is NULL;
 * bad event.
 */
ACL_FUNC_VISIBILITY aclError aclrtQueryEvent(aclrtEvent event, aclrtEventStatus *status);

/*
 * Whether the captured work is done. Never recorded: complete for an Ex event, else not ready.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: status is NULL; bad event.
 */
ACL_FUNC_VISIBILITY aclError aclrtQueryEventStatus(aclrtEvent event, aclrtEventRecordedStatus *status);

/*
 * Waits for the captured work, not at all if never recorded.
 * Returns ACL_SUCCESS; bad event; in callback; and with a timeout ACL_ERROR_RT_EVENT_SYNC_TIMEOUT: it is not done
 * yet, or ACL_ERROR_RT_PARAM_INVALID: the timeout is below -1.
 */
ACL_FUNC_VISIBILITY aclError aclrtSynchronizeEvent(aclrtEvent event);
ACL_FUNC_VISIBILITY aclError aclrtSynchronizeEventWithTimeout(aclrtEvent event, int32_t timeout);

/*
 * Milliseconds from when the stream reached startEvent to when it reached endEvent; negative if in that order.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: ms is NULL; ACL_ERROR_RT_PARAM_INVALID: an event made with flags,
 * but without ACL_EVENT_TIME_LINE; ACL_ERROR_RT_EVENT_TIMESTAMP_INVALID: never recorded;
 * ACL_ERROR_RT_EVENT_NOT_COMPLETE: its stream has not reached it yet; bad event.
 */
ACL_FUNC_VISIBILITY aclError aclrtEventElapsedTime(float *ms, aclrtEvent startEvent, aclrtEvent endEvent);

/* ---- Memory ------------------------------------------------------------------------------------------------ */

/*
 * Device memory, which here is host memory that this library knows: aligned to 64 bytes, not initialised. The
 * policy is not looked at. aclrtMallocAlign32 and aclrtMallocCached are the same. Returns ACL_SUCCESS;
 * ACL_ERROR_INVALID_PARAM: devPtr is NULL or size is 0; ACL_ERROR_RT_MEMORY_ALLOCATION: there is not that much; no
 * context.
 */
ACL_FUNC_VISIBILITY aclError aclrtMalloc(void **devPtr, size_t size, aclrtMemMallocPolicy policy);
ACL_FUNC_VISIBILITY aclError aclrtMallocAlign32(void **devPtr, size_t size, aclrtMemMallocPolicy policy);
ACL_FUNC_VISIBILITY aclError aclrtMallocCached(void **devPtr, size_t size, aclrtMemMallocPolicy policy);

/*
 * Frees what aclrtMalloc gave, at once: synchronize first if a stream may still use it. Needs no context.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: NULL; ACL_ERROR_RT_PARAM_INVALID: not the beginning of device
 * memory, or freed before.
 */
ACL_FUNC_VISIBILITY aclError aclrtFree(void *devPtr);

/* Host memory that asynchronous copies need not wait for; otherwise as aclrtMalloc and aclrtFree. */
ACL_FUNC_VISIBILITY aclError aclrtMallocHost(void **hostPtr, size_t size);
ACL_FUNC_VISIBILITY aclError aclrtFreeHost(void *hostPtr);

/*
 * Copies count bytes now, out of any stream's order. The two may overlap. Of kind only the range is looked at.
 * Returns ACL_SUCCESS, also when count is 0, whatever the other arguments; ACL_ERROR_INVALID_PARAM: a NULL pointer,
 * or a kind that is none; ACL_ERROR_RT_PARAM_INVALID: count is above destMax; no context.
 */
ACL_FUNC_VISIBILITY aclError aclrtMemcpy(void *dst, size_t destMax, const void *src, size_t count,
                                         aclrtMemcpyKind kind);

/*
 * Copies count bytes in the stream's order. Returns before that when both addresses are device memory or memory of
 * aclrtMallocHost; else after it. With ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE src is read before the return, whatever it
 * is. Returns as aclrtMemcpy, and ACL_ERROR_RT_FEATURE_NOT_SUPPORT: from host to host, or waiting in a callback;
 * bad stream; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtMemcpyAsync(void *dst, size_t destMax, const void *src, size_t count,
                                              aclrtMemcpyKind kind, aclrtStream stream);

/*
 * Sets count bytes to the low byte of value, now or (Async) in the stream's order.
 * Returns ACL_SUCCESS, also when count is 0, whatever the other arguments; ACL_ERROR_INVALID_PARAM: devPtr is NULL;
 * ACL_ERROR_RT_PARAM_INVALID: count is above maxCount; no context; and Async: bad stream; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtMemset(void *devPtr, size_t maxCount, int32_t value, size_t count);
ACL_FUNC_VISIBILITY aclError aclrtMemsetAsync(void *devPtr, size_t maxCount, int32_t value, size_t count,
                                              aclrtStream stream);

/*
 * Bytes of memory that the machine has, and that it could give now; the same for every kind of memory.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: a NULL pointer; ACL_ERROR_RT_PARAM_INVALID: attr is none;
 * ACL_ERROR_RT_DRV_INTERNAL_ERROR: the system does not say; no context.
 */
ACL_FUNC_VISIBILITY aclError aclrtGetMemInfo(aclrtMemAttr attr, size_t *free, size_t *total);

/* ---- Functions of the host in a stream's order -------------------------------------------------------------- */

/*
 * Calls fn(args) on the stream's thread in its turn. In fn the stream's context is current; fn may put more work on
 * any stream, and may not wait.
 * Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: fn is NULL; no context; bad stream; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtLaunchHostFunc(aclrtStream stream, aclrtHostFunc fn, void *args);

/*
 * Makes the thread (its pthread_self()) the one that runs the stream's callbacks, in aclrtProcessReport.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_STREAM_SUBSCRIBE: the stream has such a thread already; no context; bad stream;
 * no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtSubscribeReport(uint64_t threadId, aclrtStream stream);

/*
 * Undoes aclrtSubscribeReport. Callbacks that have not begun are never called: work that stands on one fails.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_THREAD_SUBSCRIBE: the stream's callbacks are not this thread's; no context;
 * bad stream.
 */
ACL_FUNC_VISIBILITY aclError aclrtUnSubscribeReport(uint64_t threadId, aclrtStream stream);

/*
 * When the stream reaches it, hands fn(userData) to the subscribed thread; with ACL_CALLBACK_BLOCK the stream goes
 * on after fn has returned. Returns ACL_SUCCESS; ACL_ERROR_INVALID_PARAM: fn is NULL; ACL_ERROR_RT_PARAM_INVALID:
 * blockType is none; ACL_ERROR_RT_STREAM_NO_CB_REG: no thread is subscribed; no context; bad stream; no memory.
 */
ACL_FUNC_VISIBILITY aclError aclrtLaunchCallback(aclrtCallback fn, void *userData, aclrtCallbackBlockType blockType,
                                                 aclrtStream stream);

/*
 * Waits until there is a callback for this thread and runs it: one for each call.
 * Returns ACL_SUCCESS; ACL_ERROR_RT_REPORT_TIMEOUT: none came; ACL_ERROR_RT_THREAD_SUBSCRIBE: the thread is
 * subscribed to no stream, or no longer; ACL_ERROR_RT_PARAM_INVALID: the timeout is below -1; in callback.
 */
ACL_FUNC_VISIBILITY aclError aclrtProcessReport(int32_t timeout);

#ifdef __cplusplus
}
#endif

#endif
