/* SPDX-License-Identifier: Apache-2.0 */
/* Both phases, the same for every operator: phase one checks and remembers, phase two enqueues. */
#include <stdlib.h>

#include "acl/stream.h"
#include "aclnn/check.h"
#include "aclnn/executor.h"
#include "aclnn/floyd_status.h"

/* ---- Phase one --------------------------------------------------------------------------------- */

/* The checks before it leave only the environment and sizes beyond 64 bits for the native query to refuse. */
static aclnnStatus status_of(floyd_status native)
{
    switch (native) {
    case FLOYD_OK:
        return ACLNN_SUCCESS;
    case FLOYD_ERROR_UNSUPPORTED:
    case FLOYD_ERROR_SYSTEM:
        return ACLNN_ERR_RUNTIME_ERROR;
    case FLOYD_ERROR_SHAPE:
    case FLOYD_ERROR_OVERFLOW:
    case FLOYD_ERROR_STRIDE:
        return ACLNN_ERR_INNER_TILING_ERROR;
    default:
        return ACLNN_ERR_INNER;
    }
}

static void fill_slot(aclnn_slot *slot, const aclTensor *tensor, const aclnn_layout *layout)
{
    slot->present = true;
    slot->data = atomic_load(&((aclTensor *)(uintptr_t)tensor)->data);
    slot->place = *layout;
    slot->view.dtype = aclnn_native_type(tensor->dtype);
    for (int a = 0; a < ACLNN_AXES; a++) {
        slot->view.size[a] = tensor->size[a];
        slot->view.stride[a] = tensor->stride[a];
    }
}

static aclnnStatus check_all(const aclnn_operator *op, const aclTensor *const *tensors,
                             const uint64_t *workspace_size, aclOpExecutor *const *executor, aclnn_layout *layouts)
{
    aclnnStatus status = aclnn_check_present(op, tensors);
    if (status != ACLNN_SUCCESS) return status;
    if (workspace_size == NULL || executor == NULL) {
        return acl_report(ACLNN_ERR_PARAM_NULLPTR, "%sGetWorkspaceSize: %s is NULL, needs a place for the answer",
                          op->name, workspace_size == NULL ? "workspaceSize" : "executor");
    }
    status = aclnn_check_types(op, tensors);
    return status == ACLNN_SUCCESS ? aclnn_check_shapes(op, tensors, layouts) : status;
}

static aclnnStatus query_workspace(aclnn_executor *made)
{
    const aclnnStatus status = status_of(made->op->query(made, &made->workspace_bytes));
    if (status == ACLNN_SUCCESS) return status;
    return acl_report(status, "%sGetWorkspaceSize: %s", made->op->name, floyd_last_message());
}

aclnnStatus aclnn_prepare(const aclnn_operator *op, const aclTensor *const *tensors, double scale,
                          uint64_t *workspace_size, aclOpExecutor **executor)
{
    aclnn_layout layouts[ACLNN_MAX_ARGUMENTS];
    aclnnStatus status = check_all(op, tensors, workspace_size, executor, layouts);
    if (status != ACLNN_SUCCESS) return status;
    aclnn_executor *made = calloc(1, sizeof *made);
    if (made == NULL) return acl_report(ACLNN_ERR_INNER_CREATE_EXECUTOR, "%sGetWorkspaceSize: no memory", op->name);
    made->op = op;
    made->scale = scale;
    made->threads = floyd_default_threads();
    for (int i = 0; i < op->count; i++) {
        if (tensors[i] != NULL) fill_slot(&made->slots[i], tensors[i], &layouts[i]);
    }
    status = query_workspace(made);
    if (status != ACLNN_SUCCESS) {
        free(made);
        return status;
    }
    *workspace_size = made->workspace_bytes;
    *executor = aclnn_executor_publish(made);
    return ACLNN_SUCCESS;
}

/* ---- Phase two --------------------------------------------------------------------------------- */

static aclnnStatus check_workspace(const aclnn_executor *job)
{
    if (job->workspace_given < job->workspace_bytes) {
        return acl_report(ACLNN_ERR_PARAM_INVALID, "%s: workspaceSize is %zu, needs the %zu of phase one",
                          job->op->name, job->workspace_given, job->workspace_bytes);
    }
    if (job->workspace == NULL && job->workspace_bytes > 0) {
        return acl_report(ACLNN_ERR_PARAM_NULLPTR, "%s: workspace is NULL, needs %zu bytes", job->op->name,
                          job->workspace_bytes);
    }
    return ACLNN_SUCCESS;
}

static aclnnStatus check_addresses(const aclnn_executor *job)
{
    for (int i = 0; i < job->op->count; i++) {
        if (!job->slots[i].present || job->slots[i].data != NULL) continue;
        return acl_report(ACLNN_ERR_PARAM_NULLPTR, "%s: %s has a NULL address, needs its data", job->op->name,
                          job->op->arguments[i].name);
    }
    return ACLNN_SUCCESS;
}

static aclnnStatus report_overlap(const aclnn_operator *op, int i, const char *other)
{
    return acl_report(ACLNN_ERR_PARAM_INVALID, "%s: %s shares bytes with %s, needs memory of its own", op->name,
                      op->arguments[i].name, other);
}

static aclnnStatus check_overlap(const aclnn_executor *job)
{
    const aclnn_operator *op = job->op;
    const aclnn_layout whole = {0, 0, job->workspace_given < INT64_MAX ? (int64_t)job->workspace_given : INT64_MAX};
    const aclnn_range workspace = aclnn_range_of(job->workspace, &whole);
    aclnn_range ranges[ACLNN_MAX_ARGUMENTS] = {{0, 0}};
    for (int i = 0; i < op->count; i++) {
        if (job->slots[i].present) ranges[i] = aclnn_range_of(job->slots[i].data, &job->slots[i].place);
    }
    for (int i = op->inputs; i < op->count; i++) {
        for (int j = 0; j < i; j++) {
            if (aclnn_range_meets(ranges[i], ranges[j])) return report_overlap(op, i, op->arguments[j].name);
        }
    }
    /* Inputs too: the workspace is written. */
    for (int i = 0; i < op->count && job->workspace != NULL && job->workspace_given > 0; i++) {
        if (aclnn_range_meets(ranges[i], workspace)) return report_overlap(op, i, "the workspace");
    }
    return ACLNN_SUCCESS;
}

static void take_addresses(aclnn_executor *job)
{
    for (int i = 0; i < job->op->count; i++) {
        aclnn_slot *slot = &job->slots[i];
        if (slot->present) slot->view.data = (void *)((uintptr_t)slot->data + (uintptr_t)slot->place.first);
    }
}

/* On the stream's thread. */
static aclError run_job(void *user)
{
    const aclnn_executor *job = user;
    const floyd_status status = job->op->run(job, job->workspace, job->workspace_given);
    if (status == FLOYD_OK) return ACL_SUCCESS;
    return acl_report(ACL_ERROR_RT_INTERNAL_ERROR, "%s: %s: %s", job->op->name, floyd_status_name(status),
                      floyd_last_message());
}

static aclnnStatus report_stream(const char *name, aclrtStream stream, aclError error)
{
    if (error == ACL_ERROR_RT_MEMORY_ALLOCATION) {
        return acl_report(ACLNN_ERR_INNER_CREATE_EXECUTOR, "%s: no memory to put it on the stream", name);
    }
    return acl_report(ACLNN_ERR_RUNTIME_ERROR, "%s: stream %s takes no work (%d), needs %s", name,
                      stream == NULL ? "NULL" : "given", (int)error,
                      stream == NULL || error == ACL_ERROR_RT_CONTEXT_NULL
                          ? "a device on this thread, by aclrtSetDevice in this process"
                          : "one from aclrtCreateStream in this thread's context");
}

static aclnnStatus submit(const aclnn_executor *checked, aclrtStream stream)
{
    aclnn_executor *job;
    const aclnnStatus status = aclnn_executor_begin(checked, &job);
    if (status != ACLNN_SUCCESS) return status;
    take_addresses(job);
    const aclError error = acl_stream_submit(stream, (acl_work){run_job, free, job});
    aclnn_executor_end(checked, error == ACL_SUCCESS);
    if (error == ACL_SUCCESS) return ACLNN_SUCCESS; /* the job may be gone already */
    free(job);
    return report_stream(checked->op->name, stream, error);
}

aclnnStatus aclnn_launch(const aclnn_operator *op, void *workspace, uint64_t workspace_size,
                         aclOpExecutor *executor, aclrtStream stream)
{
    if (executor == NULL) return acl_report(ACLNN_ERR_PARAM_NULLPTR, "%s: executor is NULL", op->name);
    aclnn_executor job; /* the one in the registry stays there until it runs */
    aclnnStatus status = aclnn_executor_read(op, executor, &job);
    if (status != ACLNN_SUCCESS) return status;
    job.workspace = workspace;
    job.workspace_given = workspace_size < SIZE_MAX ? (size_t)workspace_size : SIZE_MAX;
    status = check_workspace(&job);
    if (status == ACLNN_SUCCESS) status = check_addresses(&job);
    if (status == ACLNN_SUCCESS) status = check_overlap(&job);
    return status == ACLNN_SUCCESS ? submit(&job, stream) : status;
}
