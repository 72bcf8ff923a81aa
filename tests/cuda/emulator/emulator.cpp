// SPDX-License-Identifier: Apache-2.0
// Fibers, warps, barriers and shared memory of the emulator.
#include "emulator.h"
#include "switch.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace floyd
{
namespace emulated
{

__thread const fiber_index *current_index;

namespace
{

constexpr unsigned lanes = 32, most_threads = 1024, most_warps = most_threads / lanes;
constexpr size_t stack_bytes = 256 * 1024; // of address space; what a kernel touches becomes resident
constexpr size_t copy_bytes = 16;          // of one copy_async
constexpr size_t guard_bytes = 1024;
constexpr unsigned char guard_value = 0xA5, poison = 0xFF;

enum class state { runs, meets, at_barrier, left };

struct deferred_copy {
    char *shared;
    const char *global;
    bool valid;
};

struct fiber {
    fiber_index index; // first: current_index points here
    void *stack_pointer;
    unsigned number; // within the block
    state at;
    const collective *kind; // what it meets for, and with whom
    uint32_t mask;
    void *operand;
    place where;
    std::vector<deferred_copy> copies;
    std::vector<size_t> groups; // ends of the committed ones within copies
};

// Bit i: lane i is ready to go on; waits for a collective; is none or has left.
struct warp {
    uint32_t ready, meeting, left;
};

// What runs one block after another, on one host thread.
struct worker {
    const launch *what;
    fiber fibers[most_threads];
    warp warps[most_warps];
    unsigned threads, warp_count, alive;
    unsigned arrived; // at the barrier
    unsigned now;     // number of the fiber that runs
    void *scheduler;
    char *stacks;
    std::unique_ptr<char, void (*)(void *)> memory{nullptr, std::free};
    uint32_t random; // 0: in turn
};

__thread worker *self;

fiber &running()
{
    return self->fibers[self->now];
}

void describe(const fiber &f, char *text, size_t size)
{
    const dim3 b = f.index.block, t = f.index.thread;
    std::snprintf(text, size, "block (%u,%u,%u) thread (%u,%u,%u) [warp %u lane %u]", b.x, b.y, b.z, t.x, t.y, t.z,
                  f.number / lanes, f.number % lanes);
}

void describe_wait(const fiber &f)
{
    char who[128];
    describe(f, who, sizeof who);
    if (f.at == state::at_barrier)
        std::fprintf(stderr, "  %s waits at the barrier, where %u of %u have come, at %s:%d\n", who, self->arrived,
                     self->threads, f.where.file, f.where.line);
    else if (f.at == state::meets)
        std::fprintf(stderr, "  %s waits for %s with lanes %08x at %s:%d\n", who, f.kind->name, f.mask,
                     f.where.file, f.where.line);
    else
        std::fprintf(stderr, "  %s %s\n", who, f.at == state::left ? "has left the kernel" : "runs");
}

bool same_wait(const fiber &a, const fiber &b)
{
    if (a.at != b.at || a.at == state::left) return a.at == b.at;
    return a.where.line == b.where.line && a.where.file == b.where.file && a.kind == b.kind;
}

// One line for each run of threads that wait for the same.
[[noreturn]] void deadlock()
{
    std::fflush(stdout);
    std::fprintf(stderr, "emulator: deadlock\n");
    for (unsigned i = 0, lines = 0; i < self->threads && lines < 40; ++i) {
        if (i && same_wait(self->fibers[i], self->fibers[i - 1])) continue;
        describe_wait(self->fibers[i]);
        ++lines;
    }
    std::abort();
}

uint32_t draw()
{
    uint32_t &r = self->random;
    r ^= r << 13, r ^= r >> 17, r ^= r << 5;
    return r;
}

// A lane of the set, which is not empty: the next one after `from`.
unsigned pick_lane(uint32_t set, unsigned from)
{
    const unsigned start = (self->random ? draw() : from + 1) % lanes;
    const uint32_t later = set & (0xFFFFFFFFu << start);
    return static_cast<unsigned>(__builtin_ctz(later ? later : set));
}

// Leaves the running fiber for another of its warp, or for the scheduler when none is ready.
void give_way()
{
    worker &w = *self;
    fiber &from = running();
    const unsigned of_warp = from.number / lanes;
    const uint32_t ready = w.warps[of_warp].ready;
    if (!ready) {
        floyd_emulated_switch(&from.stack_pointer, w.scheduler);
        return;
    }
    fiber &to = w.fibers[of_warp * lanes + pick_lane(ready, from.number % lanes)];
    w.now = to.number;
    current_index = &to.index;
    floyd_emulated_switch(&from.stack_pointer, to.stack_pointer);
}

void resume(fiber &f)
{
    f.at = state::runs;
    self->warps[f.number / lanes].ready |= 1u << (f.number % lanes);
}

[[noreturn]] void mismatch(const fiber &a, const fiber &b)
{
    std::fflush(stdout);
    std::fprintf(stderr, "emulator: the lanes of a warp came to different collectives\n");
    describe_wait(a);
    describe_wait(b);
    std::abort();
}

void check_partners(const fiber &me, const fiber *warp_fibers)
{
    for (uint32_t rest = me.mask; rest; rest &= rest - 1) {
        const fiber &other = warp_fibers[__builtin_ctz(rest)];
        if (other.kind != me.kind || other.mask != me.mask) mismatch(me, other);
        if (me.kind->aligned && other.where.line != me.where.line) mismatch(me, other);
    }
}

void perform(warp &w, fiber *warp_fibers, const fiber &last)
{
    void *operands[lanes] = {};
    check_partners(last, warp_fibers);
    for (unsigned i = 0; i < lanes; ++i)
        if (last.mask >> i & 1) operands[i] = warp_fibers[i].operand, warp_fibers[i].at = state::runs;
    last.kind->perform(operands, last.mask);
    w.meeting &= ~last.mask;
    w.ready |= last.mask;
}

void move_bytes(const deferred_copy &c)
{
    if (c.valid)
        std::memcpy(c.shared, c.global, copy_bytes);
    else
        std::memset(c.shared, 0, copy_bytes);
}

void fiber_main()
{
    self->what->call(self->what->closure);
    fiber &f = running();
    warp &w = self->warps[f.number / lanes];
    f.at = state::left;
    f.copies.clear();
    f.groups.clear();
    w.ready &= ~(1u << (f.number % lanes));
    w.left |= 1u << (f.number % lanes);
    --self->alive;
    give_way();
    std::abort(); // nothing resumes a fiber that has left
}

// Stacks start at different offsets so that those of a warp do not share the sets of a cache.
void *fresh_stack(unsigned number)
{
    char *top = self->stacks + (number + 1) * stack_bytes - number * 1088 % 16384;
    // A fiber that has left never returned from its last frames.
    ASAN_UNPOISON_MEMORY_REGION(self->stacks + number * stack_bytes, stack_bytes);
    return fresh_fiber(top, fiber_main);
}

void prepare_fiber(unsigned i, dim3 block)
{
    fiber &f = self->fibers[i];
    const dim3 size = self->what->block;
    f.index = {dim3(i % size.x, i / size.x % size.y, i / (size.x * size.y)), block, self->what->grid};
    f.number = i;
    f.at = state::runs;
    f.stack_pointer = fresh_stack(i);
}

void prepare_block(dim3 block)
{
    worker &w = *self;
    const dim3 size = w.what->block;
    w.threads = w.alive = size.x * size.y * size.z;
    w.arrived = 0;
    w.warp_count = (w.threads + lanes - 1) / lanes;
    for (unsigned i = 0; i < w.warp_count; ++i) {
        const unsigned here = std::min(lanes, w.threads - i * lanes);
        const uint32_t full = here == lanes ? 0xFFFFFFFFu : (1u << here) - 1;
        w.warps[i] = {full, 0, ~full};
    }
    for (unsigned i = 0; i < w.threads; ++i) prepare_fiber(i, block);
    const size_t bytes = (w.what->shared_bytes + guard_bytes + 1023) / 1024 * 1024;
    w.memory.reset(static_cast<char *>(std::aligned_alloc(1024, bytes)));
    std::memset(w.memory.get(), poison, w.what->shared_bytes);
    std::memset(w.memory.get() + w.what->shared_bytes, guard_value, guard_bytes);
}

bool run_warp(unsigned i)
{
    worker &w = *self;
    if (!w.warps[i].ready) return false;
    fiber &f = w.fibers[i * lanes + pick_lane(w.warps[i].ready, lanes - 1)];
    w.now = f.number;
    current_index = &f.index;
    floyd_emulated_switch(&w.scheduler, f.stack_pointer);
    return true;
}

void check_guard(dim3 block)
{
    const unsigned char *guard = reinterpret_cast<unsigned char *>(self->memory.get()) + self->what->shared_bytes;
    for (size_t i = 0; i < guard_bytes; ++i) {
        if (guard[i] == guard_value) continue;
        std::fprintf(stderr, "emulator: block (%u,%u,%u) wrote byte %zu of %zu bytes of shared memory\n", block.x,
                     block.y, block.z, self->what->shared_bytes + i, self->what->shared_bytes);
        std::abort();
    }
}

void run_block(dim3 block)
{
    prepare_block(block);
    while (self->alive) {
        bool progress = false;
        const unsigned start = self->random ? draw() % self->warp_count : 0;
        for (unsigned i = 0; i < self->warp_count; ++i) progress |= run_warp((start + i) % self->warp_count);
        if (!progress) deadlock();
    }
    check_guard(block);
}

unsigned long number_of(const char *variable, unsigned long otherwise)
{
    const char *text = std::getenv(variable);
    return text && *text ? std::strtoul(text, nullptr, 10) : otherwise;
}

// Workers outlive the host threads that use them: their stacks are costly to make.
std::mutex pool_mutex;
std::vector<std::unique_ptr<worker>> pool;

void make_stacks(worker &w)
{
    void *all = mmap(nullptr, most_threads * stack_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) std::perror("emulator: stacks"), std::abort();
    w.stacks = static_cast<char *>(all);
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    for (unsigned i = 0; i < most_threads; ++i) mprotect(w.stacks + i * stack_bytes, page, PROT_NONE);
}

std::unique_ptr<worker> take_worker()
{
    const std::lock_guard<std::mutex> lock(pool_mutex);
    if (!pool.empty()) {
        std::unique_ptr<worker> w = std::move(pool.back());
        pool.pop_back();
        return w;
    }
    std::unique_ptr<worker> w(new worker());
    make_stacks(*w);
    return w;
}

// Runs blocks until the grid has none left.
void work(const launch &what, std::atomic<uint64_t> &next)
{
    const uint64_t blocks = uint64_t{what.grid.x} * what.grid.y * what.grid.z;
    std::unique_ptr<worker> mine = take_worker();
    mine->what = &what;
    mine->random = static_cast<uint32_t>(number_of("FLOYD_EMULATED_ORDER", 0)) * 2654435761u;
    self = mine.get();
    for (uint64_t i = next++; i < blocks; i = next++) {
        const uint64_t plane = i / what.grid.x;
        run_block(dim3(static_cast<unsigned>(i % what.grid.x), static_cast<unsigned>(plane % what.grid.y),
                       static_cast<unsigned>(plane / what.grid.y)));
    }
    self = nullptr;
    current_index = nullptr;
    mine->memory.reset();
    const std::lock_guard<std::mutex> lock(pool_mutex);
    pool.push_back(std::move(mine));
}

// What a device refuses to launch.
void check_launch(const launch &l)
{
    const uint64_t threads = uint64_t{l.block.x} * l.block.y * l.block.z;
    const char *wrong = nullptr;
    if (!threads || threads > most_threads || l.block.z > 64) wrong = "the block's size";
    if (!l.grid.x || l.grid.x > 0x7FFFFFFFu || !l.grid.y || l.grid.y > 65535 || !l.grid.z || l.grid.z > 65535)
        wrong = "the grid's size";
    if (l.shared_bytes > most_shared()) wrong = "more shared memory than there is";
    if (!wrong) return;
    std::fprintf(stderr, "emulator: launch with %s: grid (%u,%u,%u) block (%u,%u,%u) shared %zu\n", wrong, l.grid.x,
                 l.grid.y, l.grid.z, l.block.x, l.block.y, l.block.z, l.shared_bytes);
    std::abort();
}

} // namespace

void fail(place at, const char *format, ...)
{
    char who[128];
    va_list arguments;
    describe(running(), who, sizeof who);
    std::fflush(stdout);
    std::fprintf(stderr, "emulator: %s: ", who);
    va_start(arguments, format);
    std::vfprintf(stderr, format, arguments);
    va_end(arguments);
    std::fprintf(stderr, " at %s:%d\n", at.file, at.line);
    std::abort();
}

void meet(const collective &kind, uint32_t mask, void *operand, place at)
{
    fiber &me = running();
    const uint32_t bit = 1u << (me.number % lanes);
    warp &w = self->warps[me.number / lanes];
    if (!(mask & bit)) fail(at, "%s with lanes %08x, which leave this one out", kind.name, mask);
    if (mask & w.left) fail(at, "%s with lanes %08x, of which %08x have left", kind.name, mask, mask & w.left);
    me.kind = &kind, me.mask = mask, me.operand = operand, me.where = at;
    w.meeting |= bit;
    w.ready &= ~bit;
    if ((w.meeting & mask) == mask) {
        perform(w, &self->fibers[me.number / lanes * lanes], me);
        return;
    }
    me.at = state::meets;
    give_way();
}

void barrier(place at)
{
    worker &w = *self;
    fiber &me = running();
    if (++w.arrived < w.threads) {
        me.where = at, me.kind = nullptr;
        me.at = state::at_barrier;
        w.warps[me.number / lanes].ready &= ~(1u << (me.number % lanes));
        give_way();
        return;
    }
    w.arrived = 0;
    for (unsigned i = 0; i < w.threads; ++i)
        if (w.fibers[i].at == state::at_barrier) resume(w.fibers[i]);
}

size_t most_shared()
{
    constexpr size_t of_h100 = 232448; // for a kernel that asks for it
    return std::min<size_t>(of_h100, number_of("FLOYD_EMULATED_SHARED", of_h100));
}

char *shared()
{
    return self->memory.get();
}

void check_shared(const void *address, size_t bytes, size_t alignment, const char *what, place at)
{
    const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(shared());
    const size_t size = self->what->shared_bytes;
    if (offset > size || bytes > size - offset)
        fail(at, "%s: byte %td lies outside %zu bytes of shared memory", what, static_cast<ptrdiff_t>(offset),
             size);
    if (offset % alignment) fail(at, "%s: byte %td is not aligned", what, static_cast<ptrdiff_t>(offset));
}

void copy_defer(void *to, const void *from, bool valid, place at)
{
    check_shared(to, copy_bytes, copy_bytes, "copy_async", at);
    if (reinterpret_cast<uintptr_t>(from) % copy_bytes) fail(at, "copy_async: the source %p is not aligned", from);
    std::memset(to, poison, copy_bytes);
    running().copies.push_back({static_cast<char *>(to), static_cast<const char *>(from), valid});
}

void copy_commit()
{
    running().groups.push_back(running().copies.size());
}

void copy_wait(int left)
{
    fiber &f = running();
    if (f.groups.size() <= static_cast<size_t>(left)) return;
    const size_t groups = f.groups.size() - static_cast<size_t>(left), copies = f.groups[groups - 1];
    for (size_t i = 0; i < copies; ++i) move_bytes(f.copies[i]);
    f.copies.erase(f.copies.begin(), f.copies.begin() + static_cast<ptrdiff_t>(copies));
    f.groups.erase(f.groups.begin(), f.groups.begin() + static_cast<ptrdiff_t>(groups));
    for (size_t &end : f.groups) end -= copies;
}

void run(const launch &what)
{
    check_launch(what);
    const uint64_t blocks = uint64_t{what.grid.x} * what.grid.y * what.grid.z;
    const unsigned processors = std::max(1u, std::min(4u, std::thread::hardware_concurrency()));
    const uint64_t wanted = std::min<uint64_t>(blocks, number_of("FLOYD_EMULATED_THREADS", processors));
    std::atomic<uint64_t> next(0);
    std::vector<std::thread> others;
    for (uint64_t i = 1; i < wanted; ++i) others.emplace_back([&] { work(what, next); });
    work(what, next);
    for (std::thread &other : others) other.join();
}

} // namespace emulated
} // namespace floyd
