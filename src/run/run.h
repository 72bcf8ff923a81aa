/* SPDX-License-Identifier: Apache-2.0 */
/* One call being carried out: the problem, its plan, and where everything lies. */
#ifndef FLOYD_RUN_H
#define FLOYD_RUN_H

#include "kernel/kernel.h"
#include "plan/plan.h"
#include "schedule.h"

typedef struct floyd_run {
    const floyd_problem *problem;
    const floyd_plan *plan;
    const floyd_kernels *kernels;
    char *scratch; /* plan->scratch_bytes per thread */
    char *slots;   /* plan->slot_bytes per head in flight; NULL in the forward */
    floyd_schedule schedule;
} floyd_run;

/* What one thread does until no task is left; argument user is a floyd_run. */
void floyd_run_forward(void *user, int thread);
void floyd_run_backward(void *user, int thread);

/* Writes the outputs of a problem with nothing to sum; continued ones stay as they are. */
void floyd_run_fill(const floyd_problem *problem);
void floyd_run_fill_tensor(const floyd_tensor *tensor, double value);
/* Makes each -0 a 0, and each NaN the one that outputs hold, in a tensor of an accumulator's type. */
void floyd_run_settle_tensor(const floyd_tensor *tensor);

/* Before anything is added to dbias, and after a head has been (a floyd_schedule's head_done; user is a floyd_run).
 */
void floyd_run_begin_dbias(floyd_run *run);

/*
 * Claims tasks and does them, each in the standard floating-point environment; the progress callback, in between,
 * finds the caller's.
 */
void floyd_run_tasks(floyd_run *run, int thread,
                     void (*run_task)(const floyd_run *run, const floyd_task *task, char *scratch));

/* ---- shared by the two ---------------------------------------------------------------------------- */

/* The tile of an axis, as the kernel wants it. */
typedef struct floyd_span {
    int64_t begin, length;
} floyd_span;

floyd_span floyd_span_of(const floyd_axis *axis, int64_t tile);
floyd_span floyd_span_of_tiles(const floyd_axis *axis, int64_t begin, int64_t end);

/*
 * A view of one head's tensor from (slab, row) on, where a and b, of axes 2 and 3, are the tensor's axes that slabs
 * and rows run along. Axis 4 gives the columns.
 */
floyd_view floyd_view_of(const floyd_problem *problem, floyd_role role, int64_t head, int slab_axis, int64_t slab,
                         int row_axis, int64_t row);

/* What the mask says of one tile, and the codes that the kernel needs for it (data NULL: none). */
typedef enum floyd_masked { FLOYD_NONE_MASKED, FLOYD_SOME_MASKED, FLOYD_ALL_MASKED } floyd_masked;

floyd_masked floyd_mask_tile(const floyd_problem *problem, const floyd_layout *layout, int64_t head, floyd_span n,
                             floyd_span m, floyd_span k, uint8_t *buffer, floyd_codes *codes);

/*
 * A tile of k in one span or two: from where on the mask hides the rest of k from every row of n and m, a span of
 * its own begins, which mostly need not be computed.
 */
typedef struct floyd_spans {
    floyd_span span[2];
    int count;
} floyd_spans;

floyd_spans floyd_mask_split(const floyd_problem *problem, int64_t head, floyd_span n, floyd_span m, floyd_span k);

/*
 * The extras of one tile, with buffers in this thread's scratch; slot NULL in the forward. Returns extras, or NULL
 * when the problem asks for none.
 */
const floyd_extras *floyd_extras_of(const floyd_run *run, int64_t head, floyd_span n, floyd_span m, floyd_span k,
                                    char *scratch, char *slot, floyd_extras *extras);

#endif
