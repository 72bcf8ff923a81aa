/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "make.h"
#include "run/fpenv.h"

enum { ROW_ALIGN = 16 };

_Static_assert(sizeof(floyd_row) == ROW_ALIGN, "a row is read as one vector");

bool floyd_cuda_workspace(const floyd_problem *problem, size_t *bytes)
{
    const int64_t size[] = {problem->B, problem->H, problem->N, problem->M};
    *bytes = 0;
    if (!problem->backward) return true;
    for (int axis = 0; axis < 4; axis++)
        if (size[axis] == 0) return true;
    size_t total = sizeof(floyd_row);
    for (int axis = 0; axis < 4; axis++)
        if (__builtin_mul_overflow(total, (size_t)size[axis], &total)) return false;
    return !__builtin_add_overflow(total, (size_t)ROW_ALIGN, bytes);
}

/* The float nearest to scale, whatever rounding the caller has set. */
static float rounded(double scale)
{
    floyd_fpenv found;
    floyd_fpenv_enter(&found);
    const volatile double exact = scale; /* volatile keeps the rounding between the two calls */
    const volatile float nearest = (float)exact;
    floyd_fpenv_leave(&found);
    return nearest;
}

static floyd_view view_of(const floyd_problem *problem, floyd_role role)
{
    const floyd_tensor *tensor = &problem->tensor[role];
    floyd_view view = {NULL, {0}, 0};
    if (!problem->has[role]) return view;
    view.data = tensor->data;
    view.dtype = (int32_t)tensor->dtype;
    memcpy(view.stride, tensor->stride, sizeof view.stride);
    for (int axis = 0; axis < 4; axis++) /* of one element, whatever it says: no address is made with it */
        if (tensor->size[axis] == 1) view.stride[axis] = 0;
    return view;
}

static void place_rows(floyd_job *job, void *workspace)
{
    const uintptr_t past = (uintptr_t)workspace % ROW_ALIGN;
    job->rows = (floyd_row *)(void *)((char *)workspace + (past ? ROW_ALIGN - past : 0));
    job->row_stride[0] = job->N * job->M;
    job->row_stride[1] = job->M;
    job->row_stride[2] = 1;
}

floyd_job floyd_job_make(const floyd_problem *problem, void *workspace)
{
    floyd_job job;
    size_t bytes;
    memset(&job, 0, sizeof job);
    job.B = problem->B, job.H = problem->H, job.N = problem->N;
    job.M = problem->M, job.K = problem->K, job.D = problem->D;
    job.scale = rounded(problem->scale);
    job.zero_grad = problem->zero_grad;
    job.continued = problem->continued;
    for (floyd_role role = FLOYD_ROLE_Q; role < FLOYD_JOB_ROLES; role++) job.tensor[role] = view_of(problem, role);
    job.copies[0] = problem->tensor[FLOYD_ROLE_MAX].size[4];
    job.copies[1] = problem->tensor[FLOYD_ROLE_SUM].size[4];
    if (floyd_cuda_workspace(problem, &bytes) && bytes > 0) place_rows(&job, workspace);
    return job;
}

static floyd_role mirror_of(floyd_role role)
{
    switch (role) {
    case FLOYD_ROLE_K1:
        return FLOYD_ROLE_K2;
    case FLOYD_ROLE_V1:
        return FLOYD_ROLE_V2;
    case FLOYD_ROLE_K2:
        return FLOYD_ROLE_K1;
    case FLOYD_ROLE_V2:
        return FLOYD_ROLE_V1;
    case FLOYD_ROLE_DK1:
        return FLOYD_ROLE_DK2;
    case FLOYD_ROLE_DV1:
        return FLOYD_ROLE_DV2;
    case FLOYD_ROLE_DK2:
        return FLOYD_ROLE_DK1;
    case FLOYD_ROLE_DV2:
        return FLOYD_ROLE_DV1;
    default:
        return role;
    }
}

/* Every tensor has its two axes of n, m and k in places 2 and 3, and its mirror has them the other way round. */
floyd_job floyd_job_mirrored(const floyd_job *job)
{
    floyd_job mirrored = *job;
    mirrored.N = job->M;
    mirrored.M = job->N;
    for (floyd_role role = FLOYD_ROLE_Q; role < FLOYD_JOB_ROLES; role++) {
        const floyd_view *from = &job->tensor[mirror_of(role)];
        floyd_view *to = &mirrored.tensor[role];
        *to = *from;
        to->stride[2] = from->stride[3];
        to->stride[3] = from->stride[2];
    }
    mirrored.row_stride[1] = job->row_stride[2];
    mirrored.row_stride[2] = job->row_stride[1];
    return mirrored;
}
