/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a problem is cut: into tiles that the kernel computes at once, and tasks that a thread takes at once; and how
 * the workspace is laid out. Pure functions of a problem. Only the workspace depends on the number of threads:
 * tiles and tasks fix the order of every sum, so they must not.
 */
#ifndef FLOYD_PLAN_H
#define FLOYD_PLAN_H

#include "kernel/kernel.h"
#include "problem/problem.h"

/* One axis of a head: size indices in `tiles` tiles of `tile` (the last may be short), in `parts` parts of whole
 * tiles. */
typedef struct floyd_axis {
    int64_t size, tile, tiles, parts;
} floyd_axis;

/* First tile of a part; part == axis.parts gives the end. */
int64_t floyd_axis_part(const floyd_axis *axis, int64_t part);

/* Indices of a tile. */
int64_t floyd_axis_begin(const floyd_axis *axis, int64_t tile);
int64_t floyd_axis_length(const floyd_axis *axis, int64_t tile);

/* Buffers of one thread. Offsets in bytes from the thread's scratch. */
typedef struct floyd_scratch {
    size_t q_m, dy_m, y, dq, k2t, v2t, k2_m, v2_m, dk2, dv2, s, dp, slab, max, sum, codes, slope, row, keep;
} floyd_scratch;

/* Buffers of one head in flight (backward). Offsets in bytes from the slot. */
typedef struct floyd_slot {
    size_t max, sum, delta;  /* [N][M] */
    size_t acc[FLOYD_ROLES]; /* an accumulator per gradient that is not its own, contiguous */
    size_t progress;         /* for the schedule; from here on all is 0 when a head begins: */
    size_t dbias;            /* [N][M] or [N][K], see floyd_plan_dbias */
    size_t cleared_bytes;
} floyd_slot;

typedef struct floyd_plan {
    floyd_axis n, m, k;
    floyd_layout layout;
    int64_t heads, tasks; /* tasks in all; 0: nothing to sum, outputs are filled */
    int64_t head_tasks; /* every part of the three axes (backward), or of n and m (forward: a task has all of k) */
    int threads;        /* that can be of use, at most as many as asked */
    int slots;          /* heads in flight */
    size_t real;        /* bytes of the accumulator's type */
    floyd_scratch scratch;
    size_t scratch_bytes;
    floyd_slot slot;
    size_t slot_bytes;
    size_t bytes; /* the workspace, alignment included */
} floyd_plan;

enum { FLOYD_ALIGN = 64 };

/* False when the workspace does not fit in 63 bits. threads >= 1. */
bool floyd_plan_make(const floyd_problem *problem, int threads, floyd_plan *plan);

/* True if gradient `role` is summed where it is returned; else it needs an accumulator. */
bool floyd_plan_own(const floyd_problem *problem, floyd_role role);

/*
 * Where a tile of dbias is summed. With size 1 along no more than one of N, M and K it goes straight to the output:
 * every task that touches an element shares a face, so they go in order. Else it is summed per head on a face, in
 * the slot.
 */
typedef enum floyd_dbias { FLOYD_DBIAS_NONE, FLOYD_DBIAS_OUTPUT, FLOYD_DBIAS_NM, FLOYD_DBIAS_NK } floyd_dbias;

floyd_dbias floyd_plan_dbias(const floyd_problem *problem);

/* True if anything of floyd_extras is asked for. */
bool floyd_plan_extras(const floyd_problem *problem);

#endif
