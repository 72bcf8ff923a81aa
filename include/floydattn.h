/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floydattn: Floyd (pivotal) attention, forward and gradient, on the CPU.
 *
 * For every pair (n,m) the operator attends over all pivots k, with scores and values that are sums
 * over the two edges of the path n - k - m. Sizes are B (batch), H (heads), N and M (the pair's two
 * axes), K (the pivot axis) and D (the head size):
 *
 *   tensor              shape            index
 *   Q, Y, dY, dQ        [B,H,N,M,D]      pair (n,m)
 *   K1, V1, dK1, dV1    [B,H,N,K,D]      pair (n,k)
 *   K2, V2, dK2, dV2    [B,H,K,M,D]      pair (k,m)
 *   mask                [B,H,N,M,K]      any axis may have size 1 or stride 0; usually [B,1,N,1,K]
 *   bias, dbias         [B,H,N,M,K]      any axis may have size 1
 *   max, sum            [B,H,N,M,R]      R >= 1 copies of one value per row; element 0 is read
 *
 * Forward:
 *   S[n,m,k] = scale * (Q[n,m].K1[n,k] + Q[n,m].K2[k,m])   (masked positions: replaced by -FLT_MAX)
 *   max[n,m] = max_k S,   sum[n,m] = sum_k exp(S - max),   P = exp(S - max) / sum
 *   Y[n,m]   = sum_k P[n,m,k] * (V1[n,k] + V2[k,m])
 *
 * Backward, from the given max, sum and Y (inputs: never recomputed, never assumed consistent):
 *   dP[n,m,k] = dY[n,m].V1[n,k] + dY[n,m].V2[k,m],   delta[n,m] = dY[n,m].Y[n,m]
 *   dS        = P * (dP - delta) * scale
 *   dQ[n,m]   = sum_k dS * (K1[n,k] + K2[k,m])
 *   dK1[n,k]  = sum_m dS * Q[n,m],     dK2[k,m] = sum_n dS * Q[n,m]
 *   dV1[n,k]  = sum_m P * dY[n,m],     dV2[k,m] = sum_n P * dY[n,m]
 *
 * No buffer of size N*M*K is ever made. Arithmetic and accumulation are fp32 for fp16, bf16 and fp32
 * tensors and fp64 for fp64 tensors; each output element is rounded once, to nearest even. Work is
 * 8*B*H*N*M*K*D flops forward and 20*B*H*N*M*K*D backward. The forward divides by sum at the end, so values within
 * a factor of K of the largest fp32 (fp64) number may overflow on the way. Sums are plain ones of fp32 (fp64)
 * numbers: over many thousands of terms that are nearly all alike their rounding grows with the length.
 *
 * The value of every output element depends on the problem alone: not on the number of threads, the
 * run, the batch around a head, strides, alignment, which outputs are asked for, how a mask is stored
 * or, on processors with fused multiply-add, the vector width.
 *
 * Every function may be called from any thread, which must not be cancelled (pthread_cancel) meanwhile. None
 * aborts, exits, prints, or keeps a pointer that it was given beyond the call. Every error is a status, with a text
 * in floyd_last_message(); all checks and every acquisition that can fail come before the first write to an output.
 */
#ifndef FLOYDATTN_H
#define FLOYDATTN_H

#include <stddef.h>
#include <stdint.h>

#define FLOYD_VERSION_MAJOR 0
#define FLOYD_VERSION_MINOR 1
#define FLOYD_VERSION_PATCH 0

#if defined(__GNUC__)
#define FLOYD_API __attribute__((visibility("default")))
#else
#define FLOYD_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------ */

typedef enum floyd_status {
    FLOYD_OK = 0,
    FLOYD_ERROR_NULL = 1,        /* a required pointer, or the data of a tensor, is NULL */
    FLOYD_ERROR_DTYPE = 2,       /* a data type that this argument cannot have */
    FLOYD_ERROR_SHAPE = 3,       /* a size that is negative or disagrees with another tensor's */
    FLOYD_ERROR_OVERFLOW = 4,    /* a product of sizes or strides does not fit in 64 bits */
    FLOYD_ERROR_STRIDE = 5,      /* the strides of an output make its elements overlap */
    FLOYD_ERROR_OVERLAP = 6,     /* an output's bytes, first to last, meet another tensor's or the workspace's */
    FLOYD_ERROR_OPTION = 7,      /* an option or an enum value outside its range */
    FLOYD_ERROR_WORKSPACE = 8,   /* the workspace is smaller than the query said */
    FLOYD_ERROR_UNSUPPORTED = 9, /* FLOYDATTN_ISA names an ISA that is unknown or not available here */
    FLOYD_ERROR_SYSTEM = 10,     /* a thread could not be started; nothing was written */
    FLOYD_ERROR_CANCELLED = 11   /* the progress callback asked to stop: outputs are unspecified */
} floyd_status;

/* The name of a status ("FLOYD_ERROR_SHAPE"), or "unknown status". Never NULL. */
FLOYD_API const char *floyd_status_name(floyd_status status);

/*
 * What the last failing call on this thread said: the argument, what it got and what it needs. Empty
 * if no call on this thread has failed. Valid until the next call on this thread; successful calls
 * leave it as it is. Never NULL.
 */
FLOYD_API const char *floyd_last_message(void);

/* The version of the library that is loaded, "0.1.0". Never NULL. */
FLOYD_API const char *floyd_version(void);

/* ---- Tensors ----------------------------------------------------------------------------------- */

typedef enum floyd_dtype {
    FLOYD_F32 = 0,
    FLOYD_F64 = 1,
    FLOYD_F16 = 2,  /* IEEE 754 binary16 */
    FLOYD_BF16 = 3, /* the upper half of a binary32 */
    FLOYD_U8 = 4    /* masks only: bool or uint8, any non-zero byte = masked */
} floyd_dtype;

/* Bytes per element: 4, 8, 2, 2, 1; 0 for an unknown value. */
FLOYD_API size_t floyd_dtype_size(floyd_dtype dtype);

/*
 * A view of five axes. Element (i0..i4) lies at data + sum(i[a] * stride[a]) elements. Strides of
 * inputs may be anything, 0 and negative included. An output is accepted when, without its axes of
 * size 1 and sorted by |stride|, each |stride| exceeds the summed extent of the smaller ones.
 * data may be NULL in a workspace query, and where the tensor has no elements. Inputs are not written.
 */
typedef struct floyd_tensor {
    void *data;
    floyd_dtype dtype;
    int64_t size[5];
    int64_t stride[5]; /* in elements */
} floyd_tensor;

/* A tensor of these sizes with the last axis contiguous and no gaps. */
FLOYD_API floyd_tensor floyd_contiguous(void *data, floyd_dtype dtype, int64_t size0, int64_t size1, int64_t size2,
                                        int64_t size3, int64_t size4);

/* ---- How a call runs ---------------------------------------------------------------------------- */

/*
 * Progress: called on the calling thread after pieces of work, with done rising to total
 * (work units of the schedule). A return value other than 0 cancels the call, which then returns
 * FLOYD_ERROR_CANCELLED with unspecified outputs. It may fork: the child lacks the call's other threads, if it had
 * any, and there the call ends as if cancelled; in its last callback, perhaps well. (A function of the caller's
 * that brings threads, see below, may wait for them.) It must return: an exception or longjmp() out of it leaves
 * the call's threads at work.
 */
typedef int (*floyd_progress_fn)(void *user, int64_t done, int64_t total);

/*
 * Threads of the caller's: calls body(data) up to `threads` times, side by side on different threads, of which the
 * calling one should be one, and returns after every call has. flags is 0. With OpenMP:
 *
 *     #pragma omp parallel num_threads(threads)
 *     body(data);
 *
 * and its type is that of GOMP_parallel, which may be given as it is where the program has GNU's or LLVM's OpenMP
 * runtime. Fewer calls are enough: the first ones take all the work there is. None may begin after the return.
 */
typedef void (*floyd_parallel_fn)(void (*body)(void *data), void *data, unsigned threads, unsigned flags);

typedef struct floyd_options {
    size_t struct_size;         /* sizeof(floyd_options); FLOYD_OPTIONS_INIT sets it */
    int threads;                /* threads to compute with, the caller's included; 0 = floyd_default_threads() */
    floyd_progress_fn progress; /* NULL = none */
    void *progress_user;
    floyd_parallel_fn
        parallel; /* where more threads than the caller's are wanted; NULL = the library has its own */
} floyd_options;

#define FLOYD_OPTIONS_INIT                                                                                         \
    {                                                                                                              \
        sizeof(floyd_options), 0, NULL, NULL, NULL                                                                 \
    }

/*
 * FLOYDATTN_NUM_THREADS if it is a positive number, else OMP_NUM_THREADS likewise (of a list "4,2" the
 * first), else the number of processors that the calling thread may use. At least 1.
 */
FLOYD_API int floyd_default_threads(void);

/* ---- What else may be done to scores and weights -------------------------------------------------- */

/*
 * Each of these is off when 0, and forward and backward need the same. In this order, with S = scale * (..):
 *
 *   softmax_cap   S = cap * tanh(S / cap)                                             (logit capping)
 *   bias          S = S + bias[n,m,k]                                                 (an additive mask)
 *   mask          S = mask_fill where masked                                          (0 stands for -FLT_MAX)
 *   dropout       Y = sum_k P * keep[n,m,k] / (1 - dropout) * V    with keep = 0 with probability dropout, else 1
 *
 * max and sum are those of the scores that softmax sees, before dropout. In the backward dP counts kept weights
 * alone and is divided by 1 - dropout, delta = dY.Y as ever, dbias = P * (dP - delta), summed over the axes along
 * which it has size 1, and dS = dbias * (1 - tanh(S / cap)^2) * scale.
 *
 * A row counts as fully masked, and its masked positions weigh something, while its max is no more than
 * T = max(mask_fill / 2, mask_fill + 750), above which exp(mask_fill - max) is 0: -FLT_MAX/2 for the fill -FLT_MAX.
 *
 * keep[b,h,n,m,k] is 1 when word k % 4 of Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", 2011) is dropout * 2^32 or more, with the key (seed mod 2^32, seed / 2^32) and the counter (k / 4, m,
 * n, b * H + h), each modulo 2^32: the same in forward and backward, on any processor, with any number of threads,
 * and never stored.
 */

/* ---- Forward ----------------------------------------------------------------------------------- */

typedef struct floyd_forward_args {
    size_t struct_size;       /* sizeof(floyd_forward_args); FLOYD_FORWARD_ARGS_INIT sets it */
    double scale;             /* any value, NaN and infinities too; rounded to fp32 unless the tensors are fp64 */
    const floyd_tensor *q;    /* [B,H,N,M,D] F16, BF16, F32 or F64 */
    const floyd_tensor *k1;   /* [B,H,N,K,D] as q */
    const floyd_tensor *v1;   /* [B,H,N,K,D] as q */
    const floyd_tensor *k2;   /* [B,H,K,M,D] as q */
    const floyd_tensor *v2;   /* [B,H,K,M,D] as q */
    const floyd_tensor *mask; /* [B,H,N,M,K] U8, each axis full or 1; NULL = nothing masked */
    const floyd_tensor *y;    /* out [B,H,N,M,D] as q, or F32 */
    const floyd_tensor *max;  /* out [B,H,N,M,R] F32 (F64 for F64); NULL = not wanted */
    const floyd_tensor *sum;  /* out [B,H,N,M,R] F32 (F64 for F64); NULL = not wanted */
    /*
     * !! carry != 0: y, max and sum hold the state of an earlier call over other pivots and are
     * continued: y (normalised), max and sum go in and out. sum = 0 is the empty state; y is then not
     * read. All three are required and y must be F32 (F64 for F64). dropout must be 0.
     */
    int carry;
    const floyd_tensor *bias; /* [B,H,N,M,K] as q or F32, each axis full or 1; NULL = none */
    double softmax_cap;       /* 0 = none */
    double mask_fill; /* 0 = -FLT_MAX; any other value but NaN, rounded to fp32 unless the tensors are fp64 */
    double dropout;   /* probability, 0 to 1 */
    uint64_t seed;    /* of dropout */
} floyd_forward_args;

#define FLOYD_FORWARD_ARGS_INIT                                                                                    \
    {                                                                                                              \
        sizeof(floyd_forward_args), 1.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0.0, 0.0,  \
            0.0, 0                                                                                                 \
    }

/*
 * The workspace that floyd_forward needs for these tensors (their data is not looked at) and options
 * (NULL = defaults). With t = the threads used and a = the accumulator's size (8 for F64, else 4):
 *     bytes <= t * 4 MiB * max(1, D*a/512)
 * Returns FLOYD_OK, or NULL (an argument), DTYPE, SHAPE, OVERFLOW, STRIDE, OPTION, UNSUPPORTED.
 */
FLOYD_API floyd_status floyd_forward_workspace(const floyd_forward_args *args, const floyd_options *options,
                                               size_t *bytes);

/*
 * Computes y, max and sum (overwritten; continued when carry is set). workspace is at least as many
 * bytes as the query said for the same arguments and options, of any alignment; it may be NULL when
 * that is 0. Nothing is allocated, except threads the first time that many are asked for.
 * Sizes of 0 are fine: with K = 0, y = 0, max = -FLT_MAX and sum = 0.
 * Returns FLOYD_OK, what the query returns, or NULL (data, workspace), OVERLAP, WORKSPACE, SYSTEM,
 * CANCELLED.
 */
FLOYD_API floyd_status floyd_forward(const floyd_forward_args *args, const floyd_options *options, void *workspace,
                                     size_t bytes);

/* ---- Backward ---------------------------------------------------------------------------------- */

/*
 * A row counts as fully masked when its given max <= -FLT_MAX/2 (T above, where there is a mask_fill). In every
 * other row P and dS are exactly 0 at masked positions. In a fully masked row P = exp(S - max) / sum as it stands,
 * and dS is:
 */
typedef enum floyd_mask_rule {
    FLOYD_MASK_REPLACE = 0,  /* the formula as it stands (CANN) */
    FLOYD_MASK_ZERO_GRAD = 1 /* 0 at masked positions (FloydNet's masked_fill) */
} floyd_mask_rule;

typedef struct floyd_backward_args {
    size_t struct_size;       /* sizeof(floyd_backward_args); FLOYD_BACKWARD_ARGS_INIT sets it */
    double scale;             /* as in the forward */
    const floyd_tensor *q;    /* [B,H,N,M,D] F16, BF16, F32 or F64 */
    const floyd_tensor *k1;   /* [B,H,N,K,D] as q */
    const floyd_tensor *v1;   /* [B,H,N,K,D] as q */
    const floyd_tensor *k2;   /* [B,H,K,M,D] as q */
    const floyd_tensor *v2;   /* [B,H,K,M,D] as q */
    const floyd_tensor *mask; /* [B,H,N,M,K] U8, each axis full or 1; NULL = nothing masked */
    floyd_mask_rule mask_rule;
    const floyd_tensor *y;   /* [B,H,N,M,D] as q, or F32 */
    const floyd_tensor *max; /* [B,H,N,M,R] F32 (F64 for F64) */
    const floyd_tensor *sum; /* [B,H,N,M,R] F32 (F64 for F64) */
    const floyd_tensor *dy;  /* [B,H,N,M,D] as q, or F32 */
    const floyd_tensor *dq;  /* out [B,H,N,M,D] as q, or F32; NULL = not computed. So are the rest: */
    const floyd_tensor *dk1; /* out [B,H,N,K,D] */
    const floyd_tensor *dv1; /* out [B,H,N,K,D] */
    const floyd_tensor *dk2; /* out [B,H,K,M,D] */
    const floyd_tensor *dv2; /* out [B,H,K,M,D] */
    /* !! add != 0: gradients are added to what is stored, and must be F32 (F64 for F64). */
    int add;
    const floyd_tensor *bias; /* these five as in the forward */
    double softmax_cap;
    double mask_fill;
    double dropout;
    uint64_t seed;
    const floyd_tensor *dbias; /* out [B,H,N,M,K] F32 (F64 for F64), each axis full or 1; NULL = not computed */
} floyd_backward_args;

#define FLOYD_BACKWARD_ARGS_INIT                                                                                   \
    {                                                                                                              \
        sizeof(floyd_backward_args), 1.0, NULL, NULL, NULL, NULL, NULL, NULL, FLOYD_MASK_REPLACE, NULL, NULL,      \
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0.0, 0.0, 0.0, 0, NULL                              \
    }

/*
 * The workspace that floyd_backward needs. With t and a as above and h = heads in flight (at most t),
 *     bytes <= t * 4 MiB * max(1, D*a/512)
 *              + h * a * (sum of the elements per head of each requested gradient whose type is not
 *                         the accumulator's + 3*N*M + F)
 * F = max(N*M, N*K) if dbias has size 1 along two or all of N, M and K, else 0. Where dbias has size 1 along B or H
 * the heads are done one after another: h = 1. Returns as floyd_forward_workspace.
 */
FLOYD_API floyd_status floyd_backward_workspace(const floyd_backward_args *args, const floyd_options *options,
                                                size_t *bytes);

/*
 * Computes the gradients that are not NULL (overwritten; added to when add is set). A sum over nothing
 * is 0 and is written: N = 0 zeroes dk2 and dv2. Workspace and status as floyd_forward.
 */
FLOYD_API floyd_status floyd_backward(const floyd_backward_args *args, const floyd_options *options,
                                      void *workspace, size_t bytes);

/* ---- Which kernels run -------------------------------------------------------------------------- */

/*
 * One instruction set that the library knows. The best supported one runs, unless the environment
 * variable FLOYDATTN_ISA names another (read once, at the first call that needs it). All but "portable" on a
 * processor of the x86-64 baseline use fused multiply-add, and give the same bits.
 */
typedef struct floyd_isa {
    const char *name;   /* a value of FLOYDATTN_ISA: "avx512", "avx2", "portable-fma", "portable" */
    int supported;      /* 1 if this processor and operating system can run it */
    int chosen;         /* 1 for the one that runs */
    const char *reason; /* why it runs or does not, in words */
} floyd_isa;

/*
 * Describes ISA number index, best first. Returns FLOYD_OK; FLOYD_ERROR_OPTION past the end of the
 * list; FLOYD_ERROR_NULL. Works, with none chosen, also when FLOYDATTN_ISA makes no sense.
 */
FLOYD_API floyd_status floyd_isa_describe(int index, floyd_isa *isa);

#ifdef __cplusplus
}
#endif

#endif /* FLOYDATTN_H */
