/* SPDX-License-Identifier: Apache-2.0 */
/* The forward and the backward pass of net.h; each backward function undoes the forward one above it. */
#include "net.h"

#include "attention.h"
#include "ops.h"
#include "util.h"

#include <string.h>

/* What a layer keeps: [P,C] unless said otherwise. */
typedef struct layer_state {
    real *inverse1, *normed1; /* [P], [P,C] */
    real *qkv;                /* [5,P,C] */
    real *max, *sum;          /* [B,H,N,N] */
    real *y, *middle;         /* attention's output; x after the first half */
    real *inverse2, *normed2; /* [P], [P,C] */
    real *up, *active;        /* [P,hidden] */
} layer_state;

struct net_state {
    real *flat;
    real *x[NET_MAX_LAYERS + 1]; /* the residual stream before each layer, and at the end */
    layer_state layer[NET_MAX_LAYERS];
    real *inverse, *normed, *score;           /* [P], [P,C], [P,classes] */
    real *dx, *dnormed, *dy, *dqkv, *dactive; /* gradients, used by every layer in turn */
    attention_scratch scratch;
};

static int channels(const net_config *config)
{
    return config->heads * config->head_size;
}

/* Hands out count elements of a flat array; with base NULL it only counts. */
static real *take(real *base, size_t *used, size_t count)
{
    real *start = base ? base + *used : NULL;
    *used += count;
    return start;
}

static size_t state_view(const net_config *config, size_t B, size_t N, real *base, net_state *s)
{
    const size_t P = B * N * N, C = (size_t)channels(config), hidden = (size_t)config->hidden;
    size_t used = 0;
    for (int l = 0; l <= config->layers; l++) s->x[l] = take(base, &used, P * C);
    for (int l = 0; l < config->layers; l++) {
        layer_state *a = &s->layer[l];
        a->inverse1 = take(base, &used, P);
        a->normed1 = take(base, &used, P * C);
        a->qkv = take(base, &used, 5 * P * C);
        a->max = take(base, &used, P * (size_t)config->heads);
        a->sum = take(base, &used, P * (size_t)config->heads);
        a->y = take(base, &used, P * C);
        a->middle = take(base, &used, P * C);
        a->inverse2 = take(base, &used, P);
        a->normed2 = take(base, &used, P * C);
        a->up = take(base, &used, P * hidden);
        a->active = take(base, &used, P * hidden);
    }
    s->inverse = take(base, &used, P);
    s->normed = take(base, &used, P * C);
    s->score = take(base, &used, P * (size_t)config->classes);
    s->dx = take(base, &used, P * C);
    s->dnormed = take(base, &used, P * C);
    s->dy = take(base, &used, P * C);
    s->dqkv = take(base, &used, 5 * P * C);
    s->dactive = take(base, &used, P * hidden);
    return used;
}

net_state *net_state_new(const net_config *config, int graphs, int nodes)
{
    net_state *s = allocate(1, sizeof *s);
    const size_t B = (size_t)graphs, N = (size_t)nodes;
    s->flat = allocate(state_view(config, B, N, NULL, s), sizeof(real));
    state_view(config, B, N, s->flat, s);
    return s;
}

void net_state_free(net_state *state)
{
    if (!state) return;
    attention_scratch_free(&state->scratch);
    free(state->flat);
    free(state);
}

/* ---- One layer ----------------------------------------------------------------------------------- */

static attention attention_of(const net_config *config, const batch *input, const layer_state *a, int threads)
{
    const attention view = {.B = input->graphs,
                            .N = input->nodes,
                            .H = config->heads,
                            .D = config->head_size,
                            .threads = threads,
                            .padding = input->padding,
                            .qkv = a->qkv,
                            .y = a->y,
                            .max = a->max,
                            .sum = a->sum};
    return view;
}

static int pair_count(const batch *input)
{
    return input->graphs * input->nodes * input->nodes;
}

static void layer_forward(const net_config *config, const layer_params *w, const batch *input, const real *x,
                          layer_state *a, real *out, attention_scratch *scratch, int threads)
{
    const int P = pair_count(input), C = channels(config);
    norm_forward(P, C, x, w->norm1, a->normed1, a->inverse1);
    for (int i = 0; i < 5; i++) {
        linear_forward(P, C, C, a->normed1, w->qkv + i * C * C, w->qkv_bias + i * C, NULL, a->qkv + i * P * C);
    }
    const attention pivot = attention_of(config, input, a, threads);
    attention_forward(&pivot, scratch);
    linear_forward(P, C, C, a->y, w->out, w->out_bias, x, a->middle);

    norm_forward(P, C, a->middle, w->norm2, a->normed2, a->inverse2);
    linear_forward(P, C, config->hidden, a->normed2, w->up, w->up_bias, NULL, a->up);
    square_relu_forward(P * config->hidden, a->up, a->active);
    linear_forward(P, config->hidden, C, a->active, w->down, w->down_bias, a->middle, out);
}

static void zero(real *values, int count)
{
    memset(values, 0, (size_t)count * sizeof *values);
}

/* s->dx: the gradient at the layer's output goes in, that at its input comes out. */
static void layer_backward(const net_config *config, const layer_params *w, const batch *input, const real *x,
                           const layer_state *a, net_state *s, int threads, layer_params *dw)
{
    const int P = pair_count(input), C = channels(config), hidden = config->hidden;
    zero(s->dactive, P * hidden);
    linear_backward(P, hidden, C, s->dx, a->active, w->down, s->dactive, dw->down, dw->down_bias);
    square_relu_backward(P * hidden, a->up, s->dactive);
    zero(s->dnormed, P * C);
    linear_backward(P, C, hidden, s->dactive, a->normed2, w->up, s->dnormed, dw->up, dw->up_bias);
    norm_backward(P, C, s->dnormed, a->middle, w->norm2, a->inverse2, s->dx, dw->norm2);

    zero(s->dy, P * C);
    linear_backward(P, C, C, s->dx, a->y, w->out, s->dy, dw->out, dw->out_bias);
    attention pivot = attention_of(config, input, a, threads);
    pivot.dy = s->dy;
    pivot.dqkv = s->dqkv;
    attention_backward(&pivot, &s->scratch);
    zero(s->dnormed, P * C);
    for (int i = 0; i < 5; i++) {
        linear_backward(P, C, C, s->dqkv + i * P * C, a->normed1, w->qkv + i * C * C, s->dnormed,
                        dw->qkv + i * C * C, dw->qkv_bias + i * C);
    }
    norm_backward(P, C, s->dnormed, x, w->norm1, a->inverse1, s->dx, dw->norm1);
}

/* ---- The whole ----------------------------------------------------------------------------------- */

real *net_forward(const net_config *config, const net_params *params, const batch *input, net_state *state,
                  int threads)
{
    const int P = pair_count(input), C = channels(config);
    embed_forward(P, C, input->feature, params->embed, state->x[0]);
    for (int l = 0; l < config->layers; l++) {
        layer_forward(config, &params->layer[l], input, state->x[l], &state->layer[l], state->x[l + 1],
                      &state->scratch, threads);
    }
    norm_forward(P, C, state->x[config->layers], params->norm, state->normed, state->inverse);
    linear_forward(P, C, config->classes, state->normed, params->head, params->head_bias, NULL, state->score);
    return state->score;
}

double net_backward(const net_config *config, const net_params *params, const batch *input, net_state *state,
                    int threads, net_params *grads)
{
    const int P = pair_count(input), C = channels(config), last = config->layers;
    const double loss = cross_entropy(P, config->classes, input->label, state->score);
    zero(state->dnormed, P * C);
    linear_backward(P, C, config->classes, state->score, state->normed, params->head, state->dnormed, grads->head,
                    grads->head_bias);
    zero(state->dx, P * C);
    norm_backward(P, C, state->dnormed, state->x[last], params->norm, state->inverse, state->dx, grads->norm);
    for (int l = last - 1; l >= 0; l--) {
        layer_backward(config, &params->layer[l], input, state->x[l], &state->layer[l], state, threads,
                       &grads->layer[l]);
    }
    embed_backward(P, C, input->feature, state->dx, grads->embed);
    return loss;
}
