/* SPDX-License-Identifier: Apache-2.0 */
/* What the public calls need of CUDA's runtime: each answer is NULL, or CUDA's text for what went wrong. */
#ifndef FLOYD_CUDA_ENQUEUE_H
#define FLOYD_CUDA_ENQUEUE_H

#include "job.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The compute capability of the current device: 90 for 9.0. */
const char *floyd_cuda_capability(int *capability);

/* The kernels of a call, in order, on a cudaStream_t; those whose outputs have no elements are left out. */
const char *floyd_cuda_enqueue_forward(const floyd_job *job, void *stream);
const char *floyd_cuda_enqueue_backward(const floyd_job *job, void *stream);

#ifdef __cplusplus
}
#endif

#endif
