/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that a program is made of. Where a step draws at random it does so whether or not it is alone. */
#define _GNU_SOURCE
#include "races.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 2048 };

static size_t draw(actor *a, size_t below)
{
    return (size_t)(next_random(&a->random) % below);
}

static size_t bytes_of(const cell *c, int role)
{
    return c->gradient.p.t[role].bytes;
}

/* ---- Operators and copies ------------------------------------------------------------------------ */

static void launch(actor *a, const lane *l, call *c, bool twice)
{
    MUST(a->at, call_phase_one(c));
    if (twice) MUST(a->at, aclSetAclOpExecutorRepeatable(c->executor));
    MUST(a->at, call_phase_two(c, l->stream));
    if (!twice) return;
    MUST(a->at, call_phase_two(c, l->stream));
    MUST(a->at, aclDestroyAclOpExecutor(c->executor));
}

static void forward(actor *a, const lane *l, cell *c)
{
    launch(a, l, &c->forward, draw(a, 8) == 0);
}

static void gradient(actor *a, const lane *l, cell *c)
{
    launch(a, l, &c->gradient, false);
}

/* What an operator made becomes what the next one takes. */
static void copy_within(actor *a, const lane *l, cell *c)
{
    static const struct {
        int to, from;
    } pairs[] = {{T_Q, T_Y}, {T_DY, T_Y}, {T_DY, T_DQ}, {T_Q, T_DQ}};
    const size_t i = draw(a, sizeof pairs / sizeof *pairs), at = draw(a, bytes_of(c, T_Q) / PIECE) * PIECE;
    MUST(a->at, aclrtMemcpyAsync(c->memory[pairs[i].to] + at, PIECE, c->memory[pairs[i].from] + at, PIECE,
                                 ACL_MEMCPY_DEVICE_TO_DEVICE, l->stream));
}

/* From one cell into another: the lane takes both. */
static void copy_across(actor *a, const lane *l, cell *c)
{
    cell *other = &a->cells[draw(a, (size_t)a->how->cells)];
    const size_t at = draw(a, bytes_of(c, T_Q) / PIECE) * PIECE;
    lane_take(a, (int)(l - a->lanes), other);
    MUST(a->at, aclrtMemcpyAsync(c->memory[T_DY] + at, PIECE, other->memory[T_Y] + at, PIECE, ACL_MEMCPY_DEFAULT,
                                 l->stream));
}

/* Halves between 1 and 2, or their negatives. The source is gone when the copy runs. */
static void put(actor *a, const lane *l, cell *c)
{
    uint16_t halves[PIECE / 2];
    for (size_t i = 0; i < PIECE / 2; i++) halves[i] = (uint16_t)(0x3C00 | (next_random(&a->random) & 0x83FF));
    const int to = draw(a, 2) == 0 ? T_Q : T_DY;
    const size_t at = draw(a, bytes_of(c, to) / PIECE) * PIECE;
    const aclrtMemcpyKind kind = draw(a, 2) == 0 ? ACL_MEMCPY_HOST_TO_DEVICE : ACL_MEMCPY_HOST_TO_BUF_TO_DEVICE;
    MUST(a->at, aclrtMemcpyAsync(c->memory[to] + at, PIECE, halves, PIECE, kind, l->stream));
    memset(halves, 0xFF, sizeof halves);
}

static void through_pinned(actor *a, const lane *l, cell *c)
{
    const size_t bytes = bytes_of(c, T_Q);
    MUST(a->at, aclrtMemcpyAsync(c->pinned, bytes, c->memory[T_Y], bytes, ACL_MEMCPY_DEVICE_TO_HOST, l->stream));
    MUST(a->at, aclrtMemcpyAsync(c->memory[T_Q], bytes, c->pinned, bytes, ACL_MEMCPY_HOST_TO_DEVICE, l->stream));
}

/* The copy waits, since a stack is no memory of the device's: what was read is every earlier work's. */
static void take(actor *a, const lane *l, cell *c)
{
    unsigned char piece[PIECE];
    static const int outputs[] = {T_Y, T_MAX, T_SUM, T_DQ, T_DK1, T_DV1, T_DK2, T_DV2};
    const int from = outputs[draw(a, sizeof outputs / sizeof *outputs)];
    const size_t at = draw(a, bytes_of(c, from) / PIECE) * PIECE;
    MUST(a->at, aclrtMemcpyAsync(piece, PIECE, c->memory[from] + at, PIECE, ACL_MEMCPY_DEVICE_TO_HOST, l->stream));
    a->read = fold(a->read, piece, PIECE);
}

static void set(actor *a, const lane *l, cell *c)
{
    static const int32_t bytes[] = {0x38, 0x3C, 0xBC, 0};
    const size_t at = draw(a, bytes_of(c, T_DY) / PIECE) * PIECE;
    MUST(a->at, aclrtMemsetAsync(c->memory[T_DY] + at, PIECE, bytes[draw(a, 4)], PIECE, l->stream));
}

/* ---- Functions of the host ------------------------------------------------------------------------ */

typedef struct note {
    actor *a;
    cell *c;
    aclrtStream stream;
    aclrtContext context; /* which is current there; NULL: whatever is */
    uint64_t tag;
} note;

static note *note_of(actor *a, const lane *l, cell *c)
{
    note *n = malloc(sizeof *n);
    TRUE(n != NULL);
    *n = (note){a, c, l->stream, l->context, next_random(&a->random)};
    return n;
}

static void in_turn(void *user)
{
    note *n = user;
    n->c->order = fold(n->c->order, &n->tag, sizeof n->tag);
    free(n);
}

static void count(void *user)
{
    atomic_fetch_add(&((actor *)user)->calls_made, 1);
}

/* What the stream may say when it is being destroyed under the function. */
static bool accepted(aclError status)
{
    TRUE(status == ACL_SUCCESS || status == ACL_ERROR_RT_INVALID_HANDLE || status == ACL_ERROR_RT_CONTEXT_NULL);
    return status == ACL_SUCCESS;
}

/* Calls back into the runtime: what only enqueues is taken, what waits is refused, and neither hangs. */
static void call_back(void *user)
{
    note *n = user;
    actor *a = n->a;
    aclrtContext context;
    aclrtEvent event;
    void *memory;
    aclrtStreamStatus status;
    if (accepted(aclrtGetCurrentContext(&context))) {
        TRUE(context == n->context);
        TRUE(aclrtSynchronizeStream(n->stream) == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
        TRUE(aclrtSynchronizeDevice() == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
        TRUE(aclrtDestroyStream(n->stream) == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
        TRUE(aclrtDestroyContext(context) == ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
        (void)accepted(aclrtStreamQuery(n->stream, &status));
        if (accepted(aclrtMalloc(&memory, 100, ACL_MEM_MALLOC_HUGE_FIRST))) TRUE(aclrtFree(memory) == ACL_SUCCESS);
        if (accepted(aclrtCreateEvent(&event))) {
            if (accepted(aclrtRecordEvent(event, n->stream)))
                (void)accepted(aclrtStreamWaitEvent(n->stream, event));
            TRUE(aclrtDestroyEvent(event) == ACL_SUCCESS);
        }
        if (accepted(aclrtLaunchHostFunc(n->stream, count, a))) atomic_fetch_add(&a->calls_wanted, 1);
    }
    (void)aclGetRecentErrMsg();
    in_turn(n);
}

static void host(actor *a, const lane *l, cell *c)
{
    MUST(a->at, aclrtLaunchHostFunc(l->stream, in_turn, note_of(a, l, c)));
}

static void host_calls_back(actor *a, const lane *l, cell *c)
{
    MUST(a->at, aclrtLaunchHostFunc(l->stream, call_back, note_of(a, l, c)));
}

static void reported(actor *a, const lane *l, cell *c)
{
    note *n = note_of(a, l, c);
    if (l->subscribed)
        MUST(a->at, aclrtLaunchCallback(in_turn, n, ACL_CALLBACK_BLOCK, l->stream));
    else
        MUST(a->at, aclrtLaunchHostFunc(l->stream, in_turn, n));
}

static void reported_freely(actor *a, const lane *l, cell *c)
{
    (void)c;
    if (!l->subscribed) return;
    atomic_fetch_add(&a->calls_wanted, 1);
    MUST(a->at, aclrtLaunchCallback(count, a, ACL_CALLBACK_NO_BLOCK, l->stream));
}

/* ---- What changes no result ------------------------------------------------------------------------ */

static void look(actor *a, const lane *l, cell *c)
{
    aclrtStreamStatus stream;
    aclrtEventRecordedStatus event;
    float ms;
    cell_record(a, c);
    MUST(a->at, aclrtStreamQuery(l->stream, &stream));
    MUST(a->at, aclrtQueryEventStatus(c->event, &event));
    WATCH(a->at, "waits with a limit");
    const aclError sync = aclrtSynchronizeStreamWithTimeout(l->stream, (int32_t)draw(a, 3));
    TRUE(sync == ACL_SUCCESS || sync == ACL_ERROR_RT_STREAM_SYNC_TIMEOUT);
    const aclError wait = aclrtSynchronizeEventWithTimeout(c->event, (int32_t)draw(a, 3));
    TRUE(wait == ACL_SUCCESS || wait == ACL_ERROR_RT_EVENT_SYNC_TIMEOUT);
    const aclError elapsed = aclrtEventElapsedTime(&ms, c->event, c->event);
    TRUE(elapsed == ACL_SUCCESS ? ms == 0 : elapsed == ACL_ERROR_RT_EVENT_NOT_COMPLETE);
    TRUE(wait != ACL_SUCCESS || elapsed == ACL_SUCCESS);
    (void)aclGetRecentErrMsg();
    if (draw(a, 4) == 0) MUST(a->at, aclrtSynchronizeEvent(c->event));
}

/* Another event, while streams wait for the old one. */
static void renew_event(actor *a, const lane *l, cell *c)
{
    (void)l;
    cell_record(a, c);
    MUST(a->at, aclrtDestroyEvent(c->event));
    MUST(a->at, aclrtCreateEventExWithFlag(&c->event, ACL_EVENT_SYNC | ACL_EVENT_TIME_LINE));
}

/* The stream ends with work on it, and another takes its place. */
static void renew_stream(actor *a, const lane *l, cell *c)
{
    const int index = (int)(l - a->lanes);
    (void)c;
    if (a->alone) return;
    lane_close(a, index);
    lane_open(a, index);
}

/* aclInit and aclFinalize leave streams, memory and their work as they are; so does a device that others use, too.
 */
static void begin_and_end(actor *a, const lane *l, cell *c)
{
    (void)l;
    (void)c;
    uint64_t left;
    MUST(a->at, aclrtSetDevice(0));
    const aclError init = aclInit(NULL), finalize = draw(a, 2) == 0 ? aclFinalize() : aclFinalizeReference(&left);
    TRUE(init == ACL_SUCCESS || init == ACL_ERROR_REPEAT_INITIALIZE);
    TRUE(finalize == ACL_SUCCESS || finalize == ACL_ERROR_REPEAT_FINALIZE);
    (void)aclGetRecentErrMsg();
    MUST(a->at, aclrtResetDevice(0));
}

static void make_and_leave(actor *a, const lane *l, cell *c)
{
    (void)l;
    MUST(a->at, call_phase_one(&c->forward));
    MUST(a->at, aclDestroyAclOpExecutor(c->forward.executor));
}

/* ---- A step ----------------------------------------------------------------------------------------- */

/* How often each comes, relative to the others. */
static const struct {
    int share;
    const char *name;
    void (*run)(actor *a, const lane *l, cell *c);
} kinds[] = {
    {38, "forward", forward},
    {24, "gradient", gradient},
    {16, "copy_within", copy_within},
    {16, "copy_across", copy_across},
    {8, "put", put},
    {4, "through_pinned", through_pinned},
    {4, "take", take},
    {8, "set", set},
    {16, "host", host},
    {16, "host_calls_back", host_calls_back},
    {8, "reported", reported},
    {8, "reported_freely", reported_freely},
    {8, "look", look},
    {4, "renew_event", renew_event},
    {2, "renew_stream", renew_stream},
    {2, "begin_and_end", begin_and_end},
    {4, "make_and_leave", make_and_leave},
};

static size_t draw_kind(actor *a)
{
    int all = 0;
    size_t kind = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) all += kinds[i].share;
    for (int left = (int)draw(a, (size_t)all); left >= kinds[kind].share; kind++) left -= kinds[kind].share;
    return kind;
}

void actor_step(actor *a, int index, cell *c)
{
    const lane *l = &a->lanes[index];
    const size_t kind = draw_kind(a);
    lane_take(a, index, c);
    WATCH(a->at, kinds[kind].name);
    kinds[kind].run(a, l, c);
    if (a->alone) MUST(a->at, aclrtSynchronizeStream(l->stream));
}
