/* SPDX-License-Identifier: Apache-2.0 */
#include "draw.h"

#include <math.h>
#include <string.h>

typedef struct dice {
    uint64_t seed, thrown;
} dice;

static double uniform(dice *d)
{
    return draw_uniform(d->seed, d->thrown++);
}

static int64_t below(dice *d, int64_t limit)
{
    return (int64_t)(uniform(d) * (double)limit);
}

static int chance(dice *d, double probability)
{
    return uniform(d) < probability;
}

#define PICK(d, array) (array)[below(d, (int64_t)(sizeof(array) / sizeof *(array)))]

static int64_t draw_length(dice *d)
{
    static const int64_t edges[] = {1,  2,  5,  6,  7,  8,  9,  11, 12, 13, 15, 16, 17, 18, 23, 24,
                                    25, 31, 32, 33, 47, 48, 49, 50, 63, 64, 65, 95, 96, 97, 129};
    if (chance(d, 0.01)) return 0;
    if (chance(d, 0.6)) return PICK(d, edges);
    return 1 + below(d, chance(d, 0.2) ? 300 : 40);
}

static int64_t draw_head(dice *d)
{
    static const int64_t edges[] = {1,  2,  3,  4,  7,  8,  9,  15, 16,  17,  24,
                                    31, 32, 33, 40, 63, 64, 65, 96, 127, 128, 129};
    if (chance(d, 0.005)) return 0;
    return chance(d, 0.7) ? PICK(d, edges) : 1 + below(d, chance(d, 0.05) ? 300 : 70);
}

/* A size of 0 leaves the others' tensors as large as they are. */
static double at_least_1(int64_t size)
{
    return size > 0 ? (double)size : 1;
}

static void draw_sizes(dice *d, spec *s, double work)
{
    do {
        s->B = chance(d, 0.7) ? 1 : below(d, 4);
        s->H = chance(d, 0.6) ? 1 : 1 + below(d, 4);
        s->N = draw_length(d), s->M = draw_length(d), s->K = draw_length(d), s->D = draw_head(d);
    } while (at_least_1(s->B) * at_least_1(s->H) * at_least_1(s->N) * at_least_1(s->M) * at_least_1(s->K) *
                 (double)(s->D + 4) >
             work);
}

/* Any order of axes, with gaps, backwards; inputs may be repeated, too. */
static void draw_layout(dice *d, layout *l, int input)
{
    static const layout *const known[] = {&layout_contiguous, &layout_contiguous, &layout_permuted,
                                          &layout_scattered, &layout_gapped};
    *l = *PICK(d, known);
    if (chance(d, 0.5)) return;
    for (int a = 4; a > 0; a--) {
        const int64_t other = below(d, a + 1);
        const int axis = l->order[other];
        l->order[other] = l->order[a], l->order[a] = axis;
    }
    if (chance(d, 0.5))
        for (int i = 0; i < 5; i++) /* the last axis stays in front, so that vectors are used */
            if (l->order[i] == 4) l->order[i] = l->order[4], l->order[4] = 4;
    for (int a = 0; a < 5; a++) l->gap[a] = chance(d, 0.3) ? below(d, a == 4 ? 3 : 70) : 0;
    for (int a = 0; a < 5; a++)
        if (chance(d, 0.2)) l->reverse |= 1u << a;
    l->offset = below(d, 20);
    if (input && chance(d, 0.3)) l->repeat = (unsigned)below(d, 32);
}

static void draw_scores(dice *d, spec *s)
{
    static const double fills[] = {-3, -1e9, -5, 2};
    if (chance(d, 0.2)) s->softmax_cap = 0.5 + 10 * uniform(d);
    if (chance(d, 0.2)) s->mask_fill = PICK(d, fills);
    if (chance(d, 0.2)) s->dropout = chance(d, 0.05) ? 1 : uniform(d);
    s->dropout_seed = (uint64_t)(uniform(d) * 0x1p53) * 2051;
    if (chance(d, 0.3)) s->bias = chance(d, 0.8) ? BIAS_NORMAL : chance(d, 0.5) ? BIAS_HOLES : BIAS_ZERO;
    s->dbias = chance(d, 0.25);
    s->bias_axes = chance(d, 0.5) ? AXES_FULL : (unsigned)below(d, 32);
    s->dbias_axes = chance(d, 0.3) ? AXES_FULL : (unsigned)below(d, 32);
}

static void draw_values(dice *d, spec *s)
{
    static const double deviations[] = {1, 1, 0.1, 2};
    if (chance(d, 0.1)) s->scale = chance(d, 0.3) ? 0 : 0.6 * (uniform(d) - 0.5);
    if (chance(d, 0.1)) s->mean = 2 * uniform(d) - 1;
    s->deviation = PICK(d, deviations);
}

static void draw_all_but_sizes(dice *d, drawn *to)
{
    spec *s = &to->s;
    const spec standard = spec_of(s->B, s->H, s->N, s->M, s->K, s->D);
    *s = standard;
    s->R = chance(d, 0.7) ? 1 : 1 + below(d, 9);
    s->dtype = (floyd_dtype)below(d, 4);
    if (chance(d, 0.4)) s->wide = (unsigned)below(d, INT64_C(1) << ROLES) & HALVES;
    if (chance(d, 0.5)) s->mask = (enum mask_kind)below(d, MASK_ROWS + 1);
    s->mask_axes = chance(d, 0.4) ? (unsigned)AXES_USUAL : (unsigned)below(d, 32);
    s->rule = chance(d, 0.5) ? FLOYD_MASK_REPLACE : FLOYD_MASK_ZERO_GRAD;
    s->threads = 1 + (int)below(d, 4);
    s->seed = d->seed;
    draw_values(d, s);
    draw_scores(d, s);
    draw_layout(d, &to->inputs, 1);
    draw_layout(d, &to->outputs, 0);
    s->inputs = &to->inputs, s->outputs = &to->outputs;
    /* With no pivots the empty state stays as it is, Y unwritten: nothing to judge. */
    to->carry = chance(d, 0.2) && s->K > 0, to->add = chance(d, 0.2);
    if (to->carry) s->wide |= 1u << T_Y, s->dropout = 0;
    if (to->add) s->wide |= EDGE_GRADIENTS;
    to->wanted = chance(d, 0.6) ? ~0u : 1u << T_Y | (unsigned)below(d, INT64_C(1) << ROLES);
}

void draw_problem(drawn *to, uint64_t seed, double work)
{
    dice d = {seed, 0};
    memset(to, 0, sizeof *to);
    draw_sizes(&d, &to->s, work);
    draw_all_but_sizes(&d, to);
}

void draw_rest(drawn *to, uint64_t seed)
{
    dice d = {seed, 0};
    draw_all_but_sizes(&d, to);
}
