/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backward of one task: a part of each axis. For each tile of k and m, images of K2 and V2 are kept and dK2 and
 * dV2 gathered in scratch while the tiles of n go by; dQ, dK1 and dV1 are merged tile by tile.
 *
 * A tile that is masked everywhere adds exactly nothing unless one of its rows is masked along all of k; it is then
 * left out, and only first and last visits to its faces are made, with nothing to add.
 */
#include "run.h"

typedef struct backward_task {
    const floyd_run *run;
    const floyd_task *task;
    char *scratch, *slot;
    floyd_span m, k;
    bool nm_first, nm_last, nk_first, nk_last; /* first and last visits to the faces of the tiles at hand */
    bool km_summed;                            /* dK2 and dV2 hold something */
    bool km_merged;                            /* or were sent on by the only tile along n */
} backward_task;

static char *at(const backward_task *t, size_t offset)
{
    return t->scratch + offset;
}

static bool wants(const backward_task *t, floyd_role role)
{
    return t->run->problem->has[role];
}

static int wanted(const floyd_problem *p)
{
    int flags = 0;
    for (floyd_role role = FLOYD_ROLE_DQ; role <= FLOYD_ROLE_DV2; role++)
        if (p->has[role]) flags |= FLOYD_DQ << (role - FLOYD_ROLE_DQ);
    if (p->has[FLOYD_ROLE_DBIAS]) flags |= FLOYD_DBIAS;
    return flags;
}

static bool wants_dscore(const backward_task *t)
{
    return wants(t, FLOYD_ROLE_DQ) || wants(t, FLOYD_ROLE_DK1) || wants(t, FLOYD_ROLE_DK2) ||
           wants(t, FLOYD_ROLE_DBIAS);
}

/*
 * Where a tile of a gradient goes: slabs along slab_axis from index slab, rows along row_axis from index row. The
 * accumulator of an output that is not its own is contiguous, in the slot.
 */
static floyd_target target_of(const backward_task *t, floyd_role role, int slab_axis, int64_t slab, int row_axis,
                              int64_t row, bool first, bool last)
{
    const floyd_run *run = t->run;
    const floyd_problem *p = run->problem;
    floyd_target target = {.first = first && !p->continued, .last = last};
    if (!p->has[role]) return target;
    target.out = target.acc = floyd_view_of(p, role, t->task->head, slab_axis, slab, row_axis, row);
    if (floyd_plan_own(p, role)) return target;
    const int64_t stride[5] = {0, 0, p->tensor[role].size[3] * p->D, p->D, 1};
    const int64_t index = slab * stride[slab_axis] + row * stride[row_axis];
    target.acc = (floyd_view){t->slot + run->plan->slot.acc[role] + (size_t)index * run->plan->real,
                              p->fp64 ? FLOYD_F64 : FLOYD_F32, stride[slab_axis], stride[row_axis], 1};
    return target;
}

/* ---- the (n,m) face ------------------------------------------------------------------------------- */

static floyd_view pairs(const backward_task *t, floyd_role role, floyd_span n)
{
    return floyd_view_of(t->run->problem, role, t->task->head, 2, n.begin, 3, t->m.begin);
}

static char *stat(const backward_task *t, size_t offset, int64_t n)
{
    return t->slot + offset + (size_t)(n * t->run->problem->M + t->m.begin) * t->run->plan->real;
}

/* max, sum and, for dS, delta of the tile's rows into the slot, where later visits find them. */
static void gather_stats(const backward_task *t, floyd_span n)
{
    const floyd_run *run = t->run;
    const floyd_plan *plan = run->plan;
    const floyd_problem *p = run->problem;
    const ptrdiff_t m = t->m.length;
    const floyd_view max = pairs(t, FLOYD_ROLE_MAX, n), sum = pairs(t, FLOYD_ROLE_SUM, n);
    const floyd_view dy = pairs(t, FLOYD_ROLE_DY, n), y = pairs(t, FLOYD_ROLE_Y, n);
    for (int64_t i = 0; i < n.length; i++) {
        run->kernels->read_stats(&max, i, m, stat(t, plan->slot.max, n.begin + i));
        run->kernels->read_stats(&sum, i, m, stat(t, plan->slot.sum, n.begin + i));
        if (!wants_dscore(t)) continue;
        run->kernels->row_dots(&dy, &y, i, m, p->D, &plan->layout, at(t, plan->scratch.q_m),
                               at(t, plan->scratch.dy_m), stat(t, plan->slot.delta, n.begin + i));
    }
}

/* True when no row of the tile is masked along all of k. */
static bool rows_live(const backward_task *t, floyd_span n)
{
    const floyd_plan *plan = t->run->plan;
    const double fully_masked = floyd_fully_masked(t->run->problem->mask_fill, t->run->problem->fp64);
    for (int64_t i = 0; i < n.length; i++) {
        const char *max = stat(t, plan->slot.max, n.begin + i);
        for (int64_t j = 0; j < t->m.length; j++) {
            const double value = t->run->problem->fp64 ? ((const double *)max)[j] : (double)((const float *)max)[j];
            if (value <= fully_masked) return false;
        }
    }
    return true;
}

/* ---- the (k,m) face ------------------------------------------------------------------------------- */

static floyd_view pivots(const backward_task *t, floyd_role role)
{
    return floyd_view_of(t->run->problem, role, t->task->head, 3, t->m.begin, 2, t->k.begin);
}

/* With slabs along m, rows along k: slab_axis 3; or the other way, as memory has it: slab_axis 2. */
static floyd_target to_pivots(const backward_task *t, floyd_role role, int slab_axis)
{
    const bool first = t->task->visit_km == 0, last = t->task->visit_km == t->run->plan->n.parts - 1;
    if (slab_axis == 2) return target_of(t, role, 2, t->k.begin, 3, t->m.begin, first, last);
    return target_of(t, role, 3, t->m.begin, 2, t->k.begin, first, last);
}

/* Sends dK2 or dV2 on from its images. */
static void merge_km(const backward_task *t, floyd_role role, size_t offset)
{
    const floyd_run *run = t->run;
    if (!wants(t, role)) return;
    const floyd_target target = to_pivots(t, role, 2);
    run->kernels->merge_km(&target, t->km_summed ? at(t, offset) : NULL, t->k.length, t->m.length, run->problem->D,
                           &run->plan->layout);
}

/* ---- one tile -------------------------------------------------------------------------------------- */

static floyd_backward_tile tile_of(const backward_task *t, floyd_span n, bool last)
{
    const floyd_run *run = t->run;
    const floyd_problem *p = run->problem;
    const floyd_scratch *s = &run->plan->scratch;
    const floyd_slot *slot = &run->plan->slot;
    const int64_t head = t->task->head, m = t->m.begin, k = t->k.begin;
    return (floyd_backward_tile){
        .layout = &run->plan->layout,
        .n = n.length,
        .m = t->m.length,
        .k = t->k.length,
        .d = p->D,
        .scale = p->scale,
        .fill = p->mask_fill,
        .zero_grad = p->zero_grad,
        .wanted = wanted(p),
        .km_first = !t->km_summed,
        .km_alone = !t->km_summed && last,
        .q_m = at(t, s->q_m),
        .dy_m = at(t, s->dy_m),
        .k2t = at(t, s->k2t),
        .v2t = at(t, s->v2t),
        .k2_m = at(t, s->k2_m),
        .q = pairs(t, FLOYD_ROLE_Q, n),
        .dy = pairs(t, FLOYD_ROLE_DY, n),
        .k1 = floyd_view_of(p, FLOYD_ROLE_K1, head, 2, n.begin, 3, k),
        .v1 = floyd_view_of(p, FLOYD_ROLE_V1, head, 2, n.begin, 3, k),
        .k2 = pivots(t, FLOYD_ROLE_K2),
        .v2 = pivots(t, FLOYD_ROLE_V2),
        .max = stat(t, slot->max, n.begin),
        .sum = stat(t, slot->sum, n.begin),
        .delta = stat(t, slot->delta, n.begin),
        .stat = p->M,
        .s = at(t, s->s),
        .dp = at(t, s->dp),
        .slab = at(t, s->slab),
        .dq = at(t, s->dq),
        .dk2 = at(t, s->dk2),
        .dv2 = at(t, s->dv2),
        .to_dq = target_of(t, FLOYD_ROLE_DQ, 2, n.begin, 3, m, t->nm_first, t->nm_last),
        .to_dk1 = target_of(t, FLOYD_ROLE_DK1, 2, n.begin, 3, k, t->nk_first, t->nk_last),
        .to_dv1 = target_of(t, FLOYD_ROLE_DV1, 2, n.begin, 3, k, t->nk_first, t->nk_last),
        .to_dk2 = to_pivots(t, FLOYD_ROLE_DK2, 3),
        .to_dv2 = to_pivots(t, FLOYD_ROLE_DV2, 3),
    };
}

/* A tile that adds nothing: its faces are visited where the first or last visit is due. */
static void skip_tile(const backward_task *t, const floyd_backward_tile *tile)
{
    const floyd_kernels *kernels = t->run->kernels;
    for (int64_t i = 0; i < tile->n; i++) {
        if (wants(t, FLOYD_ROLE_DQ)) kernels->merge(&tile->to_dq, i, NULL, 0, tile->m, tile->d);
        if (wants(t, FLOYD_ROLE_DK1)) kernels->merge(&tile->to_dk1, i, NULL, 0, tile->k, tile->d);
        if (wants(t, FLOYD_ROLE_DV1)) kernels->merge(&tile->to_dv1, i, NULL, 0, tile->k, tile->d);
    }
}

static void run_tile(backward_task *t, floyd_span n, bool last)
{
    const floyd_run *run = t->run;
    const floyd_plan *plan = run->plan;
    floyd_backward_tile tile = tile_of(t, n, last);
    const floyd_masked masked = floyd_mask_tile(run->problem, &plan->layout, t->task->head, n, t->m, t->k,
                                                (uint8_t *)at(t, plan->scratch.codes), &tile.codes);
    if (t->nm_first) gather_stats(t, n);
    if (masked == FLOYD_ALL_MASKED && rows_live(t, n)) {
        skip_tile(t, &tile);
        return;
    }
    floyd_extras extras;
    tile.extras = floyd_extras_of(run, t->task->head, n, t->m, t->k, t->scratch, t->slot, &extras);
    run->kernels->backward_tile(&tile);
    t->km_summed = true;
    t->km_merged = tile.km_alone;
}

/* One span of k and one tile of m, for all tiles of n. */
static void run_pivots(backward_task *t)
{
    const floyd_plan *plan = t->run->plan;
    const int64_t end = floyd_axis_part(&plan->n, t->task->n + 1);
    t->km_summed = t->km_merged = false;
    for (int64_t n = floyd_axis_part(&plan->n, t->task->n); n < end; n++)
        run_tile(t, floyd_span_of(&plan->n, n), n == end - 1);
    if (t->km_merged) return;
    merge_km(t, FLOYD_ROLE_DK2, plan->scratch.dk2);
    merge_km(t, FLOYD_ROLE_DV2, plan->scratch.dv2);
}

static void run_task(const floyd_run *run, const floyd_task *task, char *scratch)
{
    const floyd_plan *plan = run->plan;
    backward_task state = {
        .run = run, .task = task, .scratch = scratch, .slot = run->slots + (size_t)task->slot * plan->slot_bytes};
    backward_task *t = &state;
    const floyd_span n =
        floyd_span_of_tiles(&plan->n, floyd_axis_part(&plan->n, task->n), floyd_axis_part(&plan->n, task->n + 1));
    const int64_t m_begin = floyd_axis_part(&plan->m, task->m), m_end = floyd_axis_part(&plan->m, task->m + 1);
    const int64_t k_begin = floyd_axis_part(&plan->k, task->k), k_end = floyd_axis_part(&plan->k, task->k + 1);
    for (int64_t k = k_begin; k < k_end; k++)
        for (int64_t m = m_begin; m < m_end; m++) {
            t->m = floyd_span_of(&plan->m, m);
            t->nk_first = task->visit_nk == 0 && m == m_begin;
            t->nk_last = task->visit_nk == plan->m.parts - 1 && m == m_end - 1;
            const floyd_spans spans =
                floyd_mask_split(run->problem, task->head, n, t->m, floyd_span_of(&plan->k, k));
            for (int i = 0; i < spans.count; i++) {
                t->k = spans.span[i];
                t->nm_first = task->k == 0 && k == k_begin && i == 0;
                t->nm_last = task->k == plan->k.parts - 1 && k == k_end - 1 && i == spans.count - 1;
                run_pivots(t);
            }
        }
}

void floyd_run_backward(void *user, int thread)
{
    floyd_run_tasks(user, thread, run_task);
}
