/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tile that one block of threads works on, with 16-bit operands on the matrix units.
 *
 * A block has 16 warps. It holds a tile of 16 n by 16 R m and walks along k in steps of 16 (the edge gradients: 16
 * n by 16 k, along m). A product against K1 or V1 is one matrix product for each n: warp n computes it. One against
 * K2 or V2 is one for each m: warp m computes it. What the two must share, S, dP and the weights, goes through the
 * exchange, fp32 [n][m][k] in shared memory: whatever lies there of (n,m) is touched by warp n in one phase and by
 * warp m in the other, with a barrier between.
 *
 * Scores are products of 16-bit operands. Weights are fp32: they and dS enter the products in parts, three of bf16
 * beside bf16 operands and two of tf32 beside fp16 ones (which are tf32 numbers themselves), so that nothing is
 * rounded to 16 bits on the way.
 */
#ifndef FLOYD_CUDA_MMA_TILE_CUH
#define FLOYD_CUDA_MMA_TILE_CUH

#include "numbers.cuh"

namespace floyd
{

constexpr int WARPS = 16, THREADS = 32 * WARPS, STEP = 16;

struct Lane {
    int warp, lane, g, t; /* the fragment's row (and row + 8) and its pair of columns */
    __device__ Lane() : warp(threadIdx.x / 32), lane(threadIdx.x % 32), g(lane / 4), t(lane % 4) {}
};

/*
 * Layouts in shared memory. Rows of DP 16-bit elements are CHUNKS pieces of 16 bytes, permuted within 128 bytes
 * such that eight rows along either index, n or m (k), lie in different banks. Piece c ^ (2 step) lies at offset(c)
 * ^ (32 step), which is how products walk along d.
 */
template <int DP, int R> struct Layout {
    static_assert(DP == 32 || DP == 64, "rows of 64 or 128 bytes");
    static constexpr int N = 16, M = 16 * R;
    static constexpr int CHUNKS = DP / 8, STEPS = DP / 16, COLUMNS = DP / 8;
    static constexpr int ROW = DP * 2, SLICE = 16 * ROW, PAIRS = N * M * ROW, EXCHANGE = N * M * STEP * 4;
    /* From (n,m) to (n,m + 16): in a tensor over (n,m), and in the exchange. */
    static constexpr int PAIR_16_M = 16 * ROW, EXCHANGE_16_M = 16 * STEP * 4;

    /* A tensor over (n,m). */
    static __device__ int pair(int n, int m, int chunk)
    {
        if (DP == 64) return (n * M + m) * ROW + ((chunk ^ ((n ^ m) & 7)) << 4);
        return (n * M + (m ^ (n & 1))) * ROW + ((chunk ^ (((n ^ m) >> 1) & 3)) << 4);
    }

    /* One n (or m) of a tensor over (n,k) or (k,m): 16 rows. */
    static __device__ int slice(int row, int chunk)
    {
        if (DP == 64) return row * ROW + ((chunk ^ (row & 7)) << 4);
        return row * ROW + ((chunk ^ ((row >> 1) & 3)) << 4);
    }

    /* From where a lane's first piece of a slice lies to its i-th, 32 / CHUNKS rows on each. */
    static __device__ int slice_next(int to, int i)
    {
        if (DP == 64) return (to ^ ((i & 1) << 6)) + i * 4 * ROW;
        return to + i * 8 * ROW;
    }

    /* Four of the 16 words of (n,m) in the exchange. */
    static __device__ int exchange(int n, int m, int chunk)
    {
        const int key_n = ((n & 3) << 1) | ((n >> 2) & 1), key_m = ((m >> 1 & 1) << 1) | (m >> 2 & 1);
        return ((n * M + m) >> 1) * 128 + (((((m & 1) << 2) | chunk) ^ key_n ^ key_m) << 4);
    }
};

/* Which row and piece this lane names to ldmatrix: for a left operand, or a right one read transposed... */
struct LeftLane {
    int row, chunk;
    __device__ explicit LeftLane(int lane) : row((lane & 7) + ((lane >> 3) & 1) * 8), chunk(lane >> 4) {}
};

/* ... and for a right operand whose columns are rows in memory. */
struct RightLane {
    int row, chunk;
    __device__ explicit RightLane(int lane) : row((lane & 7) + (lane >> 4) * 8), chunk((lane >> 3) & 1) {}
};

/* x, in a register: kept, not computed again wherever it is needed. */
__device__ __forceinline__ int pinned(int x, const Lane &my)
{
    return __shfl_sync(0xffffffffu, x, my.lane);
}

/*
 * This warp's own places in shared memory, by lane, that every step comes back to: to be added to where a tensor
 * begins. w is its n in one phase and its m in the other.
 */
template <class L> struct Offsets {
    int q_n, q_m;    /* left operands: rows m of n = w, rows n of m = w */
    int left, right; /* slice w, as a left (or transposed right) and as a right operand */
    int to;          /* slice w: the first piece that this lane loads */

    __device__ explicit Offsets(const Lane &my)
    {
        const LeftLane l(my.lane);
        const RightLane r(my.lane);
        const int slice = my.warp * L::SLICE;
        q_n = pinned(L::pair(my.warp, l.row, l.chunk), my);
        q_m = pinned(L::pair(l.row, my.warp, l.chunk), my);
        left = pinned(slice + L::slice(l.row, l.chunk), my);
        right = pinned(slice + L::slice(r.row, r.chunk), my);
        to = pinned(slice + L::slice(my.lane / L::CHUNKS, my.lane % L::CHUNKS), my);
    }
};

/* A 16x16 piece of fp32 in fragments of the matrix units: piece[h] has columns 8h .. 8h + 7. */
typedef float Piece[2][4];

__device__ __forceinline__ void clear(Piece &piece)
{
    for (int h = 0; h < 2; h++)
        for (int i = 0; i < 4; i++) piece[h][i] = 0;
}

/* piece += left right^T over d: this lane's offsets at d = 0, from where either tensor begins. */
template <class T, int STEPS>
__device__ __forceinline__ void multiply(Piece &piece, const char *left_base, int left, const char *right_base,
                                         int right)
{
#pragma unroll
    for (int step = 0; step < STEPS; step++) {
        uint32_t a[4], b[4];
        ldmatrix(a, left_base + (left ^ (step << 5)));
        ldmatrix(b, right_base + (right ^ (step << 5)));
        mma(piece[0], a, b[0], b[1], T());
        mma(piece[1], a, b[2], b[3], T());
    }
}

/* A piece as a left operand, in parts that add up to it. */
template <class T> struct Weights;

template <> struct Weights<__nv_bfloat16> {
    static constexpr int PARTS = 3;
    uint32_t part[PARTS][4];
};

/* In tf32, and for each 8 columns: columns 2t and 2t + 1 of a fragment take the places t and t + 4. */
template <> struct Weights<__half> {
    static constexpr int PARTS = 2;
    uint32_t part[PARTS][2][4];
};

template <bool Finite> __device__ __forceinline__ void split_piece(const Piece &piece, Weights<__nv_bfloat16> &w)
{
    constexpr uint32_t BF16 = 0xffff0000u;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float a = piece[i >> 1][2 * (i & 1)], b = piece[i >> 1][2 * (i & 1) + 1];
        w.part[0][i] = pack_upper(a, b);
        a = rest_of<Finite>(a, upper_bits(a, BF16));
        b = rest_of<Finite>(b, upper_bits(b, BF16));
        w.part[1][i] = pack_upper(a, b);
        a = rest_of<Finite>(a, upper_bits(a, BF16));
        b = rest_of<Finite>(b, upper_bits(b, BF16));
        w.part[2][i] = pack_upper(a, b);
    }
}

template <bool Finite> __device__ __forceinline__ void split_piece(const Piece &piece, Weights<__half> &w)
{
    constexpr uint32_t TF32 = 0xffffe000u;
#pragma unroll
    for (int h = 0; h < 2; h++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int place = ((i & 1) << 1) | (i >> 1);
            const float high = upper_bits(piece[h][i], TF32);
            w.part[0][h][place] = __float_as_uint(high);
            w.part[1][h][place] = __float_as_uint(upper_bits(rest_of<Finite>(piece[h][i], high), TF32));
        }
    }
}

/* Two products of weights (16x16) and 8 columns: b[0] and b[1] have rows 0 .. 7 and 8 .. 15 of the first, and so
 * on. */
__device__ __forceinline__ void mma_parts(float (&sum)[4], float (&next)[4], const Weights<__nv_bfloat16> &w,
                                          const uint32_t (&b)[4])
{
#pragma unroll
    for (int part = 0; part < w.PARTS; part++) {
        mma(sum, w.part[part], b[0], b[1], __nv_bfloat16());
        mma(next, w.part[part], b[2], b[3], __nv_bfloat16());
    }
}

__device__ __forceinline__ void mma_parts(float (&sum)[4], float (&next)[4], const Weights<__half> &w,
                                          const uint32_t (&b)[4])
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t even = __float_as_uint(low_half(b[i], __half()));
        const uint32_t odd = __float_as_uint(high_half(b[i], __half()));
#pragma unroll
        for (int part = 0; part < w.PARTS; part++) mma_tf32(i < 2 ? sum : next, w.part[part][i & 1], even, odd);
    }
}

/* sum (16 x 8 COLUMNS) += piece (16x16) rows: rows is this lane's offset, as a transposed right operand. */
template <class T, bool Finite, int COLUMNS>
__device__ __forceinline__ void accumulate(float (&sum)[COLUMNS][4], const Piece &piece, const char *base, int rows)
{
    Weights<T> w;
    split_piece<Finite>(piece, w);
#pragma unroll
    for (int j = 0; j < COLUMNS / 2; j++) {
        uint32_t r[4];
        ldmatrix_trans(r, base + (rows ^ (j << 5)));
        mma_parts(sum[2 * j], sum[2 * j + 1], w, r);
    }
}

/* Where this lane's part of a piece lies in the exchange: rows g and, a fixed distance on, g + 8. */
template <int Distance> struct ExchangeLane {
    int at;

    __device__ __forceinline__ void get(Piece &piece, const char *exchange) const
    {
#pragma unroll
        for (int h = 0; h < 2; h++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const float2 pair = *reinterpret_cast<const float2 *>(exchange + (at ^ (h << 5)) + i * Distance);
                piece[h][2 * i] = pair.x;
                piece[h][2 * i + 1] = pair.y;
            }
        }
    }

    __device__ __forceinline__ void add(Piece &piece, const char *exchange) const
    {
        Piece other;
        get(other, exchange);
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int i = 0; i < 4; i++) piece[h][i] += other[h][i];
    }

    __device__ __forceinline__ void put(const Piece &piece, char *exchange) const
    {
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                *reinterpret_cast<float2 *>(exchange + (at ^ (h << 5)) + i * Distance) =
                    make_float2(piece[h][2 * i], piece[h][2 * i + 1]);
    }
};

/* Of a piece with rows n of one m. */
template <class L> __device__ __forceinline__ ExchangeLane<8 * L::M * 64> exchange_of_m(const Lane &my, int m)
{
    return {pinned(L::exchange(my.g, m, my.t >> 1) + (my.t & 1) * 8, my)};
}

/* Of a piece with rows m0 .. m0 + 15 of one n; m0 is a multiple of 16. */
template <class L> __device__ __forceinline__ ExchangeLane<8 * 64> exchange_of_n(const Lane &my, int n, int m0)
{
    return {pinned(L::exchange(n, m0 + my.g, my.t >> 1) + (my.t & 1) * 8, my)};
}

/* ---- Where a block works -------------------------------------------------------------------------- */

/* Tiles of a head are walked in bands of 8 along the first axis: blocks that run at once read the same edges. */
struct Place {
    int64_t b, h, first, second; /* the head, and where the tile begins along its two axes */

    /* The grid has one block for each tile, so their number fits 31 bits. */
    __device__ Place(const floyd_job &job, int64_t extent1, int64_t extent2, int tile1, int tile2)
    {
        const uint32_t count1 = static_cast<uint32_t>(ceil_div(extent1, tile1));
        const uint32_t count2 = static_cast<uint32_t>(ceil_div(extent2, tile2)), H = static_cast<uint32_t>(job.H);
        const uint32_t head = blockIdx.x / (count1 * count2), index = blockIdx.x % (count1 * count2);
        const uint32_t height_most = count2 < 1u << 28 ? 8 : 1; /* the product fits 32 bits */
        const uint32_t band = index / (height_most * count2), rest = index % (height_most * count2);
        const uint32_t height =
            count1 - band * height_most < height_most ? count1 - band * height_most : height_most;
        b = head / H;
        h = head % H;
        first = static_cast<int64_t>(band * height_most + rest % height) * tile1;
        second = static_cast<int64_t>(rest / height) * tile2;
    }
};

/* ---- From global to shared memory ------------------------------------------------------------------- */

__device__ __forceinline__ const char *head_of(const floyd_view &view, const Place &at, int size)
{
    return view.data + (at.b * view.stride[0] + at.h * view.stride[1]) * size;
}

/* The last index stands in for those past it: what is computed of them is not kept. */
__device__ __forceinline__ int64_t clamp_index(int64_t index, int64_t count)
{
    return index < count ? index : count - 1;
}

/* Index `fixed` along axis Axis (2 or 3) of a tensor of 16-bit elements, at 0 along the other one. */
template <int Axis>
__device__ __forceinline__ const char *line_of(const floyd_view &view, const Place &at, int64_t fixed)
{
    return head_of(view, at, 2) + fixed * view.stride[Axis] * 2;
}

/*
 * Rows of D elements on their way into shared memory, by one warp, each lane with pieces of 16 bytes: lane i has
 * piece i % CHUNKS of rows i / CHUNKS, and of every AT_ONCE-th row from there.
 */
template <class L> struct Loader {
    static constexpr int AT_ONCE = 32 / L::CHUNKS;
    int row, chunk;
    bool inside; /* this lane's columns are below D; the others are filled with zeros */

    __device__ Loader(const Lane &my, int d)
        : row(my.lane / L::CHUNKS), chunk(my.lane % L::CHUNKS), inside(chunk * 8 < d)
    {
    }

    /* This lane's piece of its first row of a line of rows. */
    __device__ __forceinline__ const char *piece(const char *line, int64_t stride) const
    {
        return line + row * stride + chunk * 16;
    }

    /* Rows to places next(i); zeros for those from `left` on. from: this lane's piece of its first row. */
    template <int Count, class Next>
    __device__ __forceinline__ void load(const char *from, int64_t stride, int64_t left, Next next) const
    {
        if (left >= Count) {
#pragma unroll
            for (int i = 0; i < Count / AT_ONCE; i++) copy_async(next(i), from + i * AT_ONCE * stride, inside);
        } else {
#pragma unroll
            for (int i = 0; i < Count / AT_ONCE; i++) {
                const bool valid = inside && row + i * AT_ONCE < left;
                copy_async(next(i), valid ? from + i * AT_ONCE * stride : from, valid);
            }
        }
    }

    /* 16 rows into a slice, where this lane's first piece goes to `to`. */
    __device__ __forceinline__ void slice(char *shared, int to, const char *from, int64_t stride,
                                          int64_t left) const
    {
        load<STEP>(from, stride, left, [&](int i) { return shared + L::slice_next(to, i); });
    }

    /* Count rows m of one n into a tensor over (n,m). */
    template <int Count>
    __device__ __forceinline__ void pairs(char *shared, int n, const char *from, int64_t stride, int64_t left) const
    {
        load<Count>(from, stride, left, [&](int i) { return shared + L::pair(n, row + i * AT_ONCE, chunk); });
    }
};

/*
 * K and V along one index of axis Axis (2: n, 3: m) and, with R of them, along every 16th one from there: 16 rows k
 * at a time. An index past `count` stands for the last one.
 */
template <class L, int Axis, int R> struct EdgeLines {
    const Loader<L> &loader;
    const floyd_view &k, &v;
    const char *k_at[R], *v_at[R];

    __device__ EdgeLines(const Loader<L> &by, const Place &at, int64_t index, int64_t count,
                         const floyd_view &k_view, const floyd_view &v_view)
        : loader(by), k(k_view), v(v_view)
    {
#pragma unroll
        for (int r = 0; r < R; r++) {
            const int64_t fixed = clamp_index(index + 16 * r, count);
            k_at[r] = loader.piece(line_of<Axis>(k, at, fixed), stride(k));
            v_at[r] = loader.piece(line_of<Axis>(v, at, fixed), stride(v));
        }
    }

    static __device__ __forceinline__ int64_t stride(const floyd_view &view)
    {
        return view.stride[5 - Axis] * 2;
    }

    __device__ __forceinline__ void load(char *shared, int to, const char *(&at)[R], int64_t stride, int64_t left)
    {
#pragma unroll
        for (int r = 0; r < R; r++) {
            loader.slice(shared + r * 16 * L::SLICE, to, at[r], stride, left);
            at[r] += STEP * stride;
        }
    }

    /* The next rows, `left` of them left. */
    __device__ __forceinline__ void load_k(char *shared, int to, int64_t left)
    {
        load(shared, to, k_at, stride(k), left);
    }
    __device__ __forceinline__ void load_v(char *shared, int to, int64_t left)
    {
        load(shared, to, v_at, stride(v), left);
    }
    __device__ __forceinline__ void load_both(char *k_to, char *v_to, int to, int64_t left)
    {
        load_k(k_to, to, left);
        load_v(v_to, to, left);
    }
};

/* ---- Masks ---------------------------------------------------------------------------------------- */

/* The mask of one n: whether it takes position (m,k) out. */
struct Mask {
    const char *data;
    int64_t stride_m, stride_k;

    __device__ Mask(const floyd_job &job, const Place &at, int64_t n)
    {
        const floyd_view &view = job.tensor[FLOYD_ROLE_MASK];
        stride_m = view.stride[3];
        stride_k = view.stride[4];
        data = head_of(view, at, 1) + n * view.stride[2];
    }

    __device__ __forceinline__ bool operator()(int64_t m, int64_t k) const
    {
        return data[m * stride_m + k * stride_k] != 0;
    }
};

__device__ __forceinline__ bool is_masked(const floyd_job &job)
{
    return job.tensor[FLOYD_ROLE_MASK].data != nullptr;
}

} // namespace floyd

#endif
