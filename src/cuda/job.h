/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel is given: one checked problem with its tensors in device memory. Passed by value. */
#ifndef FLOYD_CUDA_JOB_H
#define FLOYD_CUDA_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "problem/problem.h"

/* A row's max at or below this, as given, makes the row fully masked. */
#define FLOYD_FULLY_MASKED (-0x1.fffffep+126f)

typedef struct floyd_view {
    char *data;        /* NULL: the tensor is absent */
    int64_t stride[5]; /* in elements, along the axes of floydattn.h; 0 broadcasts */
    int32_t dtype;     /* floyd_dtype */
} floyd_view;

/* What the backward needs of one row (n,m), prepared once. */
typedef struct floyd_row {
    float max;
    float factor; /* 1/sum, or what the flags say */
    float delta;  /* dY.Y */
    uint32_t flags;
} floyd_row;

/*
 * Where 1/sum would be subnormal or infinite, factor is 1/(sum * again), and what has been multiplied with it is
 * multiplied with again, too.
 */
enum {
    FLOYD_ROW_FULLY_MASKED = 1,
    FLOYD_ROW_TINY_SUM = 2, /* again = 2^64 */
    FLOYD_ROW_HUGE_SUM = 4, /* again = 2^-64 */
    FLOYD_ROW_ABSENT = 8    /* in kernels only: past the end of the axis, without weight whatever the edges hold */
};

/* The tensors that the kernels know: all before bias. */
#define FLOYD_JOB_ROLES FLOYD_ROLE_BIAS

typedef struct floyd_job {
    int64_t B, H, N, M, K, D;
    float scale;
    bool zero_grad; /* dS of fully masked rows is 0 at masked positions */
    bool continued; /* forward: carry; backward: add */
    floyd_view tensor[FLOYD_JOB_ROLES];
    int64_t copies[2];     /* R, the last axis of max and of sum */
    floyd_row *rows;       /* backward: [B*H,N,M] by the strides below */
    int64_t row_stride[3]; /* along b*H + h, n, m */
} floyd_job;

#endif
