/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs CUDA kernels on the host: the threads of a block are fibers, a warp collective is done once for the warp
 * when its last lane has come, and the functions of src/cuda/device.cuh have the semantics that they have on a
 * device. Misuse that a device would answer with a hang or with garbage ends the process with a message.
 *
 * FLOYD_EMULATED_THREADS: host threads to spread blocks over (default: the processors, at most 4).
 * FLOYD_EMULATED_ORDER:   0 (default) runs warps and lanes in turn; any other number seeds a shuffled order, which
 *                         brings missing barriers to light.
 * FLOYD_EMULATED_SHARED:  the most bytes of dynamic shared memory per block, which the runtime reports and launches
 *                         keep to (default, and at most: an H100's 232448).
 */
#ifndef FLOYD_EMULATOR_H
#define FLOYD_EMULATOR_H

#include "cuda_runtime.h"
#include "language.h"

#include <tuple>

namespace floyd
{
namespace emulated
{

/* Where in the kernel a thread waits. */
struct place {
    const char *file;
    int line;
};

/* One operation of a warp. perform sees the operand of each lane in mask; aligned: all lanes come by one line. */
struct collective {
    const char *name;
    bool aligned;
    void (*perform)(void *const *operand, uint32_t mask);
};

struct fiber_index {
    dim3 thread, block, grid;
};

extern __thread const fiber_index *current_index; /* of the thread that runs */

/* Returns when all lanes in mask have come with the same collective and mask and it has been performed. */
void meet(const collective &kind, uint32_t mask, void *operand, place at);

/* Returns when all threads of the block have come. */
void barrier(place at);

/* The most shared memory that a block can have, in bytes. */
size_t most_shared();

/* The shared memory of the block, 1024-aligned, and the check that [address, address + bytes) lies inside. */
char *shared();
void check_shared(const void *address, size_t bytes, size_t alignment, const char *what, place at);
[[noreturn]] void fail(place at, const char *format, ...) __attribute__((format(printf, 2, 3)));

void copy_defer(void *shared, const void *global, bool valid, place at);
void copy_commit();
void copy_wait(int left);

struct shuffle_operand {
    uint64_t value, result;
    int argument;
};
struct any_operand {
    bool value, result;
};
struct ldmatrix_operand {
    uint32_t *r;
    const void *row;
};
struct mma_operand {
    float *c;
    const uint32_t *a;
    uint32_t b[2];
};
extern const collective syncwarp_kind, shuffle_xor_kind, shuffle_kind, any_kind, ldmatrix_kind, ldmatrix_trans_kind,
    mma_bfloat16_kind, mma_half_kind, mma_tf32_kind;

template <class T> T shuffle(const collective &kind, uint32_t mask, T value, int argument, place at)
{
    static_assert(sizeof(T) <= 8, "shuffles move up to 8 bytes");
    shuffle_operand operand = {0, 0, argument};
    std::memcpy(&operand.value, &value, sizeof value);
    meet(kind, mask, &operand, at);
    std::memcpy(&value, &operand.result, sizeof value);
    return value;
}

struct launch {
    void (*call)(const void *closure); /* one thread of the kernel */
    const void *closure;
    dim3 grid, block;
    size_t shared_bytes;
};
void run(const launch &what);

} // namespace emulated
} // namespace floyd

/* Runs the kernel for the whole grid and returns when it is done. */
template <class... P, class... A>
void floyd_emulate(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, A... args)
{
    struct closure {
        void (*kernel)(P...);
        std::tuple<std::decay_t<P>...> arguments;
    };
    const closure bound = {kernel, std::tuple<std::decay_t<P>...>(args...)};
    const auto call = [](const void *pointer) {
        const closure &c = *static_cast<const closure *>(pointer);
        std::apply(c.kernel, c.arguments);
    };
    floyd::emulated::run({call, &bound, grid, block, shared_bytes});
}

#define threadIdx (floyd::emulated::current_index->thread)
#define blockIdx (floyd::emulated::current_index->block)
#define gridDim (floyd::emulated::current_index->grid)

/* A last parameter of this default is the caller's place. */
#define FLOYD_EMULATED_PLACE const char *emulated_file = __builtin_FILE(), int emulated_line = __builtin_LINE()
#define FLOYD_EMULATED_HERE                                                                                        \
    floyd::emulated::place                                                                                         \
    {                                                                                                              \
        emulated_file, emulated_line                                                                               \
    }

inline void __syncthreads(FLOYD_EMULATED_PLACE)
{
    floyd::emulated::barrier(FLOYD_EMULATED_HERE);
}
inline void __syncwarp(uint32_t mask = 0xFFFFFFFFu, FLOYD_EMULATED_PLACE)
{
    floyd::emulated::meet(floyd::emulated::syncwarp_kind, mask, nullptr, FLOYD_EMULATED_HERE);
}
template <class T> T __shfl_xor_sync(uint32_t mask, T value, int flip, FLOYD_EMULATED_PLACE)
{
    return floyd::emulated::shuffle(floyd::emulated::shuffle_xor_kind, mask, value, flip, FLOYD_EMULATED_HERE);
}
template <class T> T __shfl_sync(uint32_t mask, T value, int lane, FLOYD_EMULATED_PLACE)
{
    return floyd::emulated::shuffle(floyd::emulated::shuffle_kind, mask, value, lane, FLOYD_EMULATED_HERE);
}
inline int __any_sync(uint32_t mask, int value, FLOYD_EMULATED_PLACE)
{
    floyd::emulated::any_operand operand = {value != 0, false};
    floyd::emulated::meet(floyd::emulated::any_kind, mask, &operand, FLOYD_EMULATED_HERE);
    return operand.result;
}

/* ---- src/cuda/device.cuh ------------------------------------------------------------------------ */

namespace floyd
{

inline char *shared_memory()
{
    return emulated::shared();
}

inline void ldmatrix(uint32_t (&r)[4], const void *row, FLOYD_EMULATED_PLACE)
{
    emulated::ldmatrix_operand operand = {r, row};
    emulated::check_shared(row, 16, 16, "ldmatrix", FLOYD_EMULATED_HERE);
    emulated::meet(emulated::ldmatrix_kind, 0xFFFFFFFFu, &operand, FLOYD_EMULATED_HERE);
}

inline void ldmatrix_trans(uint32_t (&r)[4], const void *row, FLOYD_EMULATED_PLACE)
{
    emulated::ldmatrix_operand operand = {r, row};
    emulated::check_shared(row, 16, 16, "ldmatrix_trans", FLOYD_EMULATED_HERE);
    emulated::meet(emulated::ldmatrix_trans_kind, 0xFFFFFFFFu, &operand, FLOYD_EMULATED_HERE);
}

inline void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, __nv_bfloat16,
                FLOYD_EMULATED_PLACE)
{
    emulated::mma_operand operand = {c, a, {b0, b1}};
    emulated::meet(emulated::mma_bfloat16_kind, 0xFFFFFFFFu, &operand, FLOYD_EMULATED_HERE);
}

inline void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, __half, FLOYD_EMULATED_PLACE)
{
    emulated::mma_operand operand = {c, a, {b0, b1}};
    emulated::meet(emulated::mma_half_kind, 0xFFFFFFFFu, &operand, FLOYD_EMULATED_HERE);
}

inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, FLOYD_EMULATED_PLACE)
{
    emulated::mma_operand operand = {c, a, {b0, b1}};
    emulated::meet(emulated::mma_tf32_kind, 0xFFFFFFFFu, &operand, FLOYD_EMULATED_HERE);
}

/* The bytes move when a wait demands it, and not before; until then the destination is NaN. */
inline void copy_async(void *shared, const void *global, bool valid, FLOYD_EMULATED_PLACE)
{
    emulated::copy_defer(shared, global, valid, FLOYD_EMULATED_HERE);
}

inline void copy_async_commit()
{
    emulated::copy_commit();
}

template <int Left> inline void copy_async_wait()
{
    emulated::copy_wait(Left);
}

inline float exp2_approx(float x)
{
    const float y = std::exp2(std::fabs(x) < 0x1p-126f ? 0.0f : x);
    return y < 0x1p-126f ? 0.0f : y;
}

inline float max_nan(float a, float b)
{
    return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b);
}

} // namespace floyd

#endif
