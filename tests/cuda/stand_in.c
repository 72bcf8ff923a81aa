/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public calls of libfloydattn, answered by libfloydattn_cuda, so that the CPU's tests test the GPU. Tensors
 * are copied to the device and back with the bytes between their elements. What the GPU does not support (F64, D >
 * 128, more done to scores than scale, mask and softmax) goes on to the CPU library, whose definitions these ones
 * hide.
 *
 * Regions: ranges of host memory that tensors and the workspace cover, merged where they share bytes. Each has a
 * copy on the device at the same offset modulo ALIGN, between guards. So tensors overlap, and are aligned, on the
 * device just as they are on the host.
 */
#define _GNU_SOURCE
#include "stand_in.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cuda_runtime_api.h>

#include "floydattn_cuda.h"

enum { TENSORS = 15, FORWARD_TENSORS = 9, FIRST_GRADIENT = 10, RANGES = TENSORS + 1, LARGEST_D = 128 };
enum { ALIGN = 256, GUARD = 4096, GUARD_BYTE = 0xA7, UNREAD = 0x3B };

typedef struct region {
    uintptr_t first, end; /* on the host */
    bool written;         /* an output or the workspace lies in it */
    bool shared;          /* what is written shares bytes with something else */
    char *block;          /* on the device: a guard, the bytes, a guard */
    unsigned char *image; /* of the block as it was copied there */
    size_t bytes;         /* of the block */
    size_t before;        /* of the first guard */
} region;

/* One call of either operation. */
typedef struct invocation {
    bool backward;
    floyd_forward_args forward_args;
    floyd_backward_args backward_args;
    floyd_tensor tensors[TENSORS];
    bool given[TENSORS];
    const floyd_cuda_options *options;
    void *workspace;
    size_t workspace_bytes;
    region regions[RANGES];
    int count;
} invocation;

static long on_device, on_cpu;
static _Thread_local const char *(*last_speaker)(void);

static void broken(const char *what)
{
    fflush(stdout);
    fprintf(stderr, "stand-in: %s\n", what);
    abort();
}

static void need(cudaError_t error, const char *what)
{
    if (error == cudaSuccess) return;
    fprintf(stderr, "stand-in: %s\n", cudaGetErrorString(error));
    broken(what);
}

/* The definition of libfloydattn. */
static void find_hidden(const char *name, void *function)
{
    void *const found = dlsym(RTLD_NEXT, name);
    if (!found) broken(name);
    memcpy(function, &found, sizeof found);
}

long stand_in_calls(bool device)
{
    return __atomic_load_n(device ? &on_device : &on_cpu, __ATOMIC_RELAXED);
}

static floyd_status from_cuda(floyd_status status)
{
    if (status != FLOYD_OK) last_speaker = floyd_cuda_last_message;
    return status;
}

static floyd_status from_cpu(floyd_status status)
{
    if (status != FLOYD_OK) find_hidden("floyd_last_message", &last_speaker);
    return status;
}

const char *floyd_last_message(void)
{
    return last_speaker ? last_speaker() : "";
}

/* ---- Regions --------------------------------------------------------------------------------------- */

static bool extent_of(const floyd_tensor *t, uintptr_t *first, uintptr_t *end)
{
    const int64_t width = (int64_t)floyd_dtype_size(t->dtype);
    int64_t low = 0, high = 0;
    for (int a = 0; a < 5; a++) {
        if (t->size[a] == 0) return false;
        const int64_t reach = t->size[a] == 1 ? 0 : (t->size[a] - 1) * t->stride[a];
        *(reach < 0 ? &low : &high) += reach;
    }
    *first = (uintptr_t)t->data + (uintptr_t)(low * width);
    *end = (uintptr_t)t->data + (uintptr_t)((high + 1) * width);
    return t->data != NULL;
}

/* Takes in a range; those that it touches become one with it. */
static void add_range(invocation *c, uintptr_t first, uintptr_t end, bool written)
{
    region all = {.first = first, .end = end, .written = written};
    int kept = 0;
    for (int i = 0; i < c->count; i++) {
        const region r = c->regions[i];
        if (r.end <= all.first || all.end <= r.first) {
            c->regions[kept++] = r;
            continue;
        }
        all.first = r.first < all.first ? r.first : all.first;
        all.end = r.end > all.end ? r.end : all.end;
        all.shared |= r.shared || r.written || all.written;
        all.written |= r.written;
    }
    c->regions[kept] = all;
    c->count = kept + 1;
}

static bool is_output(const invocation *c, int role)
{
    return c->backward ? role >= FIRST_GRADIENT : role >= 6;
}

static void find_regions(invocation *c)
{
    for (int r = 0; r < TENSORS; r++) {
        uintptr_t first, end;
        if (c->given[r] && extent_of(&c->tensors[r], &first, &end)) add_range(c, first, end, is_output(c, r));
    }
    const uintptr_t workspace = (uintptr_t)c->workspace;
    if (c->workspace && c->workspace_bytes) add_range(c, workspace, workspace + c->workspace_bytes, true);
}

/* Bytes are not read from the host where that may be none of the caller's. */
static void upload(region *r, bool read)
{
    const size_t size = r->end - r->first;
    r->bytes = size + 2 * GUARD + ALIGN;
    need(cudaMalloc((void **)&r->block, r->bytes), "cudaMalloc");
    r->before = GUARD + (r->first - (uintptr_t)r->block - GUARD) % ALIGN;
    r->image = malloc(r->bytes);
    if (!r->image) broken("no memory");
    memset(r->image, GUARD_BYTE, r->bytes);
    if (read)
        memcpy(r->image + r->before, (const void *)r->first, size);
    else
        memset(r->image + r->before, UNREAD, size);
    need(cudaMemcpy(r->block, r->image, r->bytes, cudaMemcpyHostToDevice), "copy to the device");
}

static void expect_unchanged(const region *r, const unsigned char *now, size_t first, size_t end, const char *what)
{
    if (memcmp(r->image + first, now + first, end - first) != 0) broken(what);
}

/* Only what may be written has changed. */
static void download(region *r, bool write)
{
    const size_t size = r->end - r->first;
    unsigned char *now = malloc(r->bytes);
    if (!now) broken("no memory");
    need(cudaMemcpy(now, r->block, r->bytes, cudaMemcpyDeviceToHost), "copy from the device");
    expect_unchanged(r, now, 0, r->before, "bytes before a tensor or the workspace were written");
    expect_unchanged(r, now, r->before + size, r->bytes, "bytes after a tensor or the workspace were written");
    if (r->written && write)
        memcpy((void *)r->first, now + r->before, size);
    else
        expect_unchanged(r, now, r->before, r->before + size, "an input, or what was refused, was written");
    need(cudaFree(r->block), "cudaFree");
    free(r->image);
    free(now);
}

static void *device_address(const invocation *c, void *host)
{
    for (int i = 0; i < c->count; i++) {
        const region *r = &c->regions[i];
        const uintptr_t at = (uintptr_t)host;
        if (at >= r->first && at < r->end) return r->block + r->before + (at - r->first);
    }
    return host; /* NULL, or nothing lies there */
}

/* ---- Calls ------------------------------------------------------------------------------------------ */

static const floyd_tensor **slot(invocation *c, int role)
{
    floyd_forward_args *f = &c->forward_args;
    floyd_backward_args *b = &c->backward_args;
    const floyd_tensor **forward[] = {&f->q, &f->k1, &f->v1, &f->k2, &f->v2, &f->mask, &f->y, &f->max, &f->sum};
    const floyd_tensor **backward[] = {&b->q,   &b->k1, &b->v1, &b->k2,  &b->v2,  &b->mask, &b->y,  &b->max,
                                       &b->sum, &b->dy, &b->dq, &b->dk1, &b->dv1, &b->dk2,  &b->dv2};
    return c->backward ? backward[role] : forward[role];
}

static void take_tensors(invocation *c)
{
    for (int r = 0; r < (c->backward ? TENSORS : FORWARD_TENSORS); r++) {
        const floyd_tensor **t = slot(c, r);
        c->given[r] = *t != NULL;
        if (!*t) continue;
        c->tensors[r] = **t;
        *t = &c->tensors[r];
    }
}

static floyd_status enqueue(invocation *c)
{
    floyd_tensor on_host[TENSORS];
    memcpy(on_host, c->tensors, sizeof on_host);
    for (int r = 0; r < TENSORS; r++)
        if (c->given[r]) c->tensors[r].data = device_address(c, c->tensors[r].data);
    void *const workspace = device_address(c, c->workspace);
    const floyd_status status =
        c->backward ? floyd_cuda_backward(&c->backward_args, c->options, workspace, c->workspace_bytes)
                    : floyd_cuda_forward(&c->forward_args, c->options, workspace, c->workspace_bytes);
    need(cudaDeviceSynchronize(), "a kernel failed");
    memcpy(c->tensors, on_host, sizeof on_host);
    return status;
}

static bool any_shared(const invocation *c)
{
    for (int i = 0; i < c->count; i++)
        if (c->regions[i].shared) return true;
    return false;
}

/* Where outputs overlap others the call must be refused, and not all of the memory may be the caller's. */
static floyd_status run(invocation *c)
{
    take_tensors(c);
    find_regions(c);
    const bool shared = any_shared(c);
    for (int i = 0; i < c->count; i++) upload(&c->regions[i], !shared);
    const floyd_status status = enqueue(c);
    if (shared && status == FLOYD_OK) broken("tensors that share bytes were accepted");
    for (int i = 0; i < c->count; i++) download(&c->regions[i], status == FLOYD_OK);
    return status;
}

/* A size that is not that of floyd_options goes on as one that is not that of floyd_cuda_options. */
static const floyd_cuda_options *options_of(const floyd_options *options, floyd_cuda_options *own)
{
    const floyd_cuda_options plain = FLOYD_CUDA_OPTIONS_INIT;
    *own = plain;
    if (!options) return NULL;
    if (options->struct_size != sizeof *options) own->struct_size = options->struct_size;
    return own;
}

/* Whether more is to be done to scores and weights than a GPU can. */
#define ASKS_MORE(args) ((args)->bias || (args)->softmax_cap != 0 || (args)->mask_fill != 0 || (args)->dropout != 0)

/* Whether the call is the CPU's. What the GPU calls unsupported must be what its header says it is. */
static bool for_cpu(floyd_status status, const floyd_tensor *q, bool asks_more)
{
    if (status != FLOYD_ERROR_UNSUPPORTED) return false;
    if (!asks_more && q->dtype != FLOYD_F64 && q->size[4] <= LARGEST_D) broken(floyd_cuda_last_message());
    return true;
}

static bool forward_for_cpu(floyd_status status, const floyd_forward_args *args)
{
    return args && for_cpu(status, args->q, ASKS_MORE(args));
}

static bool backward_for_cpu(floyd_status status, const floyd_backward_args *args)
{
    return args && for_cpu(status, args->q, args->dbias || ASKS_MORE(args));
}

static void count_call(long *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

floyd_status floyd_forward_workspace(const floyd_forward_args *args, const floyd_options *options, size_t *bytes)
{
    floyd_cuda_options own;
    floyd_status (*hidden)(const floyd_forward_args *, const floyd_options *, size_t *);
    const floyd_status status = floyd_cuda_forward_workspace(args, options_of(options, &own), bytes);
    if (!forward_for_cpu(status, args)) return from_cuda(status);
    find_hidden("floyd_forward_workspace", &hidden);
    return from_cpu(hidden(args, options, bytes));
}

floyd_status floyd_forward(const floyd_forward_args *args, const floyd_options *options, void *workspace,
                           size_t bytes)
{
    size_t needed;
    floyd_cuda_options own;
    floyd_status (*hidden)(const floyd_forward_args *, const floyd_options *, void *, size_t);
    invocation c = {.options = options_of(options, &own), .workspace = workspace, .workspace_bytes = bytes};
    const floyd_status status = floyd_cuda_forward_workspace(args, c.options, &needed);
    if (status != FLOYD_OK && !forward_for_cpu(status, args)) return from_cuda(status);
    if (status == FLOYD_OK) {
        c.forward_args = *args;
        count_call(&on_device);
        return from_cuda(run(&c));
    }
    count_call(&on_cpu);
    find_hidden("floyd_forward", &hidden);
    return from_cpu(hidden(args, options, workspace, bytes));
}

floyd_status floyd_backward_workspace(const floyd_backward_args *args, const floyd_options *options, size_t *bytes)
{
    floyd_cuda_options own;
    floyd_status (*hidden)(const floyd_backward_args *, const floyd_options *, size_t *);
    const floyd_status status = floyd_cuda_backward_workspace(args, options_of(options, &own), bytes);
    if (!backward_for_cpu(status, args)) return from_cuda(status);
    find_hidden("floyd_backward_workspace", &hidden);
    return from_cpu(hidden(args, options, bytes));
}

floyd_status floyd_backward(const floyd_backward_args *args, const floyd_options *options, void *workspace,
                            size_t bytes)
{
    size_t needed;
    floyd_cuda_options own;
    floyd_status (*hidden)(const floyd_backward_args *, const floyd_options *, void *, size_t);
    invocation c = {
        .backward = true, .options = options_of(options, &own), .workspace = workspace, .workspace_bytes = bytes};
    const floyd_status status = floyd_cuda_backward_workspace(args, c.options, &needed);
    if (status != FLOYD_OK && !backward_for_cpu(status, args)) return from_cuda(status);
    if (status == FLOYD_OK) {
        c.backward_args = *args;
        count_call(&on_device);
        return from_cuda(run(&c));
    }
    count_call(&on_cpu);
    find_hidden("floyd_backward", &hidden);
    return from_cpu(hidden(args, options, workspace, bytes));
}
