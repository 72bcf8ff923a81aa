/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include "floyd_reference.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which three sizes follow B and H; 'R' is the single copy of a statistic. */
static const struct {
    const char *name, *axes;
} tensors[TRIAL_TENSORS] = {
    [TRIAL_Q] = {"q", "NMD"},     [TRIAL_K1] = {"k1", "NKD"},   [TRIAL_V1] = {"v1", "NKD"},
    [TRIAL_K2] = {"k2", "KMD"},   [TRIAL_V2] = {"v2", "KMD"},   [TRIAL_DY] = {"dy", "NMD"},
    [TRIAL_Y] = {"y", "NMD"},     [TRIAL_MAX] = {"max", "NMR"}, [TRIAL_SUM] = {"sum", "NMR"},
    [TRIAL_DQ] = {"dq", "NMD"},   [TRIAL_DK1] = {"dk1", "NKD"}, [TRIAL_DV1] = {"dv1", "NKD"},
    [TRIAL_DK2] = {"dk2", "KMD"}, [TRIAL_DV2] = {"dv2", "KMD"},
};

const char *trial_tensor_name(trial_tensor which)
{
    return tensors[which].name;
}

int64_t tensor_count(const floyd_tensor *t)
{
    return t->size[0] * t->size[1] * t->size[2] * t->size[3] * t->size[4];
}

size_t tensor_bytes(const floyd_tensor *t)
{
    return (size_t)tensor_count(t) * floyd_dtype_size(t->dtype);
}

/* splitmix64: every counter value gives its own 64 bits. */
static uint64_t random_bits(uint64_t counter)
{
    uint64_t z = counter * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The sum of four uniform numbers of 16 bits, brought to mean 0 and variance 1. */
static double random_value(uint64_t counter)
{
    const uint64_t bits = random_bits(counter);
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += (double)(bits >> 16 * i & 0xffff);
    return (sum / 65536 - 2) * sqrt(3);
}

static void store(void *data, floyd_dtype dtype, int64_t i, double value)
{
    switch (dtype) {
    case FLOYD_F16:
        ((uint16_t *)data)[i] = floyd_reference_to_f16(value);
        break;
    case FLOYD_BF16:
        ((uint16_t *)data)[i] = floyd_reference_to_bf16(value);
        break;
    case FLOYD_F32:
        ((float *)data)[i] = (float)value;
        break;
    case FLOYD_F64:
        ((double *)data)[i] = value;
        break;
    case FLOYD_U8:
        ((uint8_t *)data)[i] = value != 0;
        break;
    }
}

static int64_t size_of_axis(const trial_problem *p, char axis)
{
    switch (axis) {
    case 'N':
        return p->N;
    case 'M':
        return p->M;
    case 'K':
        return p->K;
    case 'D':
        return p->D;
    default:
        return 1;
    }
}

static floyd_tensor make_tensor(const trial_problem *p, trial_tensor which)
{
    const char *axes = tensors[which].axes;
    const int statistic = which == TRIAL_MAX || which == TRIAL_SUM;
    const floyd_dtype dtype = statistic && p->dtype != FLOYD_F64 ? FLOYD_F32 : p->dtype;
    floyd_tensor t = floyd_contiguous(NULL, dtype, p->B, p->H, size_of_axis(p, axes[0]), size_of_axis(p, axes[1]),
                                      size_of_axis(p, axes[2]));
    t.data = allocate(tensor_bytes(&t), tensors[which].name);
    return t;
}

static int is_masked(const trial_problem *p, int64_t n, int64_t k, uint64_t bits)
{
    switch (p->mask) {
    case MASK_RANDOM:
        return bits % 4 == 0;
    case MASK_PADDING:
        return n == p->N - 1 || k >= p->K - p->K / 4;
    case MASK_FULL:
        return bits % 2 == 1;
    default:
        return 0;
    }
}

static floyd_tensor make_mask(const trial_problem *p, uint64_t seed)
{
    const int full = p->mask == MASK_FULL;
    floyd_tensor t = floyd_contiguous(NULL, FLOYD_U8, p->B, full ? p->H : 1, p->N, full ? p->M : 1, p->K);
    if (p->mask == MASK_NONE) return t;
    t.data = allocate(tensor_bytes(&t), "a mask");
    const int64_t count = tensor_count(&t);
    for (int64_t i = 0; i < count; i++) {
        const int64_t n = i / t.stride[2] % p->N, k = i % p->K;
        ((uint8_t *)t.data)[i] = (uint8_t)is_masked(p, n, k, random_bits(seed + (uint64_t)i));
    }
    return t;
}

trial create_trial(const trial_problem *p, uint64_t seed)
{
    trial t = {.problem = *p, .scale = 1 / sqrt(2.0 * (double)p->D)};
    for (int i = 0; i < TRIAL_TENSORS; i++) {
        t.tensor[i] = make_tensor(p, (trial_tensor)i);
        const uint64_t stream = (seed << 8 | (uint64_t)i) << 40;
        const int64_t count = i < TRIAL_Y ? tensor_count(&t.tensor[i]) : 0;
        for (int64_t e = 0; e < count; e++)
            store(t.tensor[i].data, t.tensor[i].dtype, e, random_value(stream + (uint64_t)e));
    }
    t.mask = make_mask(p, (seed << 8 | TRIAL_TENSORS) << 40);
    poison_outputs(&t);
    return t;
}

void free_trial(trial *t)
{
    for (int i = 0; i < TRIAL_TENSORS; i++) free(t->tensor[i].data);
    free(t->mask.data);
}

void poison_outputs(trial *t)
{
    for (int i = TRIAL_Y; i < TRIAL_TENSORS; i++) memset(t->tensor[i].data, 0xff, tensor_bytes(&t->tensor[i]));
}

static floyd_forward_args forward_args(const trial *t)
{
    const floyd_tensor *x = t->tensor;
    floyd_forward_args a = FLOYD_FORWARD_ARGS_INIT;
    a.scale = t->scale;
    a.q = &x[TRIAL_Q], a.k1 = &x[TRIAL_K1], a.v1 = &x[TRIAL_V1], a.k2 = &x[TRIAL_K2], a.v2 = &x[TRIAL_V2];
    a.mask = t->mask.data ? &t->mask : NULL;
    a.y = &x[TRIAL_Y], a.max = &x[TRIAL_MAX], a.sum = &x[TRIAL_SUM];
    return a;
}

static floyd_backward_args backward_args(const trial *t)
{
    const floyd_tensor *x = t->tensor;
    floyd_backward_args a = FLOYD_BACKWARD_ARGS_INIT;
    a.scale = t->scale;
    a.q = &x[TRIAL_Q], a.k1 = &x[TRIAL_K1], a.v1 = &x[TRIAL_V1], a.k2 = &x[TRIAL_K2], a.v2 = &x[TRIAL_V2];
    a.mask = t->mask.data ? &t->mask : NULL;
    a.mask_rule = t->problem.rule;
    a.y = &x[TRIAL_Y], a.max = &x[TRIAL_MAX], a.sum = &x[TRIAL_SUM], a.dy = &x[TRIAL_DY];
    a.dq = &x[TRIAL_DQ], a.dk1 = &x[TRIAL_DK1], a.dv1 = &x[TRIAL_DV1], a.dk2 = &x[TRIAL_DK2], a.dv2 = &x[TRIAL_DV2];
    return a;
}

static floyd_options with_threads(int threads)
{
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = threads;
    return options;
}

floyd_status trial_workspace(const trial *t, trial_pass pass, int threads, size_t *bytes)
{
    const floyd_options options = with_threads(threads);
    const floyd_forward_args forward = forward_args(t);
    const floyd_backward_args backward = backward_args(t);
    return pass == TRIAL_FORWARD ? floyd_forward_workspace(&forward, &options, bytes)
                                 : floyd_backward_workspace(&backward, &options, bytes);
}

floyd_status run_trial(const trial *t, trial_pass pass, int threads, void *workspace, size_t bytes)
{
    const floyd_options options = with_threads(threads);
    const floyd_forward_args forward = forward_args(t);
    const floyd_backward_args backward = backward_args(t);
    return pass == TRIAL_FORWARD ? floyd_forward(&forward, &options, workspace, bytes)
                                 : floyd_backward(&backward, &options, workspace, bytes);
}
