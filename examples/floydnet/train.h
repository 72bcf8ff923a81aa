/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training: each step draws fresh random graphs, takes the mean gradient of the loss and makes one step of Adam.
 * The result follows from the seed alone, whatever the number of threads.
 */
#ifndef FLOYDNET_TRAIN_H
#define FLOYDNET_TRAIN_H

#include "net.h"

/*
 * A step's graphs go in shards. A shard is one batch, padded, with gradients of its own, and one thread's work from
 * beginning to end; the shards' gradients are added in their order.
 */
enum { TRAIN_SHARDS = 8, TRAIN_SHARD_GRAPHS = 2, TRAIN_MIN_NODES = 12, TRAIN_MAX_NODES = 32 };

typedef struct trainer {
    net_config config;
    uint64_t seed;
    int steps, threads; /* how many steps there will be; threads to work with */
    int done;
    net_params params;
    real *mean, *square; /* Adam's running means of the gradient and of its square */
    net_params grads[TRAIN_SHARDS];
    net_state *state[TRAIN_SHARDS];
    double loss[TRAIN_SHARDS];
} trainer;

trainer *trainer_new(const net_config *config, uint64_t seed, int steps, int threads);
void trainer_free(trainer *t);

/* One step; returns its loss. */
double trainer_step(trainer *t);

#endif
