/* SPDX-License-Identifier: Apache-2.0 */
/* Fourteen tensors, two argument structs and one workspace: all that a call of floydattn.h takes. */
#include "problem.h"

#include "floyd_reference.h"
#include "util.h"

static void must(floyd_status status)
{
    if (status == FLOYD_OK) return;
    fprintf(stderr, "%s: %s\n", floyd_status_name(status), floyd_last_message());
    exit(3);
}

static floyd_forward_args forward_args(const problem *p)
{
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    args.scale = p->scale;
    args.q = &p->t[Q], args.k1 = &p->t[K1], args.v1 = &p->t[V1], args.k2 = &p->t[K2], args.v2 = &p->t[V2];
    args.y = &p->t[Y], args.max = &p->t[MAX], args.sum = &p->t[SUM];
    return args;
}

static floyd_backward_args backward_args(const problem *p)
{
    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    args.scale = p->scale;
    args.q = &p->t[Q], args.k1 = &p->t[K1], args.v1 = &p->t[V1], args.k2 = &p->t[K2], args.v2 = &p->t[V2];
    args.y = &p->t[Y], args.max = &p->t[MAX], args.sum = &p->t[SUM], args.dy = &p->t[DY];
    args.dq = &p->t[DQ], args.dk1 = &p->t[DK1], args.dv1 = &p->t[DV1], args.dk2 = &p->t[DK2], args.dv2 = &p->t[DV2];
    return args;
}

static floyd_tensor shape_of(const problem *p, int tensor)
{
    const floyd_dtype dtype = tensor < MAX ? FLOYD_F16 : FLOYD_F32;
    const int64_t third = tensor >= K2 && tensor < MAX ? p->K : p->N;
    const int64_t fourth = tensor >= K1 && tensor < K2 ? p->K : p->M;
    return floyd_contiguous(NULL, dtype, p->B, p->H, third, fourth, tensor < MAX ? p->D : 1);
}

size_t tensor_bytes(const floyd_tensor *t)
{
    size_t bytes = floyd_dtype_size(t->dtype);
    for (int axis = 0; axis < 5; axis++) bytes *= (size_t)t->size[axis];
    return bytes;
}

problem problem_describe(const int64_t sizes[6], int threads)
{
    problem p = {.B = sizes[0],
                 .H = sizes[1],
                 .N = sizes[2],
                 .M = sizes[3],
                 .K = sizes[4],
                 .D = sizes[5],
                 .scale = 1 / sqrt((double)sizes[5]),
                 .options = FLOYD_OPTIONS_INIT};
    p.options.threads = threads;
    for (int i = 0; i < TENSORS; i++) p.t[i] = shape_of(&p, i);
    const floyd_forward_args forward = forward_args(&p);
    const floyd_backward_args backward = backward_args(&p);
    must(floyd_forward_workspace(&forward, &p.options, &p.workspace_bytes[0]));
    must(floyd_backward_workspace(&backward, &p.options, &p.workspace_bytes[1]));
    return p;
}

/* Drawn from a table: tens of millions of logarithms would take longer than the operator. */
static void fill_normal(floyd_tensor *t, uint64_t *random)
{
    enum { TABLE = 65536 };
    static uint16_t normal[TABLE];
    uint16_t *values = t->data;
    const size_t count = tensor_bytes(t) / sizeof *values;
    if (normal[0] == normal[1]) {
        for (int i = 0; i < TABLE; i++) normal[i] = floyd_reference_to_f16(random_normal(random));
    }
    for (size_t i = 0; i < count; i++) values[i] = normal[random_bits(random) % TABLE];
}

problem problem_new(const int64_t sizes[6], int threads)
{
    static const int random_tensors[] = {Q, K1, V1, K2, V2, DY};
    problem p = problem_describe(sizes, threads);
    uint64_t random = 1;
    for (int i = 0; i < TENSORS; i++) p.t[i].data = allocate(tensor_bytes(&p.t[i]), 1);
    for (int i = 0; i < 6; i++) fill_normal(&p.t[random_tensors[i]], &random);
    const size_t *bytes = p.workspace_bytes;
    p.workspace = allocate(bytes[0] > bytes[1] ? bytes[0] : bytes[1], 1);
    return p;
}

void problem_free(problem *p)
{
    for (int i = 0; i < TENSORS; i++) free(p->t[i].data);
    free(p->workspace);
}

void problem_forward(const problem *p)
{
    const floyd_forward_args args = forward_args(p);
    must(floyd_forward(&args, &p->options, p->workspace, p->workspace_bytes[0]));
}

void problem_backward(const problem *p)
{
    const floyd_backward_args args = backward_args(p);
    must(floyd_backward(&args, &p->options, p->workspace, p->workspace_bytes[1]));
}
