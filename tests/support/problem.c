/* SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const role_names[ROLES] = {"q",  "k1", "v1",  "k2",  "v2",  "mask", "y",    "max",  "sum",
                                       "dy", "dq", "dk1", "dv1", "dk2", "dv2",  "bias", "dbias"};

spec spec_of(int64_t B, int64_t H, int64_t N, int64_t M, int64_t K, int64_t D)
{
    spec s = {.B = B, .H = H, .N = N, .M = M, .K = K, .D = D, .R = 1, .deviation = 1, .threads = 1, .seed = 1};
    s.scale = 1 / sqrt(2.0 * (double)(D > 0 ? D : 1));
    s.mask_axes = AXES_USUAL;
    s.bias_axes = s.dbias_axes = AXES_FULL;
    s.dropout_seed = 0x0123456789ABCDEF;
    s.inputs = s.outputs = &layout_contiguous;
    return s;
}

void add_extras(spec *s, unsigned extras)
{
    if (extras & CAP) s->softmax_cap = 1.5;
    if (extras & BIAS) s->bias = BIAS_NORMAL;
    if (extras & DBIAS) s->dbias = 1;
    if (extras & FILL) s->mask_fill = -3;
    if (extras & DROPOUT) s->dropout = 0.3;
}

static int layout_text(const layout *l, const char *name, char *text, size_t size)
{
    return snprintf(text, size, "\n%s: order %d%d%d%d%d gaps %d,%d,%d,%d,%d reverse %x repeat %x offset %d", name,
                    l->order[0], l->order[1], l->order[2], l->order[3], l->order[4], (int)l->gap[0], (int)l->gap[1],
                    (int)l->gap[2], (int)l->gap[3], (int)l->gap[4], l->reverse, l->repeat, (int)l->offset);
}

const char *spec_text(const spec *s, char text[SPEC_TEXT])
{
    static const char *const dtypes[] = {"f32", "f64", "f16", "bf16"};
    int used =
        snprintf(text, SPEC_TEXT,
                 "B=%d H=%d N=%d M=%d K=%d D=%d R=%d %s wide %x scale %g mean %g deviation %g mask %d axes "
                 "%x rule %d threads %d seed %llu\n"
                 "cap %g fill %g dropout %g seed %llx bias %d axes %x dbias %d axes %x",
                 (int)s->B, (int)s->H, (int)s->N, (int)s->M, (int)s->K, (int)s->D, (int)s->R, dtypes[s->dtype],
                 s->wide, s->scale, s->mean, s->deviation, (int)s->mask, s->mask_axes, (int)s->rule, s->threads,
                 (unsigned long long)s->seed, s->softmax_cap, s->mask_fill, s->dropout,
                 (unsigned long long)s->dropout_seed, (int)s->bias, s->bias_axes, s->dbias, s->dbias_axes);
    used += layout_text(s->inputs, "inputs", text + used, (size_t)(SPEC_TEXT - used));
    layout_text(s->outputs, "outputs", text + used, (size_t)(SPEC_TEXT - used));
    return text;
}

floyd_dtype accumulator_of(floyd_dtype dtype)
{
    return dtype == FLOYD_F64 ? FLOYD_F64 : FLOYD_F32;
}

static void set_size(int64_t size[5], const spec *s, int64_t size2, int64_t size3, int64_t size4)
{
    const int64_t values[5] = {s->B, s->H, size2, size3, size4};
    memcpy(size, values, sizeof values);
}

/* Along which axes a role of BROADCAST is full. */
static unsigned axes_of(const spec *s, enum role r)
{
    return r == T_MASK ? s->mask_axes : r == T_BIAS ? s->bias_axes : s->dbias_axes;
}

void role_size(const spec *s, enum role r, int64_t size[5])
{
    switch (r) {
    case T_K1:
    case T_V1:
    case T_DK1:
    case T_DV1:
        set_size(size, s, s->N, s->K, s->D);
        break;
    case T_K2:
    case T_V2:
    case T_DK2:
    case T_DV2:
        set_size(size, s, s->K, s->M, s->D);
        break;
    case T_MAX:
    case T_SUM:
        set_size(size, s, s->N, s->M, s->R);
        break;
    case T_MASK:
    case T_BIAS:
    case T_DBIAS:
        set_size(size, s, s->N, s->M, s->K);
        for (int a = 0; a < 5; a++)
            if (!(axes_of(s, r) >> a & 1)) size[a] = 1;
        break;
    default:
        set_size(size, s, s->N, s->M, s->D);
    }
}

static floyd_dtype role_dtype(const spec *s, enum role r)
{
    if (r == T_MASK) return FLOYD_U8;
    if (r == T_MAX || r == T_SUM || r == T_DBIAS) return accumulator_of(s->dtype);
    return s->wide >> r & 1 ? accumulator_of(s->dtype) : s->dtype;
}

/* Every masked byte has another value: any that is not zero masks. */
static void fill_mask(const floyd_tensor *t, const spec *s)
{
    const int64_t count = tensor_count(t);
    int64_t index[5] = {0};
    for (int64_t i = 0; i < count; i++, tensor_next(t, index)) {
        int masked = s->mask == MASK_ONES;
        if (s->mask == MASK_PADDING) masked = index[4] >= s->K - s->K / 3;
        if (s->mask == MASK_RANDOM || s->mask == MASK_ROWS) masked = draw_uniform(s->seed + 77, (uint64_t)i) < 0.3;
        if (s->mask == MASK_ROWS && (index[0] + index[1] + index[2] + index[3]) % 3 == 1) masked = 1;
        tensor_set(t, index, masked ? (double)(1 + i % 255) : 0.0);
    }
}

static void fill_bias(const floyd_tensor *t, const spec *s)
{
    int64_t index[5] = {0};
    tensor_fill_normal(t, s->seed * 100 + T_BIAS, 0, s->bias == BIAS_ZERO ? 0 : 1);
    for (int64_t i = 0, count = tensor_count(t); s->bias == BIAS_HOLES && i < count; i++, tensor_next(t, index))
        if (index[4] > 0 && draw_uniform(s->seed + 78, (uint64_t)i) < 0.3) tensor_set(t, index, -INFINITY);
}

static int asked_for(const spec *s, enum role r)
{
    return r == T_MASK ? s->mask != MASK_NONE : r == T_BIAS ? s->bias != BIAS_NONE : r != T_DBIAS || s->dbias;
}

problem problem_new(const spec *s)
{
    problem p;
    memset(&p, 0, sizeof p);
    p.s = *s;
    for (enum role r = T_Q; r < ROLES; r++) {
        const int output = (FORWARD_OUTPUTS | GRADIENTS) >> r & 1;
        int64_t size[5];
        role_size(s, r, size);
        if (!asked_for(s, r)) continue;
        p.t[r] = tensor_new(role_dtype(s, r), size, output ? s->outputs : s->inputs);
        if (r == T_MASK)
            fill_mask(&p.t[r].view, s);
        else if (r == T_BIAS)
            fill_bias(&p.t[r].view, s);
        else if (!output)
            tensor_fill_normal(&p.t[r].view, s->seed * 100 + r, s->mean, s->deviation);
    }
    return p;
}

void problem_free(problem *p)
{
    for (int r = 0; r < ROLES; r++) tensor_free(&p->t[r]);
}

tensor mask_expanded(const problem *p)
{
    spec full = p->s;
    int64_t size[5], index[5] = {0};
    full.mask_axes = AXES_FULL;
    role_size(&full, T_MASK, size);
    tensor t = tensor_new(FLOYD_U8, size, &layout_contiguous);
    for (int64_t i = 0, count = tensor_count(&t.view); i < count; i++, tensor_next(&t.view, index)) {
        int64_t from[5];
        for (int a = 0; a < 5; a++) from[a] = p->t[T_MASK].view.size[a] == 1 ? 0 : index[a];
        tensor_set(&t.view, index, tensor_get(&p->t[T_MASK].view, from));
    }
    return t;
}

static const floyd_tensor *view_if(const problem *p, enum role r, unsigned wanted)
{
    return p->t[r].block && (wanted >> r & 1) ? &p->t[r].view : NULL;
}

/* The numbers of a structure, which forward and backward have under the same names. */
#define SET_NUMBERS(args, s)                                                                                       \
    ((args)->scale = (s)->scale, (args)->softmax_cap = (s)->softmax_cap, (args)->mask_fill = (s)->mask_fill,       \
     (args)->dropout = (s)->dropout, (args)->seed = (s)->dropout_seed)

floyd_forward_args forward_args(const problem *p, unsigned wanted)
{
    floyd_forward_args a = FLOYD_FORWARD_ARGS_INIT;
    SET_NUMBERS(&a, &p->s);
    for (enum role r = T_Q; r < ROLES; r++)
        if (forward_slot(&a, r)) *forward_slot(&a, r) = view_if(p, r, wanted | ~(unsigned)FORWARD_OUTPUTS);
    return a;
}

floyd_backward_args backward_args(const problem *p, unsigned wanted)
{
    floyd_backward_args a = FLOYD_BACKWARD_ARGS_INIT;
    SET_NUMBERS(&a, &p->s);
    a.mask_rule = p->s.rule;
    for (enum role r = T_Q; r < ROLES; r++) *backward_slot(&a, r) = view_if(p, r, wanted | ~(unsigned)GRADIENTS);
    return a;
}

const floyd_tensor **forward_slot(floyd_forward_args *a, enum role r)
{
    const floyd_tensor **slots[ROLES] = {&a->q, &a->k1, &a->v1, &a->k2, &a->v2, &a->mask, &a->y, &a->max, &a->sum};
    slots[T_BIAS] = &a->bias;
    return slots[r];
}

const floyd_tensor **backward_slot(floyd_backward_args *a, enum role r)
{
    const floyd_tensor **slots[ROLES] = {&a->q,   &a->k1,  &a->v1,  &a->k2,   &a->v2,   &a->mask,
                                         &a->y,   &a->max, &a->sum, &a->dy,   &a->dq,   &a->dk1,
                                         &a->dv1, &a->dk2, &a->dv2, &a->bias, &a->dbias};
    return slots[r];
}

enum { GUARD = 64, GUARD_BYTE = 0x5C };

typedef struct workspace {
    unsigned char *block, *data;
    size_t bytes;
} workspace;

static workspace workspace_new(size_t bytes)
{
    workspace w = {malloc(bytes + 2 * GUARD + 1), NULL, bytes};
    if (!w.block) abort();
    memset(w.block, GUARD_BYTE, GUARD + 1);
    w.data = w.block + GUARD + 1;
    memset(w.data + bytes, GUARD_BYTE, GUARD);
    return w;
}

static void workspace_check_and_free(workspace *w)
{
    for (int i = 0; i < GUARD; i++) {
        if (w->block[i + 1] != GUARD_BYTE) fail_msg("byte %d before the workspace was written", GUARD - i);
        if (w->data[w->bytes + (size_t)i] != GUARD_BYTE) fail_msg("byte %d after the workspace was written", i);
    }
    free(w->block);
}

floyd_status run_forward_args(const floyd_forward_args *args, const floyd_options *options)
{
    size_t bytes = 0;
    floyd_status status = floyd_forward_workspace(args, options, &bytes);
    if (status != FLOYD_OK) return status;
    workspace w = workspace_new(bytes);
    status = floyd_forward(args, options, w.data, bytes);
    workspace_check_and_free(&w);
    return status;
}

floyd_status run_backward_args(const floyd_backward_args *args, const floyd_options *options)
{
    size_t bytes = 0;
    floyd_status status = floyd_backward_workspace(args, options, &bytes);
    if (status != FLOYD_OK) return status;
    workspace w = workspace_new(bytes);
    status = floyd_backward(args, options, w.data, bytes);
    workspace_check_and_free(&w);
    return status;
}

static void expect_ok(const problem *p, const char *what, floyd_status status)
{
    const spec *s = &p->s;
    if (status != FLOYD_OK)
        fail_msg("%s of B=%d H=%d N=%d M=%d K=%d D=%d dtype %d: %s: %s", what, (int)s->B, (int)s->H, (int)s->N,
                 (int)s->M, (int)s->K, (int)s->D, (int)s->dtype, floyd_status_name(status), floyd_last_message());
}

static void expect_gaps(const problem *p, unsigned roles)
{
    for (int r = 0; r < ROLES; r++)
        if ((roles >> r & 1) && p->t[r].block && !tensor_gaps_untouched(&p->t[r]))
            fail_msg("bytes between the elements of %s were written", role_names[r]);
}

void run_forward(problem *p)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_forward_args args = forward_args(p, FORWARD_OUTPUTS);
    options.threads = p->s.threads;
    expect_ok(p, "forward", run_forward_args(&args, &options));
    expect_gaps(p, FORWARD_OUTPUTS);
}

void run_backward_wanted(problem *p, unsigned wanted)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    const floyd_backward_args args = backward_args(p, wanted);
    options.threads = p->s.threads;
    expect_ok(p, "backward", run_backward_args(&args, &options));
    expect_gaps(p, wanted);
    for (int r = T_DQ; r < ROLES; r++)
        if ((GRADIENTS & ~wanted) >> r & 1 && !tensor_untouched(&p->t[r]))
            fail_msg("%s was not asked for", role_names[r]);
}

void run_backward(problem *p)
{
    run_backward_wanted(p, GRADIENTS);
}
