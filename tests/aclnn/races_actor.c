/* SPDX-License-Identifier: Apache-2.0 */
/* An actor: its memory, its streams, the thread that reports to it, and the ends that a round may come to. */
#define _GNU_SOURCE
#include "races.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Data --------------------------------------------------------------------------------------- */

enum { SHARED = 1 << T_K1 | 1 << T_V1 | 1 << T_K2 | 1 << T_V2 | 1 << T_MASK };
static call template;
static unsigned char *read_only[ROLES];

uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint64_t fold(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (; bytes >= 8; at += 8, bytes -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x100000001B3u;
        hash ^= hash >> 29;
    }
    for (; bytes > 0; at++, bytes--) hash = (hash ^ *at) * 0x100000001B3u;
    return hash;
}

_Noreturn void races_die(const char *file, int line, const char *what, int status)
{
    const char *message = aclGetRecentErrMsg();
    fprintf(stderr, "%s:%d: %s: status %d: %s\n", file, line, what, status,
            message != NULL ? message : "no message");
    _exit(1);
}

static bool has(int role)
{
    return template.p.t[role].block != NULL;
}

void races_prepare(void)
{
    spec s = smallest();
    place *at = watchdog_place("data", 0);
    MUST(at, aclrtSetDevice(0));
    call_open(&template, &GRADIENT, &s);
    for (int r = 0; r < ROLES; r++) {
        if (!has(r) || !(SHARED & 1 << r)) continue;
        const size_t bytes = template.p.t[r].bytes;
        MUST(at, aclrtMalloc((void **)&read_only[r], bytes, ACL_MEM_MALLOC_HUGE_FIRST));
        MUST(at, aclrtMemcpy(read_only[r], bytes, template.p.t[r].block, bytes, ACL_MEMCPY_HOST_TO_DEVICE));
    }
    MUST(at, aclrtResetDevice(0));
    atomic_store(&at->what, NULL);
}

void races_clean_up(void)
{
    for (int r = 0; r < ROLES; r++)
        if (read_only[r] != NULL) TRUE(aclrtFree(read_only[r]) == ACL_SUCCESS);
    call_close(&template);
}

/* ---- Cells -------------------------------------------------------------------------------------- */

static void describe(call *c, const operator_case *op, unsigned char *const *memory)
{
    *c = template;
    c->op = op;
    c->size_out = &c->workspace_bytes;
    c->executor_out = &c->executor;
    c->workspace = NULL;
    for (int i = 0; i < op->count; i++) {
        call_describe(c, i);
        c->operands[i].data = memory[op->roles[i]];
        c->operands[i].offset = 0;
    }
}

static void cell_open(actor *a, int index)
{
    cell *c = &a->cells[index];
    *c = (cell){.last = -1, .order = 1};
    for (int r = 0; r < ROLES; r++) {
        c->memory[r] = read_only[r];
        if (!has(r) || read_only[r] != NULL) continue;
        const tensor *t = &template.p.t[r];
        MUST(a->at, aclrtMalloc((void **)&c->memory[r], t->bytes, ACL_MEM_MALLOC_HUGE_FIRST));
        /* Of its own in every cell: what the template has, turned round. */
        const size_t turn = (size_t)(a->index * MOST_CELLS + index) * 64 % t->bytes;
        memcpy(c->memory[r], t->block + turn, t->bytes - turn);
        memcpy(c->memory[r] + t->bytes - turn, t->block, turn);
    }
    MUST(a->at, aclrtMallocHost((void **)&c->pinned, template.p.t[T_Q].bytes));
    memset(c->pinned, 0, template.p.t[T_Q].bytes);
    MUST(a->at, aclrtCreateEvent(&c->event));
    describe(&c->forward, &FORWARD, c->memory);
    describe(&c->gradient, &GRADIENT, c->memory);
}

static void cell_close(actor *a, int index)
{
    cell *c = &a->cells[index];
    uint64_t *hashes = a->outcome.cell[index];
    for (int r = 0; r < ROLES; r++) {
        if (c->memory[r] == NULL || read_only[r] != NULL) continue;
        hashes[r] = fold(1, c->memory[r], template.p.t[r].bytes);
        MUST(a->at, aclrtFree(c->memory[r]));
    }
    hashes[ROLES] = c->order;
    MUST(a->at, aclrtFreeHost(c->pinned));
    MUST(a->at, aclrtDestroyEvent(c->event));
    free(c->forward.workspace);
    free(c->gradient.workspace);
}

void cell_record(actor *a, cell *c)
{
    const lane *l = &a->lanes[c->last];
    MUST(a->at, aclrtSetCurrentContext(l->context));
    MUST(a->at, aclrtRecordEvent(c->event, l->stream));
}

/* ---- Lanes -------------------------------------------------------------------------------------- */

static void no_op(void *unused)
{
    (void)unused;
}

void lane_drain(actor *a, const lane *l)
{
    if (!l->subscribed) return;
    MUST(a->at, aclrtSetCurrentContext(l->context));
    MUST(a->at, aclrtLaunchCallback(no_op, NULL, ACL_CALLBACK_BLOCK, l->stream));
}

/* Alone, all lanes are one stream. */
void lane_open(actor *a, int index)
{
    lane *l = &a->lanes[index];
    l->context = index % 2 == 0 || a->alone ? a->shared : a->own;
    l->subscribed = index % 3 == 0;
    if (a->alone && index > 0) {
        l->stream = a->lanes[0].stream;
        return;
    }
    MUST(a->at, aclrtSetCurrentContext(l->context));
    MUST(a->at, aclrtCreateStream(&l->stream));
    if (l->subscribed) MUST(a->at, aclrtSubscribeReport((uint64_t)a->reporter, l->stream));
}

void lane_close(actor *a, int index)
{
    const lane *l = &a->lanes[index];
    if (a->alone && index > 0) return;
    lane_drain(a, l);
    MUST(a->at, aclrtSetCurrentContext(l->context));
    MUST(a->at, aclrtDestroyStream(l->stream));
    for (int i = 0; i < a->how->cells; i++)
        if (a->cells[i].last == index) a->cells[i].last = -1;
}

void lane_take(actor *a, int index, cell *c)
{
    const lane *l = &a->lanes[index];
    const bool follows = c->last >= 0 && c->last != index;
    if (follows) cell_record(a, c);
    MUST(a->at, aclrtSetCurrentContext(l->context));
    if (follows) MUST(a->at, aclrtStreamWaitEvent(l->stream, c->event));
    c->last = index;
}

/* ---- The thread that reports ---------------------------------------------------------------------- */

static void *report(void *user)
{
    actor *a = user;
    while (!atomic_load(&a->reporter_stops)) {
        WATCH(a->reporter_at, "aclrtProcessReport");
        const aclError status = aclrtProcessReport(5);
        const bool subscribed = status != ACL_ERROR_RT_THREAD_SUBSCRIBE;
        TRUE(!subscribed || status == ACL_SUCCESS || status == ACL_ERROR_RT_REPORT_TIMEOUT);
        if (!subscribed) usleep(1000);
    }
    atomic_store(&a->reporter_at->what, NULL);
    return NULL;
}

static void start_reporter(actor *a)
{
    atomic_store(&a->reporter_stops, false);
    TRUE(pthread_create(&a->reporter, NULL, report, a) == 0);
}

static void stop_reporter(actor *a)
{
    atomic_store(&a->reporter_stops, true);
    TRUE(pthread_join(a->reporter, NULL) == 0);
}

/* ---- A round -------------------------------------------------------------------------------------- */

static void meet(actor *a)
{
    WATCH(a->at, "the others");
    if (!a->alone) (void)pthread_barrier_wait(a->together);
}

static void begin(actor *a)
{
    MUST(a->at, aclrtSetDevice(0));
    MUST(a->at, aclrtGetCurrentContext(&a->shared));
    MUST(a->at, aclrtCreateContext(&a->own, 0));
    start_reporter(a);
    for (int i = 0; i < a->how->streams; i++) lane_open(a, i);
    for (int i = 0; i < a->how->cells; i++) cell_open(a, i);
}

static void wait_for_lanes(actor *a)
{
    for (int i = 0; i < a->how->streams; i++) {
        const lane *l = &a->lanes[i];
        lane_drain(a, l);
        MUST(a->at, aclrtSetCurrentContext(l->context));
        if (i % 3 == 1) MUST(a->at, aclrtSynchronizeStreamWithTimeout(l->stream, 600000));
        if (i % 3 == 0) MUST(a->at, aclrtSynchronizeStream(l->stream));
    }
    MUST(a->at, aclrtSynchronizeDevice());
}

/* The own context goes with its streams and their work; the device's with the last use of it, or by force. */
static void end_contexts(actor *a)
{
    for (int i = 0; i < a->how->streams; i++) lane_drain(a, &a->lanes[i]);
    if (a->ending == BY_FORCE) {
        meet(a);
        if (a->index == 0) MUST(a->at, aclrtResetDeviceForce(0));
    }
    MUST(a->at, aclrtDestroyContext(a->own));
    if (a->ending == BY_CONTEXTS) MUST(a->at, aclrtResetDevice(0));
    meet(a); /* the device's context has gone, by the last of us or the first */
    TRUE(aclrtSetCurrentContext(a->shared) == ACL_ERROR_RT_INVALID_HANDLE);
    TRUE(aclrtSynchronizeStream(a->lanes[0].stream) == ACL_ERROR_RT_CONTEXT_NULL);
    (void)aclGetRecentErrMsg();
    meet(a); /* before anyone sets the device anew */
    MUST(a->at, aclrtSetDevice(0));
}

static void end(actor *a)
{
    const bool by_context = !a->alone && (a->ending == BY_CONTEXTS || a->ending == BY_FORCE);
    if (a->ending == BY_WAITING || a->alone) wait_for_lanes(a);
    if (by_context)
        end_contexts(a);
    else
        for (int i = 0; i < a->how->streams; i++) lane_close(a, i);
    TRUE(atomic_load(&a->calls_made) == atomic_load(&a->calls_wanted));
    for (int i = 0; i < a->how->cells; i++) {
        MUST(a->at, aclrtSetDevice(0)); /* counted twice, as of two libraries in one program */
        cell_close(a, i);
        MUST(a->at, aclrtResetDevice(0));
    }
    if (!by_context) MUST(a->at, aclrtDestroyContext(a->own));
    stop_reporter(a);
    MUST(a->at, aclrtResetDevice(0));
    a->outcome.read = a->read;
}

void *actor_main(void *user)
{
    actor *a = user;
    const load *how = a->how;
    a->random = how->seed * 1000003 + (uint64_t)a->index;
    a->read = 1;
    memset(&a->outcome, 0, sizeof a->outcome);
    begin(a);
    for (int step = 0; step < how->streams * how->works; step++) {
        const int index = (int)(next_random(&a->random) % (uint64_t)how->streams);
        cell *c = &a->cells[next_random(&a->random) % (uint64_t)how->cells];
        atomic_store(&a->at->step, step);
        actor_step(a, index, c);
    }
    end(a);
    atomic_store(&a->at->what, NULL);
    return NULL;
}
