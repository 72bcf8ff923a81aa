/* SPDX-License-Identifier: Apache-2.0 */
/* Which family of kernels a job is for. */
#ifndef FLOYD_CUDA_CHOOSE_H
#define FLOYD_CUDA_CHOOSE_H

#include "job.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * True where the tensor-core kernels can take the job: 16-bit operands of one type (dy among them in a backward,
 * which has rows), D and layouts that can be read 16 bytes at a time, and no size of 0. A job and its mirror agree.
 */
bool floyd_cuda_mma_fits(const floyd_job *job);

#ifdef __cplusplus
}
#endif

#endif
