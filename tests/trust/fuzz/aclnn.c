/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor's surface as a program that has lost its way would call it: tensors, executors, streams, contexts and
 * events made, used, used again and destroyed in any order, with any descriptions. A small model says of each call
 * whether it may succeed. Most calls stop where the arithmetic would begin; one input in sixteen computes.
 */
#include "aclnn_calls.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TENSORS = 6, EXECUTORS = 4, STREAMS = 3, CONTEXTS = 2, EVENTS = 2, MOST_CALLS = 40 };

typedef struct made {
    aclTensor *tensor;
    bool in_memory; /* its elements lie where this program has memory for the argument */
} made;

typedef struct executor {
    aclOpExecutor *handle; /* of the last one in this place, dead ones included */
    bool alive, repeatable, gradient, in_memory;
    uint64_t bytes;
} executor;

typedef struct stream {
    aclrtStream handle;
    int context; /* that it was made in; -1: it is no more */
} stream;

static struct {
    made tensors[TENSORS];
    executor executors[EXECUTORS];
    stream streams[STREAMS];
    aclrtContext contexts[CONTEXTS]; /* [0] is the device's own */
    bool context_alive[CONTEXTS];
    int current;
    aclrtEvent events[EVENTS];
} now;

static const uint64_t WORKSPACE = 1 << 24;

/* One for each stream: what two streams may do at once must not be given the same. */
static char *workspace_of(const stream *s)
{
    static char *places[CONTEXTS + STREAMS];
    char **place = &places[s ? CONTEXTS + (s - now.streams) : now.current];
    if (!*place) *place = malloc(WORKSPACE);
    return *place;
}

/* A failure has a message; whatever it was, the next one starts without. */
static bool ok(int status)
{
    const char *message = aclGetRecentErrMsg();
    MUST((status == 0) == (message == NULL));
    return status == 0;
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */

static void change_tensor(input *in)
{
    made *t = &now.tensors[in_below(in, TENSORS)];
    description d = describe((argument)in_below(in, ARGUMENTS));
    bend(&d, in);
    if (t->tensor && in_byte(in) & 1) {
        if (ok(init_tensor(t->tensor, &d))) t->in_memory = in_memory(&d);
        return;
    }
    MUST(aclDestroyTensor(t->tensor) == 0);
    t->tensor = new_tensor(&d);
    t->in_memory = in_memory(&d);
    MUST((t->tensor != NULL) == (d.axes <= 25 && d.storage_axes <= 25 && (d.sizes || d.axes == 0)));
    ok(t->tensor ? 0 : 1);
}

static void destroy_tensor(input *in)
{
    made *t = &now.tensors[in_below(in, TENSORS)];
    if (in_byte(in) & 1) {
        const aclTensor *list[] = {t->tensor, NULL};
        const uint64_t count = in_byte(in) & 1 ? 2 : 1;
        uint64_t size = 0;
        aclTensorList *made_list = aclCreateTensorList(list, count);
        MUST(made_list && aclGetTensorListSize(made_list, &size) == 0 && size == count);
        MUST(aclDestroyTensorList(made_list) == 0);
    } else {
        MUST(aclDestroyTensor(t->tensor) == 0);
    }
    *t = (made){NULL, false};
}

static void look_at_tensor(input *in)
{
    const aclTensor *t = now.tensors[in_below(in, TENSORS)].tensor;
    int64_t *values[3] = {NULL, NULL, NULL}, offset;
    uint64_t counts[3];
    aclFormat format;
    aclDataType type;
    void *address;
    const bool there = t != NULL;
    MUST(ok(aclGetViewShape(t, &values[0], &counts[0])) == there);
    MUST(ok(aclGetStorageShape(t, &values[1], &counts[1])) == there);
    MUST(ok(aclGetViewStrides(t, &values[2], &counts[2])) == there);
    MUST(ok(aclGetViewOffset(t, &offset)) == there);
    MUST(ok(aclGetFormat(t, &format)) == there);
    MUST(ok(aclGetDataType(t, &type)) == there);
    MUST(ok(aclGetRawTensorAddr(t, &address)) == there);
    MUST(!ok(aclGetViewShape(t, NULL, NULL)) && !ok(aclGetViewOffset(t, NULL)) && !ok(aclGetDataType(t, NULL)));
    for (int i = 0; i < 3; i++) release_array(values[i]);
}

/* ---- phase one ----------------------------------------------------------------------------------------------- */

static void prepare(input *in, bool gradient)
{
    executor *e = &now.executors[in_below(in, EXECUTORS)];
    const aclTensor *tensors[ARGUMENTS];
    aclTensor *plain[ARGUMENTS];
    const uint64_t bent = in_word(in, 2);
    bool all_plain = true, all_in_memory = true;
    for (int a = 0; a < ARGUMENTS; a++) {
        const description d = describe((argument)a);
        tensors[a] = plain[a] = new_tensor(&d);
        if (!(bent >> a % 16 & 1) || !takes(gradient, (argument)a)) continue;
        const made *t = &now.tensors[in_below(in, TENSORS)];
        tensors[a] = t->tensor;
        all_plain &= a == A_MASK && t->tensor == NULL;
        all_in_memory &= t->tensor == NULL || t->in_memory;
    }
    aclOpExecutor *handle = NULL;
    uint64_t bytes = 0;
    const uint8_t places = in_byte(in);
    const bool placed = places < 0xf0;
    const bool good =
        ok(call_phase_one(gradient, tensors, placed || places & 1 ? &bytes : NULL, placed ? &handle : NULL));
    MUST(good == (handle != NULL) && (!all_plain || !placed || good));
    for (int a = 0; a < ARGUMENTS; a++) MUST(aclDestroyTensor(plain[a]) == 0);
    if (!good) return;
    if (e->alive) MUST(ok(aclDestroyAclOpExecutor(e->handle)));
    *e = (executor){
        .handle = handle, .alive = true, .gradient = gradient, .in_memory = all_in_memory, .bytes = bytes};
}

/* ---- phase two and executors --------------------------------------------------------------------------------- */

/* One of the executors there ever were, or something that never was one. */
static executor *choose(input *in, executor *stranger)
{
    const uint8_t choice = in_byte(in);
    *stranger = (executor){.handle = (aclOpExecutor *)(uintptr_t)(choice & 1 ? 0 : in_number(in))};
    executor *found = &now.executors[choice % EXECUTORS];
    for (int i = 0; i < EXECUTORS && choice >= 0xf0; i++)
        if (now.executors[i].alive && now.executors[i].handle == stranger->handle) return &now.executors[i];
    return choice < 0xf0 ? found : stranger;
}

static bool may_use(const stream *s)
{
    return now.current >= 0 && now.context_alive[now.current] && (!s || (s->context == now.current && s->handle));
}

static void launch(input *in)
{
    executor stranger, *e = choose(in, &stranger);
    const uint8_t how = in_byte(in), where = in_byte(in);
    const stream *s = where < 0x80 || !now.streams[where % STREAMS].handle ? NULL : &now.streams[where % STREAMS];
    const bool gradient = how & 1 ? !e->gradient : e->gradient;
    const bool none = (how & 0x0e) == 0x02;
    /* Tensors that only claim their memory get a workspace that is too small. */
    const bool small = (how & 0xf0) == 0xf0 || !e->in_memory || e->bytes > WORKSPACE - 64;
    const uint64_t bytes = small ? (e->bytes ? e->bytes - 1 : 0) : e->bytes;
    if (small && e->alive && e->bytes == 0) return;
    void *place = none ? NULL : workspace_of(s) + (how >> 4);
    const bool good = ok(call_phase_two(gradient, place, bytes, e->handle, s ? s->handle : NULL));
    if (good) MUST(e->alive && gradient == e->gradient && !small && (place || !bytes) && may_use(s));
    if (good && !e->repeatable) e->alive = false;
}

static void destroy_executor(input *in)
{
    executor stranger, *e = choose(in, &stranger);
    MUST(ok(aclDestroyAclOpExecutor(e->handle)) == e->alive);
    e->alive = false;
}

static void repeat_executor(input *in)
{
    executor stranger, *e = choose(in, &stranger);
    MUST(ok(aclSetAclOpExecutorRepeatable(e->handle)) == e->alive);
    e->repeatable = e->alive;
}

/* Moves a tensor to the same argument's memory, to none, or to somebody else's, which may be too little. */
static void move_tensor(input *in)
{
    executor stranger, *e = choose(in, &stranger);
    made *t = &now.tensors[in_below(in, TENSORS)];
    const uint8_t how = in_byte(in);
    const size_t index = (size_t)(how & 0x40 ? in_number(in) : in_byte(in) % 16);
    void *address = how & 4 ? NULL : memory_of((argument)in_below(in, ARGUMENTS));
    const int kind = how % 3;
    const bool good = ok(kind == 0   ? aclSetInputTensorAddr(e->handle, index, t->tensor, address)
                         : kind == 1 ? aclSetOutputTensorAddr(e->handle, index, t->tensor, address)
                                     : aclSetTensorAddr(e->handle, index, t->tensor, address));
    MUST(!good || (e->alive && t->tensor && index < 16));
    if (good && address) e->in_memory = t->in_memory = false;
}

/* ---- the runtime --------------------------------------------------------------------------------------------- */

static void change_stream(input *in)
{
    stream *s = &now.streams[in_below(in, STREAMS)];
    if (s->context >= 0) {
        /* Where it is not the current context's, the call is refused and it stays. */
        const bool mine = may_use(s), gone = ok(aclrtDestroyStream(s->handle));
        MUST(gone == mine);
        if (gone) s->context = -1;
    } else if (in_byte(in) & 1) {
        MUST(!ok(aclrtDestroyStream(s->handle))); /* again, or never made */
    } else if (ok(aclrtCreateStream(&s->handle))) {
        s->context = now.current;
    }
}

static void wait_for_stream(input *in)
{
    const uint8_t choice = in_byte(in);
    const stream *s = &now.streams[choice % STREAMS];
    if (choice & 0x80)
        ok(aclrtSynchronizeDevice());
    else if (choice & 0x40)
        ok(aclrtSynchronizeStreamWithTimeout(s->handle, (int32_t)in_number(in) % 20));
    else
        ok(aclrtSynchronizeStream(s->handle));
}

static void change_context(input *in)
{
    const uint8_t choice = in_byte(in);
    aclrtContext *other = &now.contexts[1];
    if (choice & 1) {
        const int wanted = choice >> 1 & 1;
        if (ok(aclrtSetCurrentContext(now.contexts[wanted]))) now.current = wanted;
    } else if (now.context_alive[1]) {
        MUST(ok(aclrtDestroyContext(*other)));
        now.context_alive[1] = false;
        for (int i = 0; i < STREAMS; i++)
            if (now.streams[i].context == 1) now.streams[i].context = -1;
    } else if (ok(aclrtCreateContext(other, choice & 4 ? 1 : 0))) {
        now.context_alive[1] = true;
        now.current = 1;
    }
}

static void use_event(input *in)
{
    const uint8_t choice = in_byte(in);
    aclrtEvent *e = &now.events[choice % EVENTS];
    const aclrtStream s = now.streams[in_below(in, STREAMS)].handle;
    aclrtEventRecordedStatus status;
    float ms;
    switch (choice >> 5) {
    case 0:
        if (*e) ok(aclrtDestroyEvent(*e));
        if (!ok(aclrtCreateEventWithFlag(e, (uint32_t)in_byte(in)))) *e = NULL;
        break;
    case 1:
        ok(aclrtRecordEvent(*e, s));
        break;
    case 2:
        ok(aclrtStreamWaitEvent(s, *e));
        break;
    case 3:
        ok(aclrtQueryEventStatus(*e, &status));
        break;
    case 4:
        ok(aclrtResetEvent(*e, s));
        break;
    case 5:
        ok(aclrtEventElapsedTime(&ms, now.events[0], now.events[1]));
        break;
    default:
        ok(aclrtSynchronizeEvent(*e));
    }
}

/* The configuration's reader, on whatever is left of the input. */
static void initialise(input *in)
{
    char path[64];
    const int file = memfd_create("configuration", MFD_CLOEXEC);
    const size_t bytes = (size_t)(in->end - in->at);
    MUST(file >= 0 && write(file, in->at, bytes) == (ssize_t)bytes);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (ok(aclInit(path))) MUST(ok(aclFinalize()));
    close(file);
    in->at = in->end;
}

/* ---- all of it ----------------------------------------------------------------------------------------------- */

static void start(void)
{
    memset(&now, 0, sizeof now);
    for (int i = 0; i < STREAMS; i++) now.streams[i].context = -1;
    MUST(ok(aclrtSetDevice(0)) && ok(aclrtGetCurrentContext(&now.contexts[0])));
    now.context_alive[0] = true;
}

/* Everything goes again, so that a leak is seen where it is made. */
static void stop(void)
{
    ok(aclrtSetCurrentContext(now.contexts[0]));
    if (now.context_alive[1]) MUST(ok(aclrtDestroyContext(now.contexts[1])));
    for (int i = 0; i < EVENTS; i++)
        if (now.events[i]) MUST(ok(aclrtDestroyEvent(now.events[i])));
    MUST(ok(aclrtResetDeviceForce(0)));
    for (int i = 0; i < EXECUTORS; i++)
        if (now.executors[i].alive) MUST(ok(aclDestroyAclOpExecutor(now.executors[i].handle)));
    for (int i = 0; i < TENSORS; i++) MUST(aclDestroyTensor(now.tensors[i].tensor) == 0);
}

static void one_call(input *in)
{
    static void (*const calls[])(input *) = {launch,           change_tensor,   destroy_tensor, look_at_tensor,
                                             destroy_executor, repeat_executor, move_tensor,    change_stream,
                                             wait_for_stream,  change_context,  use_event};
    enum { CALLS = sizeof calls / sizeof *calls };
    const uint8_t which = in_byte(in);
    if (which == 0xff)
        initialise(in);
    else if (which % 16 < CALLS)
        calls[which % 16](in);
    else
        prepare(in, which & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, data + size};
    computing = in_byte(&in) >= 0xf0;
    start();
    for (int i = 0; i < MOST_CALLS && in.at < in.end; i++) one_call(&in);
    stop();
    return 0;
}
