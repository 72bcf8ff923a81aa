/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small FloydNet: from the adjacency of a graph to a class for every pair of its nodes. With P = B*N*N pairs and
 * C = H*D channels:
 *
 *   x = embed[feature]                                       [P,C]   feature: no edge, edge, the same node
 *   in each layer:
 *     n = norm(x);  q, k1, v1, k2, v2 = n w + b              [P,C] each
 *     x = x + attention(q, k1, v1, k2, v2) out + b
 *     x = x + relu(norm(x) up + b)^2 down + b
 *   score = norm(x) head + b                                 [P,classes]
 *
 * Why it can work: the shortest path n - m goes over the k with the least d(n,k) + d(k,m). A score is a sum over
 * the two edges of n - k - m and softmax picks its best k, and the value is again a sum over both: each layer can
 * double the length of the paths it knows. Three layers reach 8.
 */
#ifndef FLOYDNET_NET_H
#define FLOYDNET_NET_H

#include "graph.h"
#include "real.h"

#include <stddef.h>
#include <stdint.h>

enum { NET_MAX_LAYERS = 8, NET_FEATURES = 3 };

typedef struct net_config {
    int layers, heads, head_size, hidden, classes;
} net_config;

/* ---- Parameters ---------------------------------------------------------------------------------- */

typedef struct layer_params {
    real *norm1;            /* [C] */
    real *qkv, *qkv_bias;   /* [5,C,C], [5,C] */
    real *out, *out_bias;   /* [C,C], [C] */
    real *norm2;            /* [C] */
    real *up, *up_bias;     /* [C,hidden], [hidden] */
    real *down, *down_bias; /* [hidden,C], [C] */
} layer_params;

/* One flat array with names; the same for values and for gradients. */
typedef struct net_params {
    size_t count;
    real *flat;
    real *embed; /* [3,C] */
    layer_params layer[NET_MAX_LAYERS];
    real *norm;             /* [C] */
    real *head, *head_bias; /* [C,classes], [classes] */
} net_params;

/* All zero. free(p.flat) ends it. */
net_params net_params_new(const net_config *config);
void net_params_init(const net_config *config, net_params *params, uint64_t *random);

/* ---- Batches ------------------------------------------------------------------------------------- */

enum { NET_NO_LABEL = 255 };

/* Graphs of different sizes, padded to the largest. */
typedef struct batch {
    int graphs, nodes;
    uint8_t *feature; /* [B,N,N] */
    uint8_t *label;   /* [B,N,N] the class of the pair, NET_NO_LABEL where a node is padding */
    uint8_t *padding; /* [B,N] 1 = node is padding */
} batch;

/* The class of a distance: itself, or the last class when longer or when there is no path. */
int net_class(const net_config *config, int distance);
batch batch_new(const net_config *config, const graph *graphs, int count);
void batch_free(batch *b);

/* ---- Passes -------------------------------------------------------------------------------------- */

/* The activations of one batch, kept from the forward for the backward. Not for two threads at once. */
typedef struct net_state net_state;
net_state *net_state_new(const net_config *config, int graphs, int nodes);
void net_state_free(net_state *state);

/* Fills *state, made for at least the batch's size; returns score[P,classes], which lies in it. */
real *net_forward(const net_config *config, const net_params *params, const batch *input, net_state *state,
                  int threads);

/* After net_forward: adds the gradients of the loss to *grads and returns the loss. Overwrites the scores. */
double net_backward(const net_config *config, const net_params *params, const batch *input, net_state *state,
                    int threads, net_params *grads);

#endif
