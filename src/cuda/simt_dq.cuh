/* SPDX-License-Identifier: Apache-2.0 */
/* dQ of a tile of pairs: scores, dP, and the product of dS with the keys. */
#ifndef FLOYD_CUDA_SIMT_DQ_CUH
#define FLOYD_CUDA_SIMT_DQ_CUH

#include "simt_pairs.cuh"
#include "simt_rows.cuh"

namespace floyd
{
namespace simt
{

template <class S> struct QueryGradient : Pairs<S> {
    typedef Pairs<S> Base;
    typedef PairSpace<S> Space;
    using Base::column, Base::job, Base::pairs, Base::place, Base::row_m, Base::row_n, Base::shared, Base::stage,
        Base::tile;

    using Base::Base;

    /* From dP in `product`, and scores in the weights' memory, to dS there. */
    __device__ __forceinline__ void put_derivatives(const float (&product)[64], int64_t k)
    {
        float derivative[64];
#pragma unroll
        for (int j = 0; j < S::HELD / 4; j++) {
            const int n = held_n(place), m = held_m(place) + j;
            const float4 score = vector_at(shared + Space::WEIGHTS, weight_at<S>(n, m, place.k / 4));
            float weight[4];
            derive(job, get_row(shared + Space::ROWS, n * S::TM + m), place.k, job.K - k - place.k, score,
                   product + 4 * j, weight, derivative + 4 * j);
        }
        put_held<S>(shared + Space::WEIGHTS, derivative, place);
    }

    __device__ __forceinline__ void step(int64_t k, float4 (&sum)[4][4], const float *q, const float *dy)
    {
        float product[64];
        this->scores(product, Keys(), k, q, [&](int to) { this->load_scores(to, Values(), k, 0); });
        put_held<S>(shared + Space::WEIGHTS, product, place);
        this->scores(product, Values(), k, dy, [&](int to) { this->load_values(to, Keys(), k); });
        put_derivatives(product, k);
        this->values(
            sum, Keys(), k, [] {}, [&](int to) { this->load_scores(to, Keys(), k + S::TK, 0); });
    }

    __device__ __forceinline__ void store(const float4 (&sum)[4][4]) const
    {
        put_share<S>(shared, sum, this->share);
        __syncthreads();
        store_tile<S::TN, S::TM, S::THREADS>(shared, pairs(FLOYD_ROLE_DQ), column, job.D, job.continued,
                                             [](int, float value) { return value; });
    }

    __device__ __forceinline__ void pass()
    {
        __syncthreads();
        float *q = shared + Space::RESIDENTS, *dy = q + Space::PAIRS * WIDTH;
        if (S::RESIDENT) {
            load_wide<S, S::TN, S::TM>(q, pairs(FLOYD_ROLE_Q), 0, job.D);
            load_wide<S, S::TN, S::TM>(dy, pairs(FLOYD_ROLE_DY), 0, job.D);
        }
        if (S::VECTORS && job.K > 0) this->load_scores(stage ^ 1, Keys(), 0, 0);
        if (S::VECTORS) copy_async_commit();
        const floyd_row row = load_row(job, tile, row_n, row_m);
        float4 sum[4][4];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) sum[i][j] = make_float4(0, 0, 0, 0);
        put_row(shared + Space::ROWS, threadIdx.x, row, 0);
#pragma unroll 1
        for (int64_t k = 0; k < job.K; k += S::TK) {
            if (job.tensor[FLOYD_ROLE_MASK].data)
                put_row(shared + Space::ROWS, threadIdx.x, row, mask_bits<S::TK>(job, tile, row_n, row_m, k));
            step(k, sum, q, dy);
        }
        if (S::VECTORS) copy_async_wait<0>();
        __syncthreads();
        store(sum);
    }
};

template <class S>
__global__ void __launch_bounds__(S::THREADS) query_gradient(const __grid_constant__ floyd_job job)
{
    const int64_t count1 = ceil_div(job.N, S::TN), count2 = ceil_div(job.M, S::TM);
    const int64_t tiles = job.B * job.H * count1 * count2;
    if (job.continued && job.K == 0) return; /* nothing is added */
    for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
        const Tile tile(job, index, count1, count2, S::TN, S::TM);
        QueryGradient<S> gradient(job, tile, reinterpret_cast<float *>(shared_memory()));
#pragma unroll 1
        for (; gradient.column < job.D; gradient.column += WIDTH) gradient.pass();
    }
}

} // namespace simt
} // namespace floyd

#endif
