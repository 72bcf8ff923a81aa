/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dK1 and dV1 of a tile of edges (n,k), over steps of TM m: scores, dP, and the products of dS with Q and of P with
 * dY.
 */
#ifndef FLOYD_CUDA_SIMT_EDGES_CUH
#define FLOYD_CUDA_SIMT_EDGES_CUH

#include "simt_rows.cuh"

namespace floyd
{
namespace simt
{

/* In floats. Resident: K1 and V1 throughout, Q and dY for a step. Else these come in stages, too. */
template <class S> struct EdgeSpace {
    static constexpr int EDGES = S::TN * S::TK, PAIRS = S::TN * S::TM;
    static constexpr int K2 = 0, K1 = K2 + S::TM * S::TK * S::DEPTH, Q = K1 + (S::RESIDENT ? 0 : EDGES * S::DEPTH);
    static constexpr int STAGE = Q + (S::RESIDENT ? 0 : PAIRS * S::DEPTH);
    static constexpr int P = S::STAGES * STAGE, DS = P + PAIRS * S::TK, ROWS = DS + PAIRS * S::TK;
    static constexpr int KEYS = ROWS + 4 * PAIRS, VALUES = KEYS + EDGES * WIDTH;
    static constexpr int QUERIES = VALUES + EDGES * WIDTH, DY = QUERIES + PAIRS * WIDTH, ALL = DY + PAIRS * WIDTH;
    static constexpr size_t BYTES = (S::RESIDENT ? ALL : KEYS) * sizeof(float);
};

/* The 1 n x 8 k x 4 d of an output over (n,k) that a thread accumulates. */
template <class S> struct EdgeShare {
    int n, k, d;

    __device__ EdgeShare()
    {
        static_assert(S::TK == 16 && S::TN * 2 * (WIDTH / 4) == S::THREADS, "one share for each thread");
        k = threadIdx.x % 2 * 8;
        d = threadIdx.x / 2 % (WIDTH / 4) * 4;
        n = threadIdx.x / (2 * (WIDTH / 4));
    }
};

/* sum += weights rows, over TM m: rows are vectors over (n,m), in steps of DEPTH columns. */
template <class S>
__device__ __forceinline__ void add_rows(float4 (&sum)[8], const float *weights, const float *rows,
                                         const EdgeShare<S> &at)
{
    const float *from = rows + at.d / S::DEPTH * S::TN * S::TM * S::DEPTH;
    const int vector = at.d % S::DEPTH / 4;
#pragma unroll
    for (int m = 0; m < S::TM; m++) {
        const float4 row = vector_at(from, place_of<S::TM, S::DEPTH>(at.n, m, vector));
#pragma unroll
        for (int c = 0; c < 2; c++) {
            const float4 weight = vector_at(weights, weight_at<S>(at.n, m, at.k / 4 + c));
#pragma unroll
            for (int l = 0; l < 4; l++) add_scaled(sum[4 * c + l], part(weight, l), row);
        }
    }
}

template <class S> struct EdgeGradients {
    typedef EdgeSpace<S> Space;
    const floyd_job &job;
    const Tile &tile; /* along n and k */
    float *const shared;
    int64_t column;
    int stage;
    Place<S> place;
    EdgeShare<S> share;

    __device__ EdgeGradients(const floyd_job &job, const Tile &tile, float *shared)
        : job(job), tile(tile), shared(shared), column(0), stage(0)
    {
        static_assert(Space::PAIRS * WIDTH <= S::STAGES * Space::STAGE, "results pass through the stages");
        static_assert(S::RESIDENT || Space::PAIRS * WIDTH <= Space::STAGE, "and so do rows");
    }

    __device__ float *at_stage(int which) const { return shared + (S::STAGES == 2 ? which : 0) * Space::STAGE; }

    __device__ Source edge1(floyd_role role) const
    {
        return Source(job.tensor[role], tile, 2, tile.first, job.N, tile.second, job.K);
    }

    __device__ Source edge2(floyd_role role, int64_t m) const
    {
        return Source(job.tensor[role], tile, 3, m, job.M, tile.second, job.K);
    }

    __device__ Source pairs(floyd_role role, int64_t m) const
    {
        return Source(job.tensor[role], tile, 2, tile.first, job.N, m, job.M);
    }

    /* One step of DEPTH columns of Q.K (else dY.V). */
    __device__ __forceinline__ void load_product(int which, bool keys, int64_t m, int64_t d) const
    {
        float *to = at_stage(which);
        load<S, S::TM, S::TK, S::DEPTH>(to + Space::K2, edge2(keys ? FLOYD_ROLE_K2 : FLOYD_ROLE_V2, m), d, job.D);
        if (S::RESIDENT) return;
        load<S, S::TN, S::TK, S::DEPTH>(to + Space::K1, edge1(keys ? FLOYD_ROLE_K1 : FLOYD_ROLE_V1), d, job.D);
        load<S, S::TN, S::TM, S::DEPTH>(to + Space::Q, pairs(keys ? FLOYD_ROLE_Q : FLOYD_ROLE_DY, m), d, job.D);
    }

    /* Q (else dY) of this pass's columns, for the products with dS and P. */
    __device__ __forceinline__ void load_rows(float *to, bool queries, int64_t m) const
    {
        load_wide<S, S::TN, S::TM>(to, pairs(queries ? FLOYD_ROLE_Q : FLOYD_ROLE_DY, m), column, job.D);
    }

    template <class Next> __device__ __forceinline__ void product(float (&sum)[64], bool keys, int64_t m, Next next)
    {
        const float *edges = shared + (keys ? Space::KEYS : Space::VALUES);
        const float *pairs = shared + (keys ? Space::QUERIES : Space::DY);
        clear(sum);
#pragma unroll 1
        for (int64_t d = 0; d < job.D; d += S::DEPTH) {
            advance<S>(
                stage, [&](int to) { load_product(to, keys, m, d); },
                [&](int to) {
                    if (S::RESIDENT && keys && d == 0) load_rows(shared + Space::DY, false, m);
                    if (d + S::DEPTH < job.D)
                        load_product(to, keys, m, d + S::DEPTH);
                    else
                        next(to);
                });
            const float *from = at_stage(stage);
            add_scores<S>(sum, S::RESIDENT ? pairs + d * Space::PAIRS : from + Space::Q,
                          S::RESIDENT ? edges + d * Space::EDGES : from + Space::K1, from + Space::K2, place);
        }
        add_groups<S>(sum, place);
    }

    /* From dP, and the scores in P's memory, to P and dS. */
    __device__ __forceinline__ void put_weights(const float (&product)[64])
    {
        float weight[64], derivative[64];
#pragma unroll
        for (int j = 0; j < S::HELD / 4; j++) {
            const int n = held_n(place), m = held_m(place) + j;
            const float4 score = vector_at(shared + Space::P, weight_at<S>(n, m, place.k / 4));
            derive(job, get_row(shared + Space::ROWS, n * S::TM + m), place.k, job.K - tile.second - place.k, score,
                   product + 4 * j, weight + 4 * j, derivative + 4 * j);
        }
        put_held<S>(shared + Space::P, weight, place);
        put_held<S>(shared + Space::DS, derivative, place);
    }

    /* dk += dS Q, dv += P dY, each with what it multiplies in place. */
    __device__ __forceinline__ void accumulate(int64_t m, float4 (&dk)[8], float4 (&dv)[8])
    {
        const bool more = m + S::TM < job.M;
        if (S::RESIDENT) {
            __syncthreads();
            add_rows<S>(dk, shared + Space::DS, shared + Space::QUERIES, share);
            __syncthreads();
            if (more) load_rows(shared + Space::QUERIES, true, m + S::TM);
            copy_async_commit();
            add_rows<S>(dv, shared + Space::P, shared + Space::DY, share);
            return;
        }
        advance<S>(
            stage, [&](int to) { load_rows(at_stage(to), true, m); },
            [&](int to) { load_rows(at_stage(to), false, m); });
        add_rows<S>(dk, shared + Space::DS, at_stage(stage), share);
        advance<S>(
            stage, [&](int to) { load_rows(at_stage(to), false, m); },
            [&](int to) {
                if (more) load_product(to, true, m + S::TM, 0);
            });
        add_rows<S>(dv, shared + Space::P, at_stage(stage), share);
    }

    __device__ __forceinline__ void step(int64_t m, float4 (&dk)[8], float4 (&dv)[8])
    {
        const int64_t row_n = tile.first + threadIdx.x / S::TM, row_m = m + threadIdx.x % S::TM;
        floyd_row row = {0, 0, 0, 0};
        uint32_t masked = 0;
        if (threadIdx.x < Space::PAIRS) {
            row = load_row(job, tile, row_n, row_m);
            masked = mask_bits<S::TK>(job, tile, row_n, row_m, tile.second);
        }
        float sum[64];
        product(sum, true, m, [&](int to) { load_product(to, false, m, 0); });
        put_held<S>(shared + Space::P, sum, place);
        if (threadIdx.x < Space::PAIRS) put_row(shared + Space::ROWS, threadIdx.x, row, masked);
        product(sum, false, m, [&](int to) {
            if (!S::RESIDENT)
                load_rows(at_stage(to), true, m);
            else if (m + S::TM < job.M)
                load_product(to, true, m + S::TM, 0);
        });
        put_weights(sum);
        accumulate(m, dk, dv);
    }

    __device__ __forceinline__ void store(floyd_role role, const float4 (&sum)[8]) const
    {
        if (!job.tensor[role].data) return;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 8; k++)
            *reinterpret_cast<float4 *>(shared + place_of<S::TK, WIDTH>(share.n, share.k + k, share.d / 4)) =
                sum[k];
        __syncthreads();
        store_tile<S::TN, S::TK, S::THREADS>(shared, edge1(role), column, job.D, job.continued,
                                             [](int, float value) { return value; });
    }

    __device__ __forceinline__ void pass()
    {
        __syncthreads();
        if (S::RESIDENT) {
            load_wide<S, S::TN, S::TK>(shared + Space::KEYS, edge1(FLOYD_ROLE_K1), 0, job.D);
            load_wide<S, S::TN, S::TK>(shared + Space::VALUES, edge1(FLOYD_ROLE_V1), 0, job.D);
            if (job.M > 0) load_rows(shared + Space::QUERIES, true, 0);
        }
        if (S::VECTORS && job.M > 0) load_product(stage ^ 1, true, 0, 0);
        if (S::VECTORS) copy_async_commit();
        float4 dk[8], dv[8];
#pragma unroll
        for (int k = 0; k < 8; k++) dk[k] = dv[k] = make_float4(0, 0, 0, 0);
#pragma unroll 1
        for (int64_t m = 0; m < job.M; m += S::TM) step(m, dk, dv);
        if (S::VECTORS) copy_async_wait<0>();
        store(FLOYD_ROLE_DK1, dk);
        store(FLOYD_ROLE_DV1, dv);
    }
};

template <class S>
__global__ void __launch_bounds__(S::THREADS) edge_gradients(const __grid_constant__ floyd_job job)
{
    const int64_t count1 = ceil_div(job.N, S::TN), count2 = ceil_div(job.K, S::TK);
    const int64_t tiles = job.B * job.H * count1 * count2;
    if (job.continued && job.M == 0) return; /* nothing is added */
    for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
        const Tile tile(job, index, count1, count2, S::TN, S::TK);
        EdgeGradients<S> gradients(job, tile, reinterpret_cast<float *>(shared_memory()));
#pragma unroll 1
        for (; gradients.column < job.D; gradients.column += WIDTH) gradients.pass();
    }
}

} // namespace simt
} // namespace floyd

#endif
