/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floydattn on NVIDIA GPUs: the operator of floydattn.h for tensors in device memory.
 *
 * The arguments, their checks, the mathematics and the meaning of masks, carry and add are those of floydattn.h.
 * What differs:
 *
 * - Every data pointer, and the workspace, is an address that kernels on the current device can use: the structures
 *   themselves are read on the host, before the call returns. This is not checked.
 * - A call checks its arguments and enqueues kernels on one stream of the current device, in order with what
 *   else is there. It waits for nothing and allocates nothing (the first call of a process may load the kernels,
 *   as CUDA does). Tensors and workspace must stay until the stream has passed the call.
 * - A status tells what was refused, or that a launch failed. A fault while kernels run (an address that is none,
 *   say) surfaces, as always with CUDA, at a later call to CUDA's runtime: at the latest when the stream is next
 *   waited for.
 * - F64 tensors, D > 128, and what else floydattn.h has done to scores and weights (softmax_cap, bias, dbias,
 *   dropout, a mask_fill but -FLT_MAX) are not supported. Results are not the CPU library's bit for bit.
 * - Sums are running ones of fp32 over their whole axis. Values within a factor of 2*K of the largest fp32
 *   number may overflow on the way, also those under a mask that hides a row's first pivots; and over an axis of
 *   many thousands whose terms are nearly all alike rounding grows with its length, to 1e-3 of the sum at 2^16 and
 *   2e-2 at 2^20. Random terms do not show it.
 * - Weights below 2^-126 are 0. In the backward the general kernels round scores anew, so that weights are those
 *   of the forward to within the rounding of a score: a few units of its last place.
 *
 * Which kernels run: those of the tensor cores where q, k1, v1, k2, v2 (and dy, in the backward) are all F16 or all
 * BF16, D is a multiple of 8 and at most 64, these tensors have data aligned to 16 bytes, stride 1 along D and
 * strides that are multiples of 8 along other axes longer than 1, and the device gives a block 227 KB of shared
 * memory (compute capability 9.0 and 10.x); general fp32 kernels otherwise. Both add in fp32, and neither rounds P
 * or dS to a type shorter than 22 bits; the last bits may differ between them. For the same sizes, types, strides
 * and alignment to 16 bytes the bits are the same on one kind of device: on every run, in every head of a batch,
 * and whichever outputs are asked for.
 *
 * The library needs a device of compute capability 8.0 or more. It can be loaded without any, and then refuses.
 */
#ifndef FLOYDATTN_CUDA_H
#define FLOYDATTN_CUDA_H

#include "floydattn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct floyd_cuda_options {
    size_t struct_size; /* sizeof(floyd_cuda_options); FLOYD_CUDA_OPTIONS_INIT sets it */
    void *stream;       /* a cudaStream_t of the current device; NULL = its legacy default stream */
} floyd_cuda_options;

#define FLOYD_CUDA_OPTIONS_INIT                                                                                    \
    {                                                                                                              \
        sizeof(floyd_cuda_options), NULL                                                                           \
    }

/*
 * The device memory that floyd_cuda_forward needs for these tensors (their data is not looked at): 0 bytes.
 * options may be NULL (the defaults). Returns FLOYD_OK, or NULL (an argument), DTYPE, SHAPE, OVERFLOW, STRIDE,
 * OPTION, or UNSUPPORTED: F64, D > 128, a bias or the like, no CUDA device, or one below compute capability 8.0.
 */
FLOYD_API floyd_status floyd_cuda_forward_workspace(const floyd_forward_args *args,
                                                    const floyd_cuda_options *options, size_t *bytes);

/*
 * Enqueues what computes y, max and sum. workspace is device memory of at least as many bytes as the query said, of
 * any alignment; it may be NULL when that is 0. Returns FLOYD_OK, what the query returns, or NULL (data,
 * workspace), OVERLAP, WORKSPACE, or SYSTEM: a kernel could not be launched, floyd_cuda_last_message() has CUDA's
 * text, and outputs are unspecified. With any other error nothing was enqueued.
 */
FLOYD_API floyd_status floyd_cuda_forward(const floyd_forward_args *args, const floyd_cuda_options *options,
                                          void *workspace, size_t bytes);

/*
 * The device memory that floyd_cuda_backward needs:
 *     bytes <= 16*B*H*N*M + 256
 * Returns as floyd_cuda_forward_workspace.
 */
FLOYD_API floyd_status floyd_cuda_backward_workspace(const floyd_backward_args *args,
                                                     const floyd_cuda_options *options, size_t *bytes);

/*
 * Enqueues what computes the gradients that are not NULL. Calls that may run at the same time, on different
 * streams, need workspaces of their own. Otherwise as floyd_cuda_forward.
 */
FLOYD_API floyd_status floyd_cuda_backward(const floyd_backward_args *args, const floyd_cuda_options *options,
                                           void *workspace, size_t bytes);

/*
 * What the last failing call of this library on this thread said, as floyd_last_message() says it of the other one.
 * Never NULL.
 */
FLOYD_API const char *floyd_cuda_last_message(void);

#ifdef __cplusplus
}
#endif

#endif
