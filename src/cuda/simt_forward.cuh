/* SPDX-License-Identifier: Apache-2.0 */
/* The forward of a tile of pairs: scores, the online softmax, where each thread has one row, and values. */
#ifndef FLOYD_CUDA_SIMT_FORWARD_CUH
#define FLOYD_CUDA_SIMT_FORWARD_CUH

#include "simt_pairs.cuh"

namespace floyd
{
namespace simt
{

/* One row's running softmax. */
struct Softmax {
    float max, sum;

    /* Scores become weights, by which the row's sum grows. Returns the factor for all that was summed before. */
    template <int Count>
    __device__ __forceinline__ float step(float (&s)[Count], float scale, uint32_t masked, int64_t left)
    {
        const float before = max;
#pragma unroll
        for (int i = 0; i < Count; i++) {
            s[i] = masked >> i & 1 ? -FLT_MAX : s[i] * scale;
            if (i >= left) s[i] = -INFINITY;
            max = max_nan(max, s[i]);
        }
        const bool settled = !(max <= FLOYD_FULLY_MASKED);
        const float shift = max == -INFINITY ? 0 : max;
        const float factor = max == before || before == -INFINITY ? 1 : exp_difference(before, shift);
        float total = 0;
#pragma unroll
        for (int i = 0; i < Count; i++) {
            const bool out = i >= left || (settled && (masked >> i & 1));
            s[i] = out ? 0 : exp_difference(s[i], shift);
            total += s[i];
        }
        sum = sum * factor + total;
        return factor;
    }
};

template <class S> struct Forward : Pairs<S> {
    typedef Pairs<S> Base;
    typedef PairSpace<S> Space;
    using Base::column, Base::inside, Base::job, Base::pairs, Base::row_m, Base::row_n, Base::share, Base::shared,
        Base::stage, Base::tile;

    using Base::Base;

    __device__ __forceinline__ void softmax(int64_t k, Softmax &soft, uint32_t masked)
    {
        const int n = threadIdx.x / S::TM, m = threadIdx.x % S::TM;
        float *weights = shared + Space::WEIGHTS, s[S::TK];
#pragma unroll
        for (int c = 0; c < S::TK / 4; c++) {
            const float4 v = vector_at(weights, weight_at<S>(n, m, c));
            s[4 * c] = v.x, s[4 * c + 1] = v.y, s[4 * c + 2] = v.z, s[4 * c + 3] = v.w;
        }
        shared[Space::ROWS + threadIdx.x] = soft.step(s, job.scale, masked, job.K - k);
#pragma unroll
        for (int c = 0; c < S::TK / 4; c++)
            *reinterpret_cast<float4 *>(weights + weight_at<S>(n, m, c)) =
                make_float4(s[4 * c], s[4 * c + 1], s[4 * c + 2], s[4 * c + 3]);
    }

    /* sum *= the factor of its row. */
    __device__ __forceinline__ void shrink(float4 (&sum)[4][4]) const
    {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float4 factors = vector_at(shared + Space::ROWS, (share.n + i) * S::TM + share.m);
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const float factor = part(factors, j);
                if (factor == 1) continue;
                sum[i][j].x *= factor, sum[i][j].y *= factor, sum[i][j].z *= factor, sum[i][j].w *= factor;
            }
        }
    }

    /* ---- The state, in and out ---- */

    __device__ float stored(floyd_role role) const
    {
        const floyd_view &view = job.tensor[role];
        return load_float(view, offset_of(view, tile, row_n, row_m));
    }

    /* The thread's row before the first step. Its sum goes to the shares' threads. */
    __device__ __forceinline__ Softmax begin() const
    {
        Softmax soft = {-INFINITY, 0};
        if (job.continued && inside()) {
            const Softmax before = {stored(FLOYD_ROLE_MAX), stored(FLOYD_ROLE_SUM)};
            if (before.sum != 0 && before.max != -INFINITY) soft = before;
        }
        shared[Space::ROWS + threadIdx.x] = soft.sum;
        __syncthreads();
        return soft;
    }

    /* Y times the row's sum, where that is not 0: then nothing is read. */
    __device__ __forceinline__ void begin_share(float4 (&sum)[4][4]) const
    {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) sum[i][j] = make_float4(0, 0, 0, 0);
        if (!job.continued) return;
        const Source y = pairs(FLOYD_ROLE_Y);
        load_elements<S::TN, S::TM, WIDTH, S::THREADS>(shared, y, column, job.D);
        __syncthreads();
#pragma unroll 1
        for (int index = threadIdx.x; index < Space::PAIRS * WIDTH; index += S::THREADS) {
            const int row = index / WIDTH, d = index % WIDTH;
            float &value = shared[place_of<S::TM, WIDTH>(row / S::TM, row % S::TM, d / 4) + d % 4];
            const float before = shared[Space::ROWS + row];
            value = before == 0 ? 0 : value * before;
        }
        __syncthreads();
        get_share<S>(shared, sum, share);
        __syncthreads();
    }

    __device__ __forceinline__ void end_share(const float4 (&sum)[4][4]) const
    {
        put_share<S>(shared, sum, share);
        __syncthreads();
        const float *totals = shared + Space::ROWS;
        const bool empty = job.K == 0;
        store_tile<S::TN, S::TM, S::THREADS>(shared, pairs(FLOYD_ROLE_Y), column, job.D, false,
                                             [=](int row, float value) {
                                                 const float total = totals[row];
                                                 if (empty && total == 0) return 0.0f;
                                                 return Reciprocal(total)(value);
                                             });
    }

    __device__ void store_copies(floyd_role role, int64_t copies, float value) const
    {
        const floyd_view &view = job.tensor[role];
        if (!view.data || !inside()) return;
        const int64_t at = offset_of(view, tile, row_n, row_m);
        for (int64_t i = 0; i < copies; i++) store_float(view, at + i * view.stride[4], value);
    }

    __device__ __forceinline__ void step(int64_t k, float4 (&sum)[4][4], Softmax &soft, uint32_t masked,
                                         const float *q)
    {
        float s[64];
        this->scores(s, Keys(), k, q, [&](int to) { this->load_values(to, Values(), k); });
        put_held<S>(shared + Space::WEIGHTS, s, this->place);
        __syncthreads();
        softmax(k, soft, masked);
        this->values(
            sum, Values(), k, [&] { shrink(sum); }, [&](int to) { this->load_scores(to, Keys(), k + S::TK, 0); });
    }

    __device__ __forceinline__ void pass()
    {
        __syncthreads();
        float *q = shared + Space::RESIDENTS;
        float4 sum[4][4];
        Softmax soft = begin();
        begin_share(sum);
        if (S::RESIDENT) load_wide<S, S::TN, S::TM>(q, pairs(FLOYD_ROLE_Q), 0, job.D);
        if (S::VECTORS && job.K > 0) this->load_scores(stage ^ 1, Keys(), 0, 0);
        if (S::VECTORS) copy_async_commit();
#pragma unroll 1
        for (int64_t k = 0; k < job.K; k += S::TK) {
            const uint32_t masked = mask_bits<S::TK>(job, tile, row_n, row_m, k);
            step(k, sum, soft, masked, q);
        }
        if (S::VECTORS) copy_async_wait<0>();
        __syncthreads();
        if (job.K == 0) soft.max = -FLT_MAX;
        if (soft.max == -INFINITY) soft.sum = NAN;
        shared[Space::ROWS + threadIdx.x] = soft.sum;
        __syncthreads();
        end_share(sum);
        if (column + WIDTH < job.D) return;
        store_copies(FLOYD_ROLE_MAX, job.copies[0], soft.max);
        store_copies(FLOYD_ROLE_SUM, job.copies[1], soft.sum);
    }
};

/* A head's passes are one after the other in one block: the state that they carry on from is overwritten last. */
template <class S> __global__ void __launch_bounds__(S::THREADS) forward(const __grid_constant__ floyd_job job)
{
    const int64_t count1 = ceil_div(job.N, S::TN), count2 = ceil_div(job.M, S::TM);
    const int64_t tiles = job.B * job.H * count1 * count2;
    if (job.continued && job.K == 0) return; /* nothing is added to the state */
    for (int64_t index = blockIdx.x; index < tiles; index += gridDim.x) {
        const Tile tile(job, index, count1, count2, S::TN, S::TM);
        Forward<S> forward(job, tile, reinterpret_cast<float *>(shared_memory()));
#pragma unroll 1
        for (; forward.column == 0 || forward.column < job.D; forward.column += WIDTH) forward.pass();
    }
}

} // namespace simt
} // namespace floyd

#endif
