/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls: check, look at the device, enqueue. */
#include "floydattn_cuda.h"

#include <float.h>

#include "enqueue.h"
#include "make.h"
#include "problem/message.h"

enum { LARGEST_D = 128, OLDEST_CAPABILITY = 80 };

const char *floyd_cuda_last_message(void)
{
    return floyd_last_message();
}

static floyd_status take_stream(const floyd_cuda_options *options, void **stream)
{
    floyd_cuda_options own = FLOYD_CUDA_OPTIONS_INIT;
    floyd_status status = FLOYD_OK;
    if (options) status = floyd_take_struct("options", "floydattn_cuda.h", options, &own, sizeof own, sizeof own);
    *stream = own.stream;
    return status;
}

/* What floydattn.h has and the kernels here have not. */
static const char *missing(const floyd_problem *problem)
{
    if (problem->softmax_cap > 0) return "softmax_cap";
    if (problem->has[FLOYD_ROLE_BIAS]) return "bias";
    if (problem->has[FLOYD_ROLE_DBIAS]) return "dbias";
    if (problem->mask_fill != -FLT_MAX) return "mask_fill";
    return problem->dropout > 0 ? "dropout" : NULL;
}

static floyd_status check_supported(const floyd_problem *problem)
{
    const char *extra = missing(problem);
    if (extra) return floyd_fail(FLOYD_ERROR_UNSUPPORTED, "%s is given; on a GPU it needs to be 0 or NULL", extra);
    if (problem->fp64)
        return floyd_fail(FLOYD_ERROR_UNSUPPORTED, "q has dtype F64 (%d); on a GPU it needs F16, BF16 or F32",
                          (int)FLOYD_F64);
    if (problem->D > LARGEST_D)
        return floyd_fail(FLOYD_ERROR_UNSUPPORTED, "q has size %lld on axis D; on a GPU it needs %d or less",
                          (long long)problem->D, (int)LARGEST_D);
    int capability;
    const char *error = floyd_cuda_capability(&capability);
    if (error)
        return floyd_fail(FLOYD_ERROR_UNSUPPORTED, "CUDA has no device for this thread; it needs one: %s", error);
    if (capability < OLDEST_CAPABILITY)
        return floyd_fail(FLOYD_ERROR_UNSUPPORTED,
                          "the device has compute capability %d.%d; it needs %d.%d or more", capability / 10,
                          capability % 10, OLDEST_CAPABILITY / 10, OLDEST_CAPABILITY % 10);
    return FLOYD_OK;
}

static floyd_status workspace_of(const floyd_problem *problem, size_t *bytes)
{
    const floyd_status status = check_supported(problem);
    if (status != FLOYD_OK || floyd_cuda_workspace(problem, bytes)) return status;
    return floyd_fail(FLOYD_ERROR_OVERFLOW,
                      "the workspace takes more bytes than 64 bits count; B*H*N*M is %lld*%lld*%lld*%lld",
                      (long long)problem->B, (long long)problem->H, (long long)problem->N, (long long)problem->M);
}

static floyd_status query(const floyd_problem *problem, const floyd_cuda_options *options, size_t *bytes)
{
    void *stream;
    size_t needed;
    floyd_status status = take_stream(options, &stream);
    if (status != FLOYD_OK) return status;
    if (!bytes) return floyd_fail(FLOYD_ERROR_NULL, "bytes is NULL; it needs a place for the workspace size");
    status = workspace_of(problem, &needed);
    if (status == FLOYD_OK) *bytes = needed;
    return status;
}

static floyd_status run(const floyd_problem *problem, const floyd_cuda_options *options, void *workspace,
                        size_t bytes)
{
    void *stream;
    size_t needed = 0;
    floyd_status status = take_stream(options, &stream);
    if (status == FLOYD_OK) status = workspace_of(problem, &needed);
    if (status == FLOYD_OK) status = floyd_problem_memory(problem, workspace, bytes, needed);
    if (status != FLOYD_OK) return status;
    const floyd_job job = floyd_job_make(problem, workspace);
    const char *error =
        problem->backward ? floyd_cuda_enqueue_backward(&job, stream) : floyd_cuda_enqueue_forward(&job, stream);
    if (error) return floyd_fail(FLOYD_ERROR_SYSTEM, "a kernel could not be launched: %s", error);
    return FLOYD_OK;
}

floyd_status floyd_cuda_forward_workspace(const floyd_forward_args *args, const floyd_cuda_options *options,
                                          size_t *bytes)
{
    floyd_problem problem;
    const floyd_status status = floyd_problem_forward(args, NULL, &problem);
    return status == FLOYD_OK ? query(&problem, options, bytes) : status;
}

floyd_status floyd_cuda_forward(const floyd_forward_args *args, const floyd_cuda_options *options, void *workspace,
                                size_t bytes)
{
    floyd_problem problem;
    const floyd_status status = floyd_problem_forward(args, NULL, &problem);
    return status == FLOYD_OK ? run(&problem, options, workspace, bytes) : status;
}

floyd_status floyd_cuda_backward_workspace(const floyd_backward_args *args, const floyd_cuda_options *options,
                                           size_t *bytes)
{
    floyd_problem problem;
    const floyd_status status = floyd_problem_backward(args, NULL, &problem);
    return status == FLOYD_OK ? query(&problem, options, bytes) : status;
}

floyd_status floyd_cuda_backward(const floyd_backward_args *args, const floyd_cuda_options *options,
                                 void *workspace, size_t bytes)
{
    floyd_problem problem;
    const floyd_status status = floyd_problem_backward(args, NULL, &problem);
    return status == FLOYD_OK ? run(&problem, options, workspace, bytes) : status;
}
