/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "guarded.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __x86_64__
#include <ucontext.h>
#endif

typedef struct area {
    const char *name;
    unsigned char *map, *first;          /* first: the first island */
    size_t mapped, bytes, count, usable; /* usable: bytes of the pages of an island */
} area;

enum { AREAS = 64 };
static area areas[AREAS]; /* map is NULL where there is none */
static const char *during = "";

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t usable_bytes(size_t bytes)
{
    return (bytes + page_size() - 1) / page_size() * page_size();
}

size_t guard_step(size_t bytes)
{
    return usable_bytes(bytes) + page_size();
}

static area *area_of(const void *first)
{
    for (int i = 0; i < AREAS; i++)
        if (areas[i].map && areas[i].first == first) return &areas[i];
    fprintf(stderr, "this memory has no guard\n");
    abort();
}

static void protect(const area *a, int protection)
{
    for (size_t i = 0; a->usable && i < a->count; i++)
        if (mprotect(a->map + page_size() + i * (a->usable + page_size()), a->usable, protection)) {
            perror("mprotect");
            abort();
        }
}

/* From the beginning of an island's pages to the island. */
static size_t margin(size_t bytes, size_t usable, enum guard_end end, size_t odd)
{
    if (end == GUARD_LOW) return odd ? 1 : 0;
    size_t start = usable - bytes;
    while (odd && start % 64 != 1) start--;
    return start;
}

unsigned char *guard_new(const char *name, size_t bytes, size_t count, enum guard_end end, size_t odd)
{
    const size_t usable = usable_bytes(bytes + odd), page = page_size();
    int i = 0;
    while (i < AREAS && areas[i].map) i++;
    if (i == AREAS) abort();
    area *a = &areas[i];
    *a = (area){name, NULL, NULL, count * (usable + page) + page, bytes, count, usable};
    a->map = mmap(NULL, a->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (a->map == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    protect(a, PROT_READ | PROT_WRITE);
    for (size_t j = 0; j < count; j++) memset(a->map + page + j * (usable + page), POISON, usable);
    a->first = a->map + page + margin(bytes, usable, end, odd);
    return a->first;
}

void guard_free(void *first)
{
    area *a = area_of(first);
    munmap(a->map, a->mapped);
    a->map = NULL;
}

void guard_read_only(void *first)
{
    protect(area_of(first), PROT_READ);
}

static int all_poison(const unsigned char *from, const unsigned char *to)
{
    while (from < to && *from == POISON) from++;
    return from >= to;
}

int guard_margins_untouched(const void *first)
{
    const area *a = area_of(first);
    for (size_t i = 0; a->usable && i < a->count; i++) {
        const size_t step = i * (a->usable + page_size());
        const unsigned char *pages = a->map + page_size() + step, *island = a->first + step;
        if (!all_poison(pages, island) || !all_poison(island + a->bytes, pages + a->usable)) return 0;
    }
    return 1;
}

/* ---- tensors --------------------------------------------------------------------------------------- */

static unsigned char *address(const floyd_tensor *t, const int64_t index[5])
{
    int64_t at = 0;
    for (int a = 0; a < 5; a++) at += index[a] * t->stride[a];
    return (unsigned char *)t->data + at * (int64_t)floyd_dtype_size(t->dtype);
}

/* Bytes from the lowest element to the end of the highest; *below: those before element 0. */
static size_t extent(const floyd_tensor *t, size_t *below)
{
    const int64_t width = (int64_t)floyd_dtype_size(t->dtype);
    int64_t low = 0, high = width;
    for (int a = 0; a < 5; a++) {
        const int64_t reach = (t->size[a] - 1) * t->stride[a] * width;
        if (reach < 0) low -= reach;
        if (reach > 0) high += reach;
    }
    if (tensor_count(t) == 0) low = high = 0;
    *below = (size_t)low;
    return (size_t)(low + high);
}

static tensor copy_as_one(const tensor *from, const char *name, enum guard_end end, int poisoned)
{
    tensor t = *from;
    size_t below;
    t.bytes = extent(&from->view, &below);
    t.block = guard_new(name, t.bytes, 1, end, 0);
    t.view.data = t.block + below;
    if (!poisoned && t.bytes) memcpy(t.block, (unsigned char *)from->view.data - below, t.bytes);
    return t;
}

static tensor copy_as_islands(const tensor *from, const char *name, enum guard_end end, int level, int poisoned)
{
    const int64_t width = (int64_t)floyd_dtype_size(from->view.dtype), count = tensor_count(&from->view);
    tensor t = *from;
    int64_t inner = 1, outer = 1, index[5] = {0};
    for (int a = 4; a > level; inner *= t.view.size[a], a--) t.view.stride[a] = inner;
    const size_t bytes = (size_t)(inner * width);
    for (int a = level; a >= 0; outer *= t.view.size[a], a--)
        t.view.stride[a] = outer * (int64_t)guard_step(bytes) / width;
    t.bytes = bytes;
    t.view.data = t.block = guard_new(name, bytes, (size_t)(outer ? outer : 1), end, 0);
    for (int64_t i = 0; !poisoned && i < count; i++, tensor_next(&t.view, index))
        memcpy(address(&t.view, index), address(&from->view, index), (size_t)width);
    return t;
}

tensor guard_copy(const tensor *from, const char *name, enum guard_end end, int level, int poisoned)
{
    return level < 0 ? copy_as_one(from, name, end, poisoned) : copy_as_islands(from, name, end, level, poisoned);
}

void guard_copy_free(tensor *t)
{
    if (t->block) guard_free(t->block);
    memset(t, 0, sizeof *t);
}

/* ---- faults ---------------------------------------------------------------------------------------- */

static const char *access_kind(const void *context)
{
#ifdef __x86_64__
    return ((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2 ? "write" : "read";
#else
    (void)context;
    return "access";
#endif
}

/* Where the address lies as seen from the nearest island. */
static void describe(const area *a, const unsigned char *at, char *text, size_t size)
{
    const ptrdiff_t step = (ptrdiff_t)(a->usable + page_size()), bytes = (ptrdiff_t)a->bytes, off = at - a->first;
    ptrdiff_t island = off < 0 ? 0 : off / step;
    if (island >= (ptrdiff_t)a->count) island = (ptrdiff_t)a->count - 1;
    const ptrdiff_t within = off - island * step;
    if (within >= 0 && within < bytes)
        snprintf(text, size, "at byte %td of %s, an input", within, a->name);
    else if (within >= bytes && (island + 1 == (ptrdiff_t)a->count || within - bytes < step - within))
        snprintf(text, size, "at byte %td AFTER THE END of %s, piece %td of %zu, %td bytes long",
                 within - bytes + 1, a->name, island, a->count, bytes);
    else
        snprintf(text, size, "at byte %td BEFORE THE BEGINNING of %s, piece %td of %zu, %td bytes long",
                 within < 0 ? -within : step - within, a->name, within < 0 ? island : island + 1, a->count, bytes);
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    static char text[1600], place[200];
    const unsigned char *at = info->si_addr;
    snprintf(place, sizeof place, "at an address that is nowhere near a tensor or the workspace");
    for (int i = 0; i < AREAS; i++)
        if (areas[i].map && at >= areas[i].map && at < areas[i].map + areas[i].mapped)
            describe(&areas[i], at, place, sizeof place);
    const int length = snprintf(text, sizeof text, "\nFAULT (signal %d): %s %s\nduring %s\n", signal_number,
                                access_kind(context), place, during);
    if (write(STDERR_FILENO, text, (size_t)length) < 0) _exit(2);
    _exit(1);
}

void guard_watch(const char *what)
{
    static int installed;
    struct sigaction action;
    during = what;
    if (installed) return;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    installed = 1;
}
