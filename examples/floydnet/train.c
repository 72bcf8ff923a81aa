/* SPDX-License-Identifier: Apache-2.0 */
/* Adam over shards; see train.h. */
#include "train.h"

#include "util.h"

#include <pthread.h>
#include <string.h>

static const double PEAK_RATE = 3e-3, BETA1 = 0.9, BETA2 = 0.98, EPSILON = 1e-8, MAX_NORM = 1;
enum { WARMUP_STEPS = 50 };

trainer *trainer_new(const net_config *config, uint64_t seed, int steps, int threads)
{
    trainer *t = allocate(1, sizeof *t);
    t->config = *config;
    t->seed = seed;
    t->steps = steps;
    t->threads = threads < TRAIN_SHARDS ? threads : TRAIN_SHARDS;
    t->params = net_params_new(config);
    t->mean = allocate(t->params.count, sizeof(real));
    t->square = allocate(t->params.count, sizeof(real));
    for (int i = 0; i < TRAIN_SHARDS; i++) {
        t->grads[i] = net_params_new(config);
        t->state[i] = net_state_new(config, TRAIN_SHARD_GRAPHS, TRAIN_MAX_NODES);
    }
    uint64_t random = seed;
    net_params_init(config, &t->params, &random);
    return t;
}

void trainer_free(trainer *t)
{
    if (!t) return;
    for (int i = 0; i < TRAIN_SHARDS; i++) {
        free(t->grads[i].flat);
        net_state_free(t->state[i]);
    }
    free(t->params.flat);
    free(t->mean);
    free(t->square);
    free(t);
}

/* ---- Shards -------------------------------------------------------------------------------------- */

/* A stream of its own for each shard of each step: what is drawn cannot depend on which thread comes first. */
static uint64_t shard_random(const trainer *t, int shard)
{
    uint64_t mixed = t->seed;
    return random_bits(&mixed) + (uint64_t)t->done * TRAIN_SHARDS + (uint64_t)shard;
}

static void run_shard(trainer *t, int shard)
{
    graph graphs[TRAIN_SHARD_GRAPHS];
    uint64_t counter = shard_random(t, shard), random = random_bits(&counter);
    for (int i = 0; i < TRAIN_SHARD_GRAPHS; i++) {
        graphs[i] = graph_random(&random, TRAIN_MIN_NODES, TRAIN_MAX_NODES);
    }
    batch input = batch_new(&t->config, graphs, TRAIN_SHARD_GRAPHS);
    net_params *grads = &t->grads[shard];
    memset(grads->flat, 0, grads->count * sizeof(real));
    net_forward(&t->config, &t->params, &input, t->state[shard], 1);
    t->loss[shard] = net_backward(&t->config, &t->params, &input, t->state[shard], 1, grads);
    batch_free(&input);
    for (int i = 0; i < TRAIN_SHARD_GRAPHS; i++) graph_free(&graphs[i]);
}

typedef struct worker {
    trainer *owner;
    int first; /* takes the shards first, first + threads, ... */
    pthread_t thread;
} worker;

static void *run_worker(void *argument)
{
    const worker *w = argument;
    for (int i = w->first; i < TRAIN_SHARDS; i += w->owner->threads) run_shard(w->owner, i);
    return NULL;
}

static void run_shards(trainer *t)
{
    worker workers[TRAIN_SHARDS] = {0};
    for (int i = 0; i < t->threads; i++) {
        workers[i].owner = t;
        workers[i].first = i;
    }
    for (int i = 1; i < t->threads; i++) {
        if (pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0) continue;
        fprintf(stderr, "cannot start thread %d\n", i);
        exit(3);
    }
    run_worker(&workers[0]);
    for (int i = 1; i < t->threads; i++) pthread_join(workers[i].thread, NULL);
}

/* ---- Adam ---------------------------------------------------------------------------------------- */

/* The mean over shards, in grads[0]; shortened to MAX_NORM when longer. */
static const real *mean_gradient(trainer *t)
{
    real *g = t->grads[0].flat;
    double squares = 0;
    for (size_t i = 0; i < t->params.count; i++) {
        for (int s = 1; s < TRAIN_SHARDS; s++) g[i] += t->grads[s].flat[i];
        g[i] /= TRAIN_SHARDS;
        squares += (double)g[i] * (double)g[i];
    }
    const double norm = sqrt(squares);
    if (norm <= MAX_NORM) return g;
    for (size_t i = 0; i < t->params.count; i++) g[i] *= (real)(MAX_NORM / norm);
    return g;
}

/* Rises to the peak, then falls along half a cosine. */
static double learning_rate(const trainer *t)
{
    const double rise = (t->done + 1.0) / WARMUP_STEPS, way = (double)t->done / t->steps;
    const double fall = 0.01 + 0.99 * 0.5 * (1 + cos(3.141592653589793 * way));
    return PEAK_RATE * (rise < fall ? rise : fall);
}

static void adam(trainer *t, const real *gradient)
{
    const double unbias1 = 1 - pow(BETA1, t->done + 1), unbias2 = 1 - pow(BETA2, t->done + 1);
    const real rate = (real)(learning_rate(t) / unbias1), b1 = (real)BETA1, b2 = (real)BETA2;
    const real per_unbias2 = (real)(1 / unbias2);
    for (size_t i = 0; i < t->params.count; i++) {
        const real g = gradient[i];
        t->mean[i] = b1 * t->mean[i] + (1 - b1) * g;
        t->square[i] = b2 * t->square[i] + (1 - b2) * g * g;
        t->params.flat[i] -= rate * t->mean[i] / (sqrt(t->square[i] * per_unbias2) + (real)EPSILON);
    }
}

double trainer_step(trainer *t)
{
    double loss = 0;
    run_shards(t);
    for (int i = 0; i < TRAIN_SHARDS; i++) loss += t->loss[i] / TRAIN_SHARDS;
    adam(t, mean_gradient(t));
    t->done++;
    return loss;
}
