/* SPDX-License-Identifier: Apache-2.0 */
/* Bias, cap and dropout of one tile, and where the bias's gradient goes. */
#include "run.h"

/* Where the tile's part of dbias is summed; data NULL when it is not wanted. */
static floyd_view dbias_of(const floyd_run *run, int64_t head, floyd_span n, floyd_span m, floyd_span k, char *slot)
{
    const floyd_problem *p = run->problem;
    const floyd_dbias place = floyd_plan_dbias(p);
    if (place == FLOYD_DBIAS_NONE) return (floyd_view){0};
    if (place == FLOYD_DBIAS_OUTPUT) {
        floyd_view view = floyd_view_of(p, FLOYD_ROLE_DBIAS, head, 2, n.begin, 3, m.begin);
        view.data = (char *)view.data + k.begin * view.column * (int64_t)run->plan->real;
        return view;
    }
    const bool by_k = place == FLOYD_DBIAS_NK;
    const int64_t slab = by_k ? p->K : p->M, first = n.begin * slab + (by_k ? k.begin : m.begin);
    return (floyd_view){slot + run->plan->slot.dbias + (size_t)first * run->plan->real,
                        p->tensor[FLOYD_ROLE_DBIAS].dtype, slab, by_k ? 0 : 1, by_k ? 1 : 0};
}

const floyd_extras *floyd_extras_of(const floyd_run *run, int64_t head, floyd_span n, floyd_span m, floyd_span k,
                                    char *scratch, char *slot, floyd_extras *extras)
{
    const floyd_problem *p = run->problem;
    const floyd_scratch *s = &run->plan->scratch;
    if (!floyd_plan_extras(p)) return NULL;
    *extras = (floyd_extras){.cap = p->softmax_cap,
                             .dropout = p->dropout,
                             .seed = p->seed,
                             .head = head,
                             .first_n = n.begin,
                             .first_m = m.begin,
                             .first_k = k.begin,
                             .slope = scratch + s->slope,
                             .row = scratch + s->row,
                             .keep = (uint8_t *)scratch + s->keep};
    if (p->has[FLOYD_ROLE_BIAS]) {
        extras->bias = floyd_view_of(p, FLOYD_ROLE_BIAS, head, 2, n.begin, 3, m.begin);
        extras->bias.data = (char *)extras->bias.data +
                            k.begin * extras->bias.column * (int64_t)floyd_dtype_size(extras->bias.dtype);
    }
    if (slot) extras->dbias = dbias_of(run, head, n, m, k, slot);
    return extras;
}

/* Sends what a head has summed in its slot on to the output. */
static void fold_dbias(void *user, int64_t head, int slot)
{
    const floyd_run *run = user;
    const floyd_plan *plan = run->plan;
    const floyd_problem *p = run->problem;
    const bool by_k = floyd_plan_dbias(p) == FLOYD_DBIAS_NK;
    const int64_t *stride = p->tensor[FLOYD_ROLE_DBIAS].stride;
    floyd_view to = floyd_view_of(p, FLOYD_ROLE_DBIAS, head, 2, 0, 3, 0);
    to.row = stride[2];
    to.column = by_k ? stride[4] : stride[3];
    const int64_t columns = by_k ? p->K : p->M;
    run->kernels->fold(run->slots + (size_t)slot * plan->slot_bytes + plan->slot.dbias, columns, p->N, columns,
                       &to);
}

void floyd_run_begin_dbias(floyd_run *run)
{
    const floyd_problem *p = run->problem;
    if (p->continued && p->has[FLOYD_ROLE_MASK])
        floyd_run_settle_tensor(&p->tensor[FLOYD_ROLE_DBIAS]); /* tiles that a mask skips visit no element of it */
    if (!p->continued) floyd_run_fill_tensor(&p->tensor[FLOYD_ROLE_DBIAS], 0);
    if (floyd_plan_dbias(p) == FLOYD_DBIAS_OUTPUT) return;
    run->schedule.head_done = fold_dbias;
    run->schedule.head_done_user = run;
}
