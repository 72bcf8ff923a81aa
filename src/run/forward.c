/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forward of one task: a few tiles of n and one of m, summed over all of k.
 *
 * The images of K2 and V2 of a tile of k serve all tiles of n. Tiles of k go in order, but those that are masked
 * everywhere wait: once every row has met an ordinary score they weigh exactly nothing and are left out. Rows that
 * are masked along all of k never meet one, and so get their average in the second pass.
 */
#include <string.h>

#include "run.h"

typedef struct forward_task {
    const floyd_run *run;
    char *scratch;
    int64_t head, n_first, n_count; /* tiles */
    floyd_span m;
    int64_t imaged_k; /* where the span of k begins whose K2 and V2 have images; -1: none */
} forward_task;

static char *at(const forward_task *t, size_t offset, int64_t reals)
{
    return t->scratch + offset + (size_t)reals * t->run->plan->real;
}

/* The kernel's view of tile i of n, all but what depends on k. */
static floyd_forward_tile tile_of(const forward_task *t, int64_t i)
{
    const floyd_plan *plan = t->run->plan;
    const floyd_scratch *s = &plan->scratch;
    const floyd_layout *l = &plan->layout;
    const int64_t n = plan->n.tile, m = plan->m.tile;
    return (floyd_forward_tile){.layout = l,
                                .n = floyd_axis_length(&plan->n, t->n_first + i),
                                .m = t->m.length,
                                .d = t->run->problem->D,
                                .scale = t->run->problem->scale,
                                .fill = t->run->problem->mask_fill,
                                .q_m = at(t, s->q_m, i * m * l->slab_m),
                                .k2t = at(t, s->k2t, 0),
                                .v2_m = at(t, s->v2_m, 0),
                                .s = at(t, s->s, 0),
                                .slab = at(t, s->slab, 0),
                                .y = at(t, s->y, i * m * l->slab_m),
                                .max = at(t, s->max, i * m * n),
                                .sum = at(t, s->sum, i * m * n),
                                .stat = n};
}

static floyd_view pairs(const forward_task *t, floyd_role role, int64_t i)
{
    const floyd_run *run = t->run;
    if (!run->problem->has[role]) return (floyd_view){0};
    return floyd_view_of(run->problem, role, t->head, 2, floyd_axis_begin(&run->plan->n, t->n_first + i), 3,
                         t->m.begin);
}

static void begin(const forward_task *t, int64_t i)
{
    const floyd_run *run = t->run;
    const floyd_forward_tile tile = tile_of(t, i);
    const floyd_view q = pairs(t, FLOYD_ROLE_Q, i), y = pairs(t, FLOYD_ROLE_Y, i);
    const floyd_view max = pairs(t, FLOYD_ROLE_MAX, i), sum = pairs(t, FLOYD_ROLE_SUM, i);
    for (int64_t n = 0; n < tile.n; n++) {
        if (n + 1 < tile.n) run->kernels->prefetch(&q, n + 1, tile.m, tile.d);
        run->kernels->pack_pairs(&q, n, tile.m, tile.d, tile.layout, (void *)tile.q_m);
    }
    run->kernels->forward_begin(&tile, run->problem->continued ? &y : NULL, &max, &sum);
}

static void end(const forward_task *t, int64_t i)
{
    const floyd_problem *p = t->run->problem;
    const floyd_forward_tile tile = tile_of(t, i);
    const floyd_view y = pairs(t, FLOYD_ROLE_Y, i);
    const floyd_view max = pairs(t, FLOYD_ROLE_MAX, i), sum = pairs(t, FLOYD_ROLE_SUM, i);
    t->run->kernels->forward_end(&tile, &y, &max, p->tensor[FLOYD_ROLE_MAX].size[4], &sum,
                                 p->tensor[FLOYD_ROLE_SUM].size[4]);
}

static void compute(forward_task *t, floyd_forward_tile *tile, floyd_span n, floyd_span k, bool last)
{
    const floyd_run *run = t->run;
    tile->km_first = t->imaged_k != k.begin;
    tile->km_alone = tile->km_first && last;
    tile->k = k.length;
    floyd_extras extras;
    tile->extras = floyd_extras_of(run, t->head, n, t->m, k, t->scratch, NULL, &extras);
    tile->k1 = floyd_view_of(run->problem, FLOYD_ROLE_K1, t->head, 2, n.begin, 3, k.begin);
    tile->v1 = floyd_view_of(run->problem, FLOYD_ROLE_V1, t->head, 2, n.begin, 3, k.begin);
    tile->k2 = floyd_view_of(run->problem, FLOYD_ROLE_K2, t->head, 3, t->m.begin, 2, k.begin);
    tile->v2 = floyd_view_of(run->problem, FLOYD_ROLE_V2, t->head, 3, t->m.begin, 2, k.begin);
    run->kernels->forward_tile(tile);
    t->imaged_k = tile->km_alone ? -1 : k.begin;
}

/* One span of k for every tile of n. In the first pass those not masked everywhere; in the second the others. */
static bool pass_span(forward_task *t, floyd_span k, bool masked_ones)
{
    const floyd_run *run = t->run;
    const floyd_plan *plan = run->plan;
    bool left = false;
    for (int64_t i = 0; i < t->n_count; i++) {
        const floyd_span n = floyd_span_of(&plan->n, t->n_first + i);
        floyd_forward_tile tile = tile_of(t, i);
        uint8_t *codes = (uint8_t *)at(t, plan->scratch.codes, 0);
        const bool masked = floyd_mask_tile(run->problem, &plan->layout, t->head, n, t->m, k, codes, &tile.codes) ==
                            FLOYD_ALL_MASKED;
        left |= masked;
        if (masked != masked_ones || (masked && run->kernels->forward_settled(&tile))) continue;
        compute(t, &tile, n, k, i == t->n_count - 1);
    }
    return left;
}

static bool pass(forward_task *t, int64_t k_tile, bool masked_ones)
{
    const floyd_plan *plan = t->run->plan;
    const floyd_span k = floyd_span_of(&plan->k, k_tile);
    const floyd_span n = floyd_span_of_tiles(&plan->n, t->n_first, t->n_first + t->n_count);
    const floyd_spans spans = floyd_mask_split(t->run->problem, t->head, n, t->m, k);
    bool left = false;
    for (int i = 0; i < spans.count; i++) left |= pass_span(t, spans.span[i], masked_ones);
    return left;
}

static void run_task(const floyd_run *run, const floyd_task *task, char *scratch)
{
    const floyd_plan *plan = run->plan;
    const int64_t first = floyd_axis_part(&plan->n, task->n);
    forward_task t = {.run = run,
                      .scratch = scratch,
                      .head = task->head,
                      .n_first = first,
                      .n_count = floyd_axis_part(&plan->n, task->n + 1) - first,
                      .m = floyd_span_of(&plan->m, task->m),
                      .imaged_k = -1};
    bool left = false;
    for (int64_t i = 0; i < t.n_count; i++) begin(&t, i);
    for (int64_t k = 0; k < plan->k.tiles; k++) left |= pass(&t, k, false);
    for (int64_t k = 0; left && k < plan->k.tiles; k++) pass(&t, k, true);
    for (int64_t i = 0; i < t.n_count; i++) end(&t, i);
}

void floyd_run_forward(void *user, int thread)
{
    floyd_run_tasks(user, thread, run_task);
}
