/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <string.h>

/* ---- axes ---------------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static int64_t ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

int64_t floyd_axis_part(const floyd_axis *axis, int64_t part)
{
    /* Without a product of tiles and part, which could overflow. */
    const int64_t each = axis->tiles / axis->parts, longer = axis->tiles % axis->parts;
    return part * each + least(part, longer);
}

int64_t floyd_axis_begin(const floyd_axis *axis, int64_t tile)
{
    return tile * axis->tile;
}

int64_t floyd_axis_length(const floyd_axis *axis, int64_t tile)
{
    return least(axis->tile, axis->size - tile * axis->tile);
}

/* As few tiles of at most `tile` as can be, alike in size: multiples of `unit`, the last one as it comes. */
static floyd_axis cut(int64_t size, int64_t tile, int64_t unit)
{
    const int64_t tiles = most(ceil_div(size, tile), 1),
                  even = ceil_div(most(ceil_div(size, tiles), 1), unit) * unit;
    const floyd_axis axis = {size, least(even, most(size, 1)), ceil_div(size, even), 1};
    return axis;
}

/*
 * Tiles of 24 x 24 x 48. The products' blocks are 6 rows of 2 vectors, so axes that serve as rows are multiples of
 * 6, and k, which lies in lanes too, of 16 reals. K2, V2 and what is summed to them, five images of m x k x D, are
 * to stay in the second cache while n goes by: above 256 bytes of head m is cut shorter. Longer tiles would touch
 * memory less, and shorter ones stay closer; these measured best or within 2 % of it.
 */
static void cut_tiles(const floyd_problem *p, floyd_plan *plan)
{
    plan->n = cut(p->N, 24, 1);
    plan->m = cut(p->M, p->D > 256 / (int64_t)plan->real ? 16 : 24, 1);
    plan->k = cut(p->K, 48, 8);
}

/*
 * Backward. Two tasks may run at once when they share at most one coordinate, so at most min(nm, nk, mk) run, with
 * parts n, m, k. A task packs K2 and V2 once for all its n, so n is cut only as far as threads need, and never into
 * parts of less than four tiles.
 */
static void cut_backward(floyd_plan *plan)
{
    enum { WIDEST = 16, CONCURRENCY = 8, SHARING = 4 };
    plan->m.parts = least(most(plan->m.tiles, 1), WIDEST);
    plan->k.parts = least(most(plan->k.tiles, 1), WIDEST);
    const int64_t wished = ceil_div(CONCURRENCY, least(plan->m.parts, plan->k.parts));
    plan->n.parts = most(least(ceil_div(plan->n.tiles, SHARING), wished), 1);
}

/* Forward. A task sums over all of k for four tiles of n, which share the packing of K2 and V2, and one of m. */
static void cut_forward(floyd_plan *plan)
{
    enum { SHARING = 4 };
    plan->n.parts = most(ceil_div(plan->n.tiles, SHARING), 1);
    plan->m.parts = most(plan->m.tiles, 1);
}

static bool count_tasks(const floyd_problem *p, floyd_plan *plan)
{
    const int64_t k = p->backward ? plan->k.parts : 1;
    return !__builtin_mul_overflow(p->B, p->H, &plan->heads) &&
           !__builtin_mul_overflow(plan->n.parts, plan->m.parts * k, &plan->head_tasks) &&
           !__builtin_mul_overflow(plan->heads, plan->head_tasks, &plan->tasks);
}

/* No position of a score, or nobody who wants the sums: an output without elements wants none. */
static bool nothing_to_sum(const floyd_problem *p)
{
    bool wanted = p->has[FLOYD_ROLE_DBIAS] || (!p->backward && (p->has[FLOYD_ROLE_MAX] || p->has[FLOYD_ROLE_SUM]));
    if (p->D > 0) wanted |= !p->backward;
    for (floyd_role role = FLOYD_ROLE_DQ; role <= FLOYD_ROLE_DV2; role++) wanted |= p->has[role] && p->D > 0;
    return !wanted || p->B == 0 || p->H == 0 || p->N == 0 || p->M == 0 || p->K == 0;
}

static int64_t concurrency(const floyd_problem *p, const floyd_plan *plan)
{
    const int64_t n = plan->n.parts, m = plan->m.parts, k = plan->k.parts;
    return p->backward ? least(n * m, least(n * k, m * k)) : n * m;
}

/* ---- workspace ----------------------------------------------------------------------------------- */

bool floyd_plan_extras(const floyd_problem *p)
{
    return p->softmax_cap > 0 || p->dropout > 0 || p->has[FLOYD_ROLE_BIAS] || p->has[FLOYD_ROLE_DBIAS];
}

floyd_dbias floyd_plan_dbias(const floyd_problem *p)
{
    const int64_t *size = p->tensor[FLOYD_ROLE_DBIAS].size;
    if (!p->has[FLOYD_ROLE_DBIAS]) return FLOYD_DBIAS_NONE;
    const int summed = (size[2] < p->N) + (size[3] < p->M) + (size[4] < p->K);
    if (summed < 2) return FLOYD_DBIAS_OUTPUT;
    return size[4] < p->K ? FLOYD_DBIAS_NM : FLOYD_DBIAS_NK;
}

/* Heads add to the same dbias: the order is that of one after another. */
static bool shares_dbias(const floyd_problem *p)
{
    const int64_t *size = p->tensor[FLOYD_ROLE_DBIAS].size;
    return p->has[FLOYD_ROLE_DBIAS] && (size[0] < p->B || size[1] < p->H);
}

/* Adds count blocks of `bytes` each, aligned; keeps *overflow once anything does not fit. */
static size_t add(size_t *total, int64_t count, int64_t bytes, bool *overflow)
{
    const size_t offset = *total;
    int64_t size, end;
    *overflow |= __builtin_mul_overflow(count, bytes, &size);
    *overflow |= __builtin_add_overflow((int64_t)offset, size, &end);
    *overflow |= __builtin_add_overflow(end, FLOYD_ALIGN - 1, &end);
    *total = (size_t)end / FLOYD_ALIGN * FLOYD_ALIGN;
    return offset;
}

static int64_t padded(int64_t size)
{
    return ceil_div(size, FLOYD_PAD) * FLOYD_PAD;
}

/* Slabs end one cache line further than their rows do, so that slabs do not meet in the same sets of the cache. */
static bool lay_out(const floyd_problem *p, floyd_plan *plan)
{
    floyd_layout *l = &plan->layout;
    if (p->D > INT64_MAX / 4096 / 64) return false;
    l->ldd = padded(p->D);
    l->ldk = padded(plan->k.tile);
    l->slab_m = plan->n.tile * l->ldd + FLOYD_PAD;
    l->slab_k = l->ldk * l->ldd + FLOYD_PAD;
    l->slab_t = l->ldd * l->ldk + FLOYD_PAD;
    l->slab_s = plan->m.tile * l->ldk + FLOYD_PAD;
    return true;
}

static bool scratch_common(const floyd_problem *p, floyd_plan *plan, int64_t n_tiles)
{
    const floyd_layout *l = &plan->layout;
    const int64_t n = plan->n.tile, m = plan->m.tile, real = (int64_t)plan->real;
    floyd_scratch *s = &plan->scratch;
    size_t *total = &plan->scratch_bytes;
    bool overflow = false;
    s->q_m = add(total, n_tiles * m * l->slab_m, real, &overflow);
    s->k2t = add(total, m * l->slab_t, real, &overflow);
    s->s = add(total, n * l->slab_s, real, &overflow);
    const int64_t rows = 2 * (n * l->ldk + padded(n)); /* of scores */
    s->slab = add(total, most(l->slab_t + FLOYD_PAD * l->ldd, most(l->slab_k, rows)), real, &overflow);
    s->codes = add(total, n * m * l->ldk, 1, &overflow);
    if (floyd_plan_extras(p)) {
        s->slope = add(total, l->ldk, real, &overflow);
        s->row = add(total, l->ldk, real, &overflow);
        s->keep = add(total, l->ldk + FLOYD_KEEP_MORE, 1, &overflow);
    }
    return !overflow;
}

static bool scratch_forward(const floyd_problem *p, floyd_plan *plan)
{
    const floyd_layout *l = &plan->layout;
    const int64_t n = plan->n.tile, m = plan->m.tile, real = (int64_t)plan->real;
    const int64_t n_tiles = most(ceil_div(plan->n.tiles, plan->n.parts), 1); /* of the longest part */
    floyd_scratch *s = &plan->scratch;
    size_t *total = &plan->scratch_bytes;
    bool overflow = !scratch_common(p, plan, n_tiles);
    s->y = add(total, n_tiles * m * l->slab_m, real, &overflow);
    s->v2_m = add(total, m * l->slab_k, real, &overflow);
    s->max = add(total, n_tiles * m * n, real, &overflow);
    s->sum = add(total, n_tiles * m * n, real, &overflow);
    return !overflow;
}

static bool scratch_backward(const floyd_problem *p, floyd_plan *plan)
{
    const floyd_layout *l = &plan->layout;
    const int64_t n = plan->n.tile, m = plan->m.tile, real = (int64_t)plan->real;
    floyd_scratch *s = &plan->scratch;
    size_t *total = &plan->scratch_bytes;
    bool overflow = !scratch_common(p, plan, 1);
    s->dy_m = add(total, m * l->slab_m, real, &overflow);
    s->dq = add(total, m * l->slab_m, real, &overflow);
    s->v2t = add(total, m * l->slab_t, real, &overflow);
    s->k2_m = add(total, m * l->slab_k, real, &overflow);
    s->dk2 = add(total, m * l->slab_k, real, &overflow);
    s->dv2 = add(total, m * l->slab_k, real, &overflow);
    s->dp = add(total, n * l->slab_s, real, &overflow);
    return !overflow;
}

bool floyd_plan_own(const floyd_problem *p, floyd_role role)
{
    return p->tensor[role].dtype == (p->fp64 ? FLOYD_F64 : FLOYD_F32);
}

static bool slot_backward(const floyd_problem *p, floyd_plan *plan)
{
    const int64_t real = (int64_t)plan->real, n = plan->n.parts, m = plan->m.parts, k = plan->k.parts;
    floyd_slot *slot = &plan->slot;
    size_t *total = &plan->slot_bytes;
    int64_t pairs;
    bool overflow = __builtin_mul_overflow(p->N, p->M, &pairs);
    slot->max = add(total, pairs, real, &overflow);
    slot->sum = add(total, pairs, real, &overflow);
    slot->delta = add(total, pairs, real, &overflow);
    for (floyd_role role = FLOYD_ROLE_DQ; role <= FLOYD_ROLE_DV2; role++) {
        if (!p->has[role] || floyd_plan_own(p, role)) continue;
        /* Its product fits, if it has elements: the tensor's extent was checked. */
        const int64_t *size = p->tensor[role].size, count = p->D > 0 ? size[2] * size[3] * size[4] : 0;
        slot->acc[role] = add(total, count, real, &overflow);
    }
    slot->progress = *total;
    add(total, 2 + n * m + m * k + 2 * n * k, (int64_t)sizeof(int64_t), &overflow);
    const floyd_dbias dbias = floyd_plan_dbias(p);
    if (dbias == FLOYD_DBIAS_NM || dbias == FLOYD_DBIAS_NK) {
        int64_t face;
        overflow |= __builtin_mul_overflow(p->N, dbias == FLOYD_DBIAS_NM ? p->M : p->K, &face);
        slot->dbias = add(total, face, real, &overflow);
    }
    slot->cleared_bytes = *total - slot->progress;
    return !overflow;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

/* Waking a thread costs some microseconds: each is to have at least half a million flops to do. */
static int64_t useful_threads(const floyd_problem *p)
{
    const double flops = (p->backward ? 20.0 : 8.0) * (double)p->B * (double)p->H * (double)p->N * (double)p->M *
                         (double)p->K * (double)most(p->D, 8);
    return flops < 0.5e6 * 65536 ? 1 + (int64_t)(flops / 0.5e6) : 65536;
}

bool floyd_plan_make(const floyd_problem *p, int threads, floyd_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    if (nothing_to_sum(p)) return true;
    plan->real = p->fp64 ? sizeof(double) : sizeof(float);
    cut_tiles(p, plan);
    if (p->backward)
        cut_backward(plan);
    else
        cut_forward(plan);
    if (!count_tasks(p, plan)) return false;
    plan->threads = (int)least(threads, least(plan->tasks, useful_threads(p)));
    plan->slots = (int)least(least(plan->threads, plan->heads), 2 * ceil_div(plan->threads, concurrency(p, plan)));
    if (shares_dbias(p)) plan->slots = 1;
    if (!lay_out(p, plan)) return false;
    if (!(p->backward ? scratch_backward(p, plan) && slot_backward(p, plan) : scratch_forward(p, plan)))
        return false;
    size_t total = 0;
    bool overflow = false;
    add(&total, plan->threads, (int64_t)plan->scratch_bytes, &overflow);
    if (p->backward) add(&total, plan->slots, (int64_t)plan->slot_bytes, &overflow);
    plan->bytes = total + FLOYD_ALIGN; /* so that any address can be aligned */
    return !overflow;
}
