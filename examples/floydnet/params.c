/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of net.h in one flat array, how they start, and the batches that go through them. */
#include "net.h"

#include "util.h"

#include <string.h>

/* ---- Parameters ---------------------------------------------------------------------------------- */

static real *take(net_params *p, size_t count)
{
    real *start = p->flat ? p->flat + p->count : NULL;
    p->count += count;
    return start;
}

/* Lays the names over p->flat; with p->flat NULL it only counts. */
static void lay_out(const net_config *config, net_params *p)
{
    const size_t C = (size_t)config->heads * (size_t)config->head_size;
    const size_t hidden = (size_t)config->hidden, classes = (size_t)config->classes;
    p->count = 0;
    p->embed = take(p, NET_FEATURES * C);
    for (int l = 0; l < config->layers; l++) {
        layer_params *w = &p->layer[l];
        w->norm1 = take(p, C);
        w->qkv = take(p, 5 * C * C);
        w->qkv_bias = take(p, 5 * C);
        w->out = take(p, C * C);
        w->out_bias = take(p, C);
        w->norm2 = take(p, C);
        w->up = take(p, C * hidden);
        w->up_bias = take(p, hidden);
        w->down = take(p, hidden * C);
        w->down_bias = take(p, C);
    }
    p->norm = take(p, C);
    p->head = take(p, C * classes);
    p->head_bias = take(p, classes);
}

net_params net_params_new(const net_config *config)
{
    net_params p = {0};
    lay_out(config, &p);
    p.flat = allocate(p.count, sizeof(real));
    lay_out(config, &p);
    return p;
}

static void fill(real *values, int count, real value)
{
    for (int i = 0; i < count; i++) values[i] = value;
}

static void fill_normal(real *values, int count, double deviation, uint64_t *random)
{
    for (int i = 0; i < count; i++) values[i] = (real)(deviation * random_normal(random));
}

/* Products keep the size of what they read; what a layer adds to the stream starts small. Biases start at 0. */
void net_params_init(const net_config *config, net_params *params, uint64_t *random)
{
    const int C = config->heads * config->head_size, hidden = config->hidden;
    const double added = 0.3;
    fill_normal(params->embed, NET_FEATURES * C, 1, random);
    for (int l = 0; l < config->layers; l++) {
        layer_params *w = &params->layer[l];
        fill(w->norm1, C, 1);
        fill_normal(w->qkv, 5 * C * C, 1 / sqrt((double)C), random);
        fill_normal(w->out, C * C, added / sqrt((double)C), random);
        fill(w->norm2, C, 1);
        fill_normal(w->up, C * hidden, 1 / sqrt((double)C), random);
        fill_normal(w->down, hidden * C, added / sqrt((double)hidden), random);
    }
    fill(params->norm, C, 1);
    fill_normal(params->head, C * config->classes, 1 / sqrt((double)C), random);
}

/* ---- Batches ------------------------------------------------------------------------------------- */

int net_class(const net_config *config, int distance)
{
    return distance < config->classes ? distance : config->classes - 1;
}

static void batch_put(const net_config *config, batch *b, int index, const graph *g)
{
    enum { NO_EDGE, EDGE, SAME };
    const int N = b->nodes;
    uint8_t *distance = allocate((size_t)(g->nodes * g->nodes), 1);
    graph_distances(g, distance);
    for (int u = 0; u < g->nodes; u++) {
        b->padding[index * N + u] = 0;
        for (int v = 0; v < g->nodes; v++) {
            const int from = u * g->nodes + v, to = (index * N + u) * N + v;
            b->feature[to] = u == v ? SAME : g->adjacent[from] ? EDGE : NO_EDGE;
            b->label[to] = (uint8_t)net_class(config, distance[from]);
        }
    }
    free(distance);
}

batch batch_new(const net_config *config, const graph *graphs, int count)
{
    batch b = {.graphs = count};
    for (int i = 0; i < count; i++) b.nodes = graphs[i].nodes > b.nodes ? graphs[i].nodes : b.nodes;
    const size_t B = (size_t)count, N = (size_t)b.nodes;
    b.feature = allocate(B * N * N, 1);
    b.label = allocate(B * N * N, 1);
    b.padding = allocate(B * N, 1);
    memset(b.label, NET_NO_LABEL, B * N * N);
    memset(b.padding, 1, B * N);
    for (int i = 0; i < count; i++) batch_put(config, &b, i, &graphs[i]);
    return b;
}

void batch_free(batch *b)
{
    free(b->feature);
    free(b->label);
    free(b->padding);
}
