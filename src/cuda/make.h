/* SPDX-License-Identifier: Apache-2.0 */
/* From a checked problem to a job. */
#ifndef FLOYD_CUDA_MAKE_H
#define FLOYD_CUDA_MAKE_H

#include <stddef.h>

#include "job.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The bytes of workspace that the problem takes, at any alignment. False if they do not fit. */
bool floyd_cuda_workspace(const floyd_problem *problem, size_t *bytes);

/* The job of a problem, with its rows in a workspace of that size. */
floyd_job floyd_job_make(const floyd_problem *problem, void *workspace);

/*
 * The same job with the names n and m exchanged. The formulas are symmetric in the two edges: so what computes dk1
 * and dv1 computes dk2 and dv2 of the mirrored job.
 */
floyd_job floyd_job_mirrored(const floyd_job *job);

#ifdef __cplusplus
}
#endif

#endif
