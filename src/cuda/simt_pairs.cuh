/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block with a tile of pairs (n,m), over steps of TK pivots: products of the pairs with edges, of all columns of
 * D, and of weights with edges, of WIDTH columns. Wider heads take several passes.
 */
#ifndef FLOYD_CUDA_SIMT_PAIRS_CUH
#define FLOYD_CUDA_SIMT_PAIRS_CUH

#include "simt_tile.cuh"

namespace floyd
{
namespace simt
{

/* Which tensors a product is of. */
template <floyd_role Over, floyd_role Edge1, floyd_role Edge2> struct Operands {
    static constexpr floyd_role PAIRS = Over, EDGE1 = Edge1, EDGE2 = Edge2;
};

typedef Operands<FLOYD_ROLE_Q, FLOYD_ROLE_K1, FLOYD_ROLE_K2> Keys;
typedef Operands<FLOYD_ROLE_DY, FLOYD_ROLE_V1, FLOYD_ROLE_V2> Values;

/* The shared memory of a kernel over pairs, in floats. Values take as much of a stage as keys do. */
template <class S> struct PairSpace {
    static constexpr int PIVOTS = S::TK * S::DEPTH / WIDTH; /* whose values fit in a stage */
    static constexpr int K1 = 0, K2 = K1 + S::TN * S::TK * S::DEPTH, Q = K2 + S::TM * S::TK * S::DEPTH;
    static constexpr int PAIRS = S::TN * S::TM;
    static constexpr int STAGE = Q + (S::RESIDENT ? 0 : PAIRS * S::DEPTH);
    static constexpr int V1 = 0, V2 = V1 + S::TN * PIVOTS * WIDTH;
    static constexpr int WEIGHTS = S::STAGES * STAGE, ROWS = WEIGHTS + PAIRS * S::TK, ROW = 4; /* words of a row */
    static constexpr int RESIDENTS = ROWS + PAIRS * ROW;
    static constexpr size_t bytes(int residents)
    {
        return (RESIDENTS + (S::RESIDENT ? residents * PAIRS * WIDTH : 0)) * sizeof(float);
    }
};

/* What the kernels over a tile of pairs have in common. */
template <class S> struct Pairs {
    typedef PairSpace<S> Space;
    const floyd_job &job;
    const Tile &tile;
    float *const shared;
    int64_t column; /* the first one of this pass */
    int stage;      /* the one to compute from */
    Place<S> place;
    Share<S> share;
    int64_t row_n, row_m; /* the row that is this thread's */

    __device__ Pairs(const floyd_job &job, const Tile &tile, float *shared)
        : job(job), tile(tile), shared(shared), column(0), stage(0), row_n(tile.first + threadIdx.x / S::TM),
          row_m(tile.second + threadIdx.x % S::TM)
    {
        static_assert(S::THREADS == Space::PAIRS, "one row for each thread");
        static_assert(Space::PAIRS * WIDTH <= S::STAGES * Space::STAGE, "results pass through the stages");
    }

    __device__ bool inside() const { return row_n < job.N && row_m < job.M; }

    __device__ float *at_stage(int which) const { return shared + (S::STAGES == 2 ? which : 0) * Space::STAGE; }

    __device__ Source edge1(floyd_role role, int64_t k) const
    {
        return Source(job.tensor[role], tile, 2, tile.first, job.N, k, job.K);
    }

    __device__ Source edge2(floyd_role role, int64_t k) const
    {
        return Source(job.tensor[role], tile, 3, tile.second, job.M, k, job.K);
    }

    __device__ Source pairs(floyd_role role) const
    {
        return Source(job.tensor[role], tile, 2, tile.first, job.N, tile.second, job.M);
    }

    /* One step of DEPTH columns of a product of pairs with edges. */
    template <class Of> __device__ __forceinline__ void load_scores(int which, Of, int64_t k, int64_t d) const
    {
        float *to = at_stage(which);
        load<S, S::TN, S::TK, S::DEPTH>(to + Space::K1, edge1(Of::EDGE1, k), d, job.D);
        load<S, S::TM, S::TK, S::DEPTH>(to + Space::K2, edge2(Of::EDGE2, k), d, job.D);
        if (!S::RESIDENT) load<S, S::TN, S::TM, S::DEPTH>(to + Space::Q, pairs(Of::PAIRS), d, job.D);
    }

    /* PIVOTS pivots, from k on, of what weights are multiplied with. */
    template <class Of> __device__ __forceinline__ void load_values(int which, Of, int64_t k) const
    {
        float *to = at_stage(which);
        load<S, S::TN, Space::PIVOTS, WIDTH>(to + Space::V1, edge1(Of::EDGE1, k), column, job.D);
        load<S, S::TM, Space::PIVOTS, WIDTH>(to + Space::V2, edge2(Of::EDGE2, k), column, job.D);
    }

    /* The first HELD elements of sum become this thread's share of a product. `next` loads what comes after it. */
    template <class Of, class Next>
    __device__ __forceinline__ void scores(float (&sum)[64], Of of, int64_t k, const float *resident, Next next)
    {
        clear(sum);
#pragma unroll 1
        for (int64_t d = 0; d == 0 || d < job.D; d += S::DEPTH) {
            advance<S>(
                stage, [&](int to) { load_scores(to, of, k, d); },
                [&](int to) {
                    if (d + S::DEPTH < job.D)
                        load_scores(to, of, k, d + S::DEPTH);
                    else
                        next(to);
                });
            const float *from = at_stage(stage), *q = S::RESIDENT ? resident + d * Space::PAIRS : from + Space::Q;
            add_scores<S>(sum, q, from + Space::K1, from + Space::K2, place);
        }
        add_groups<S>(sum, place);
    }

    /* sum += weights times values. `begin` runs once the weights are there, `next` loads what comes after. */
    template <class Of, class Begin, class Next>
    __device__ __forceinline__ void values(float4 (&sum)[4][4], Of of, int64_t k, Begin begin, Next next)
    {
#pragma unroll 1
        for (int first = 0; first < S::TK; first += Space::PIVOTS) {
            advance<S>(
                stage, [&](int to) { load_values(to, of, k + first); },
                [&](int to) {
                    if (first + Space::PIVOTS < S::TK)
                        load_values(to, of, k + first + Space::PIVOTS);
                    else if (k + S::TK < job.K)
                        next(to);
                });
            if (first == 0) begin();
            const float *from = at_stage(stage);
            add_values<S, Space::PIVOTS>(sum, shared + Space::WEIGHTS, from + Space::V1, from + Space::V2, first,
                                         share);
        }
    }
};

} // namespace simt
} // namespace floyd

#endif
