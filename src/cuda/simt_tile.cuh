/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels on plain fp32 arithmetic share: tiles of operands in shared memory, and their products.
 *
 * A block works on tn n x tm m x tk k positions at a time. Scores are split over d, too: a thread sums a 4x4x4
 * block of positions over every GROUPS-th vector of four columns, and the groups, which are lanes of one warp, then
 * add up by shuffles. So a product costs 48 loads from shared memory for 128 multiplications.
 */
#ifndef FLOYD_CUDA_SIMT_TILE_CUH
#define FLOYD_CUDA_SIMT_TILE_CUH

#include <cfloat>

#include "numbers.cuh"

namespace floyd
{
namespace simt
{

/* Columns of an output that a block accumulates at once: wider outputs take several passes. */
constexpr int WIDTH = 64;

/*
 * Vectors: all tensors are fp32 in rows that can be read by 16 bytes, copied in the background into one of two
 * stages. Resident: what all steps share stays in shared memory, for which D must be at most WIDTH.
 */
template <int Tn, int Tm, int Tk, int Groups, int Depth, bool Vectors, bool Resident> struct Shape {
    static constexpr int TN = Tn, TM = Tm, TK = Tk, GROUPS = Groups;
    static constexpr int DEPTH = Depth; /* columns of a step of the scores */
    static constexpr bool VECTORS = Vectors, RESIDENT = Resident;
    static constexpr int STAGES = Vectors ? 2 : 1;
    static constexpr int THREADS = TN * TM * TK / 64 * GROUPS;
    static constexpr int PLACES = 32 / GROUPS; /* blocks of positions that a warp works on */
    static constexpr int HELD = 64 / GROUPS;   /* positions that a thread holds once groups have added up */
    static_assert(DEPTH % (4 * GROUPS) == 0 && WIDTH % DEPTH == 0, "groups take whole vectors");
    static_assert(THREADS % 32 == 0 && (GROUPS == 4 || GROUPS == 8), "groups are lanes");
};

__device__ __forceinline__ float exp_difference(float a, float b)
{
    return exp2_approx((a - b) * LOG2E);
}

__device__ __forceinline__ float part(const float4 &v, int i)
{
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

__device__ __forceinline__ void add_dot(float &sum, const float4 &a, const float4 &b)
{
    sum = fmaf(a.x, b.x, sum);
    sum = fmaf(a.y, b.y, sum);
    sum = fmaf(a.z, b.z, sum);
    sum = fmaf(a.w, b.w, sum);
}

__device__ __forceinline__ void add_scaled(float4 &sum, float factor, const float4 &v)
{
    sum.x = fmaf(factor, v.x, sum.x);
    sum.y = fmaf(factor, v.y, sum.y);
    sum.z = fmaf(factor, v.z, sum.z);
    sum.w = fmaf(factor, v.w, sum.w);
}

__device__ __forceinline__ const float4 &vector_at(const float *base, int offset)
{
    return *reinterpret_cast<const float4 *>(base + offset);
}

/* ---- Where a tile lies ---------------------------------------------------------------------------- */

/*
 * Tile number `index` of a head-by-head walk over tiles along two axes. Within a head, bands of 8 tiles of the
 * first axis are walked along the second one: blocks that run at once share most of what they read.
 */
struct Tile {
    int64_t b, h, first, second;

    __device__ Tile(const floyd_job &job, int64_t index, int64_t count1, int64_t count2, int size1, int size2)
    {
        constexpr int64_t BAND = 8;
        const int64_t head = index / (count1 * count2), in_head = index % (count1 * count2);
        const int64_t band = in_head / (BAND * count2), rest = in_head % (BAND * count2);
        const int64_t height = min(BAND, count1 - band * BAND);
        b = head / job.H;
        h = head % job.H;
        first = (band * BAND + rest % height) * size1;
        second = rest / height * size2;
    }
};

__device__ __forceinline__ int64_t head_offset(const floyd_view &view, const Tile &tile)
{
    return tile.b * view.stride[0] + tile.h * view.stride[1];
}

/* ---- Tiles of vectors in shared memory -------------------------------------------------------------- */

/*
 * Where four columns of vector (a,b) lie, of Depth columns each. Threads of a warp that read at once differ in bit
 * 2 of a, bit 2 of b and the lowest bit of the column's vector: their 16 bytes lie in different banks.
 */
template <int B, int Depth> __device__ __forceinline__ int place_of(int a, int b, int vector)
{
    if (Depth >= 32) return (a * B + b) * Depth + ((vector ^ ((b >> 2 & 1) << 1 | (a >> 2 & 1) << 2)) << 2);
    const int swapped = (b & ~5) | (b & 1) << 2 | (b >> 2 & 1);
    return (a * B + swapped) * Depth + ((vector ^ (a >> 2 & 1) << 1) << 2);
}

/* place_of(a + i, b + j, vector) - place_of(a, b, vector) for multiples of four a and b, and i and j below four. */
template <int B, int Depth> __device__ __forceinline__ int place_step(int i, int j)
{
    return (i * B + (Depth >= 32 ? j : (j & 1) << 2 | (j & 2))) * Depth;
}

/* A tensor's vectors over two axes of one head, from a first one on. Past the sizes there are zeros. */
struct Source {
    floyd_view view;
    int64_t offset, stride_a, stride_b, left_a, left_b;

    /* Index a goes along axis_a (2 or 3), index b along the other one. */
    __device__ __forceinline__ Source(const floyd_view &tensor, const Tile &tile, int axis_a, int64_t a,
                                      int64_t size_a, int64_t b, int64_t size_b)
        : view(tensor), stride_a(tensor.stride[axis_a]), stride_b(tensor.stride[5 - axis_a]), left_a(size_a - a),
          left_b(size_b - b)
    {
        offset = head_offset(tensor, tile) + a * stride_a + b * stride_b;
    }
};

/*
 * Columns first .. first + Depth - 1 of A x B vectors, by all threads. A thread's vectors of one a in every STEP
 * lie at two places of an alternating pattern, some constant further each time. Unrolled more, the loop's addresses
 * would take the registers that sums need. Where nothing is valid, nothing is read: addresses there may be any.
 */
template <int A, int B, int Depth, int Threads>
__device__ __forceinline__ void load_vectors(float *to, const Source &from, int64_t first, int64_t D)
{
    constexpr int EACH = B * Depth / 4; /* vectors of four columns per index a */
    constexpr int STEP = Threads / EACH, FURTHER = STEP * B * Depth;
    static_assert(Threads % EACH == 0 && A % STEP == 0, "a thread keeps its b and its columns");
    static_assert(STEP == 2 || STEP == 4, "the first a is below STEP: bit 2 of it comes from the later steps");
    const int vector = threadIdx.x % (Depth / 4), b = threadIdx.x / (Depth / 4) % B, a0 = threadIdx.x / EACH;
    const bool inside = b < from.left_b && first + 4 * vector < D;
    int left = inside ? static_cast<int>(min(from.left_a, static_cast<int64_t>(A))) - a0 : 0;
    const float *at = reinterpret_cast<const float *>(from.view.data) + from.offset + a0 * from.stride_a +
                      b * from.stride_b + first + 4 * vector;
    const int64_t step = STEP * from.stride_a;
    float *to0 = to + place_of<B, Depth>(a0, b, vector),
          *to1 = to + place_of<B, Depth>(a0 + 4, b, vector) - 4 * B * Depth;
#pragma unroll 1
    for (int i = 0; i < A / STEP; i += 4) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            copy_async((j * STEP >> 2 & 1 ? to1 : to0) + j * FURTHER, at, left > j * STEP);
            at += step;
            if (i + j + 1 == A / STEP) break;
        }
        to0 += 4 * FURTHER;
        to1 += 4 * FURTHER;
        left -= 4 * STEP;
    }
}

template <int A, int B, int Depth, int Threads>
__device__ __noinline__ void load_elements(float *to, const Source &from, int64_t first, int64_t D)
{
    for (int index = threadIdx.x; index < A * B * Depth; index += Threads) {
        const int d = index % Depth, b = index / Depth % B, a = index / (Depth * B);
        float value = 0;
        if (a < from.left_a && b < from.left_b && first + d < D)
            value = load_float(from.view, from.offset + a * from.stride_a + b * from.stride_b +
                                              (first + d) * from.view.stride[4]);
        to[place_of<B, Depth>(a, b, d / 4) + d % 4] = value;
    }
}

template <class S, int A, int B, int Depth>
__device__ __forceinline__ void load(float *to, const Source &from, int64_t first, int64_t D)
{
    if constexpr (S::VECTORS)
        load_vectors<A, B, Depth, S::THREADS>(to, from, first, D);
    else
        load_elements<A, B, Depth, S::THREADS>(to, from, first, D);
}

/* As many steps of DEPTH columns as fill WIDTH, one behind the other. */
template <class S, int A, int B>
__device__ __forceinline__ void load_wide(float *to, const Source &from, int64_t first, int64_t D)
{
#pragma unroll
    for (int i = 0; i < WIDTH / S::DEPTH; i++)
        load<S, A, B, S::DEPTH>(to + i * A * B * S::DEPTH, from, first + i * S::DEPTH, D);
}

/* ---- Scores --------------------------------------------------------------------------------------- */

/* Which positions a thread sums, and which group it is of. Lanes that read K1 (Q) alike come in pairs of pairs. */
template <class S> struct Place {
    int n, m, k, group, turn;

    __device__ Place()
    {
        constexpr int PN = S::TN / 4, PM = S::TM / 4, PK = S::TK / 4, N0 = PN > 1 ? 2 : 1;
        static_assert(PK >= 2 && PM >= 2, "lanes 0 to 3 differ in k and m");
        const int lane = threadIdx.x % 32;
        group = lane / S::PLACES;
        turn = group / (S::GROUPS / 4);
        int rest = threadIdx.x / 32 * S::PLACES + lane % S::PLACES;
        k = rest % 2, rest /= 2;
        m = rest % 2, rest /= 2;
        n = rest % N0, rest /= N0;
        k += 2 * (rest % (PK / 2)), rest /= PK / 2;
        m += 2 * (rest % (PM / 2)), rest /= PM / 2;
        n += N0 * rest;
        k *= 4, m *= 4, n *= 4;
    }
};

/*
 * sum += Q.K1 + Q.K2 over the columns of one step. Element (i,j,l) is of position (n + (i ^ turn), m + j, k + l):
 * the half that a lane keeps when groups add up is then the first one in every lane.
 */
template <class S>
__device__ __forceinline__ void add_scores(float (&sum)[64], const float *q, const float *k1, const float *k2,
                                           const Place<S> &at)
{
#pragma unroll 1
    for (int step = 0; step < S::DEPTH / 4 / S::GROUPS; step++) {
        const int vector = at.group + step * S::GROUPS;
        const float *query_at = q + place_of<S::TM, S::DEPTH>(at.n, at.m, vector);
        const float *key1_at = k1 + place_of<S::TK, S::DEPTH>(at.n, at.k, vector);
        const float *key2_at = k2 + place_of<S::TK, S::DEPTH>(at.m, at.k, vector);
        float4 query[4][4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int n = i ^ at.turn;
#pragma unroll
            for (int j = 0; j < 4; j++) query[i][j] = vector_at(query_at, place_step<S::TM, S::DEPTH>(n, j));
#pragma unroll
            for (int l = 0; l < 4; l++) {
                const float4 key = vector_at(key1_at, place_step<S::TK, S::DEPTH>(n, l));
#pragma unroll
                for (int j = 0; j < 4; j++) add_dot(sum[16 * i + 4 * j + l], query[i][j], key);
            }
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
#pragma unroll
            for (int l = 0; l < 4; l++) {
                const float4 key = vector_at(key2_at, place_step<S::TK, S::DEPTH>(j, l));
#pragma unroll
                for (int i = 0; i < 4; i++) add_dot(sum[16 * i + 4 * j + l], query[i][j], key);
            }
        }
    }
}

/* Adds up the groups: element e < HELD of a thread then is position held(e). */
template <class S> __device__ __forceinline__ void add_groups(float (&sum)[64], const Place<S> &at)
{
#pragma unroll
    for (int e = 0; e < 32; e++) sum[e] += __shfl_xor_sync(0xffffffffu, sum[32 + e], 16);
#pragma unroll
    for (int e = 0; e < 16; e++) sum[e] += __shfl_xor_sync(0xffffffffu, sum[16 + e], 8);
    if (S::GROUPS < 8) return;
    const bool upper = at.group & 1;
#pragma unroll
    for (int e = 0; e < 8; e++) {
        const float sent = upper ? sum[e] : sum[8 + e], kept = upper ? sum[8 + e] : sum[e];
        sum[e] = kept + __shfl_xor_sync(0xffffffffu, sent, 4);
    }
}

/* Elements 4j .. 4j + 3 that a thread holds are pivots k .. k + 3 of row (held_n, held_m + j). */
template <class S> __device__ __forceinline__ int held_n(const Place<S> &at)
{
    return at.n + at.turn;
}

template <class S> __device__ __forceinline__ int held_m(const Place<S> &at)
{
    return at.m + (S::GROUPS < 8 ? 0 : at.group % 2 * 2);
}

__device__ __forceinline__ void clear(float (&sum)[64])
{
#pragma unroll
    for (int e = 0; e < 64; e++) sum[e] = 0;
}

/* Where weights of pivots 4c .. 4c + 3 of row (n,m) lie. */
template <class S> __device__ __forceinline__ int weight_at(int n, int m, int c)
{
    return (n * S::TM + m) * S::TK + ((c ^ (((m >> 1) ^ (n >> 2)) & (S::TK / 4 - 1))) << 2);
}

template <class S>
__device__ __forceinline__ void put_held(float *weights, const float (&sum)[64], const Place<S> &at)
{
#pragma unroll
    for (int j = 0; j < S::HELD / 4; j++)
        *reinterpret_cast<float4 *>(weights + weight_at<S>(held_n(at), held_m(at) + j, at.k / 4)) =
            make_float4(sum[4 * j], sum[4 * j + 1], sum[4 * j + 2], sum[4 * j + 3]);
}

/* ---- Results over pairs ------------------------------------------------------------------------------ */

/* The 4 n x 4 m x 4 d of an output over (n,m) that a thread accumulates. */
template <class S> struct Share {
    int n, m, d;

    __device__ Share()
    {
        constexpr int PM = S::TM / 4;
        static_assert(S::TN % 8 == 0 && S::TN * S::TM / 16 * (WIDTH / 4) == S::THREADS,
                      "one share for each thread");
        int rest = threadIdx.x;
        n = rest % 2, rest /= 2;
        m = rest % 2, rest /= 2;
        d = rest % (WIDTH / 4) * 4, rest /= WIDTH / 4;
        m += rest % (PM / 2) * 2, rest /= PM / 2;
        n += rest * 2;
        n *= 4, m *= 4;
    }
};

/* sum += w V1 + w V2 over Count pivots from `first` on; v1 and v2 hold only those. */
template <class S, int Count>
__device__ __forceinline__ void add_values(float4 (&sum)[4][4], const float *weights, const float *v1,
                                           const float *v2, int first, const Share<S> &at)
{
#pragma unroll 1
    for (int c = 0; c < Count / 4; c++) {
        const float *upper = weights + weight_at<S>(at.n, at.m, first / 4 + c);
        const float *lower = weights + weight_at<S>(at.n, at.m + 2, first / 4 + c);
        const float *value1_at = v1 + place_of<Count, WIDTH>(at.n, 4 * c, at.d / 4);
        const float *value2_at = v2 + place_of<Count, WIDTH>(at.m, 4 * c, at.d / 4);
        float4 weight[4][4];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                weight[i][j] = vector_at(j < 2 ? upper : lower, (i * S::TM + j % 2) * S::TK);
#pragma unroll
        for (int k = 0; k < 4; k++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float4 value = vector_at(value1_at, place_step<Count, WIDTH>(i, k));
#pragma unroll
                for (int j = 0; j < 4; j++) add_scaled(sum[i][j], part(weight[i][j], k), value);
            }
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const float4 value = vector_at(value2_at, place_step<Count, WIDTH>(j, k));
#pragma unroll
                for (int i = 0; i < 4; i++) add_scaled(sum[i][j], part(weight[i][j], k), value);
            }
        }
    }
}

template <class S>
__device__ __forceinline__ void put_share(float *tile, const float4 (&sum)[4][4], const Share<S> &at)
{
    float *to = tile + place_of<S::TM, WIDTH>(at.n, at.m, at.d / 4);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) *reinterpret_cast<float4 *>(to + place_step<S::TM, WIDTH>(i, j)) = sum[i][j];
}

template <class S>
__device__ __forceinline__ void get_share(const float *tile, float4 (&sum)[4][4], const Share<S> &at)
{
    const float *from = tile + place_of<S::TM, WIDTH>(at.n, at.m, at.d / 4);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = vector_at(from, place_step<S::TM, WIDTH>(i, j));
}

/*
 * An output's tile of A x B vectors, columns first .. first + WIDTH - 1, from shared memory. `add`: onto what is
 * stored. value(row, sum) is what becomes of a sum of vector number row. Adding 0 makes -0 +0.
 */
template <int A, int B, int Threads, class Value>
__device__ __forceinline__ void store_tile(const float *tile, const Source &to, int64_t first, int64_t D, bool add,
                                           Value value)
{
#pragma unroll 1
    for (int index = threadIdx.x; index < A * B * WIDTH; index += Threads) {
        const int d = index % WIDTH, b = index / WIDTH % B, a = index / (WIDTH * B);
        if (a >= to.left_a || b >= to.left_b || first + d >= D) continue;
        const int64_t at = to.offset + a * to.stride_a + b * to.stride_b + (first + d) * to.view.stride[4];
        const float sum = value(a * B + b, tile[place_of<B, WIDTH>(a, b, d / 4) + d % 4]);
        store_float(to.view, at, sum + (add ? load_float(to.view, at) : 0.0f));
    }
}

__device__ __forceinline__ int64_t offset_of(const floyd_view &view, const Tile &tile, int64_t i, int64_t j)
{
    return head_offset(view, tile) + i * view.stride[2] + j * view.stride[3];
}

/* Bit i: position k + i of row (n,m) is masked. */
template <int Count>
__device__ __forceinline__ uint32_t mask_bits(const floyd_job &job, const Tile &tile, int64_t n, int64_t m,
                                              int64_t k)
{
    const floyd_view &mask = job.tensor[FLOYD_ROLE_MASK];
    uint32_t bits = 0;
    if (!mask.data || n >= job.N || m >= job.M) return bits;
    const char *row = mask.data + offset_of(mask, tile, n, m) + k * mask.stride[4];
#pragma unroll 4
    for (int i = 0; i < Count; i++)
        if (k + i < job.K && row[i * mask.stride[4]] != 0) bits |= 1u << i;
    return bits;
}

/* A stage has been loaded, by all threads, and the one that was used before it is free. */
template <class S> __device__ __forceinline__ void await_stage()
{
    if (S::VECTORS) copy_async_wait<0>();
    __syncthreads();
}

/* Makes a stage ready: with two of them, what `next` loads is under way meanwhile. */
template <class S, class Now, class Next> __device__ __forceinline__ void advance(int &stage, Now now, Next next)
{
    await_stage<S>();
    if (S::VECTORS) {
        stage ^= 1;
        next(stage ^ 1);
        copy_async_commit();
    } else {
        now(0);
        __syncthreads();
    }
}

} // namespace simt
} // namespace floyd

#endif
