/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forward of a tile of pairs. Step j takes 16 pivots:
 *   phase m (warp m):  Y2[m] += P(j-1)[m] V2(j-1)[m];  exchange <- Q[m] K2(j)[m]
 *   phase n (warp n):  S = exchange + Q[n] K1(j)[n];  softmax;  exchange <- P(j);  Y1[n] += P(j)[n] V1(j)[n]
 * The edges that a phase has read are loaded anew during the other one.
 */
#ifndef FLOYD_CUDA_MMA_FORWARD_CUH
#define FLOYD_CUDA_MMA_FORWARD_CUH

#include <cfloat>
#include <cmath>

#include "mma_output.cuh"

namespace floyd
{

/*
 * The running softmax of the two rows of one fragment. Weights are relative to `reference`, which follows the
 * greatest score only when that has grown by a factor of 2: between, nothing needs to be scaled again. Sums are
 * this lane's share.
 */
struct Softmax {
    float top[2], reference[2], sum[2];

    static __device__ __forceinline__ float shift(float reference)
    {
        return reference == -INFINITY ? 0 : reference;
    }

    static __device__ __forceinline__ float weight(float score, float reference)
    {
        return exp2_approx((score - reference) * LOG2E);
    }

    /* Scores become weights; factor is what everything summed so far must be multiplied with. */
    __device__ __forceinline__ void step(Piece &s, float (&factor)[2])
    {
        constexpr float SLACK = 0.6931472f;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float most = max_nan(max_nan(s[0][2 * i], s[0][2 * i + 1]), max_nan(s[1][2 * i], s[1][2 * i + 1]));
            most = max_nan(most, __shfl_xor_sync(0xffffffffu, most, 1));
            most = max_nan(most, __shfl_xor_sync(0xffffffffu, most, 2));
            top[i] = max_nan(top[i], most);
            factor[i] = 1;
            if (!(top[i] <= reference[i] + SLACK)) {
                factor[i] = reference[i] == -INFINITY && top[i] == top[i] ? 0 : weight(reference[i], top[i]);
                reference[i] = top[i];
                sum[i] *= factor[i];
            }
            const float from = shift(reference[i]);
            float total = 0;
#pragma unroll
            for (int h = 0; h < 2; h++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float &x = s[h][2 * i + e];
                    x = weight(x, from);
                    total += x;
                }
            }
            sum[i] += total;
        }
    }

    /* The row's sum, of all four lanes, relative to the reference. */
    __device__ __forceinline__ float total(int i) const
    {
        float all = sum[i] + __shfl_xor_sync(0xffffffffu, sum[i], 1);
        return all + __shfl_xor_sync(0xffffffffu, all, 2);
    }
};

template <int COLUMNS>
__device__ __forceinline__ void scale_rows(float (&sum)[COLUMNS][4], const float (&factor)[2])
{
    if (!__any_sync(0xffffffffu, factor[0] != 1 || factor[1] != 1)) return;
#pragma unroll
    for (int j = 0; j < COLUMNS; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) sum[j][i] *= factor[i >> 1];
}

/* Scores of rows m0 + g and m0 + g + 8 of one n: scaled, masked, and out of reach past the last pivot. */
__device__ __forceinline__ void finish_scores(Piece &s, const floyd_job &job, const Place &at, int64_t n,
                                              int64_t m0, int64_t k0, const Lane &my)
{
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 4; i++) s[h][i] *= job.scale;
    if (is_masked(job) && n < job.N) {
        const Mask mask(job, at, n);
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int64_t m = m0 + my.g + 8 * (i >> 1), k = k0 + 8 * h + 2 * my.t + (i & 1);
                if (m < job.M && k < job.K && mask(m, k)) s[h][i] = -FLT_MAX;
            }
    }
    if (k0 + STEP > job.K) {
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (k0 + 8 * h + 2 * my.t + (i & 1) >= job.K) s[h][i] = -INFINITY;
    }
}

/* Shared memory, by offset. What follows the loop may use Q, K1 and V1 again. */
template <class L> struct ForwardSpace {
    static constexpr int Q = 0, K1 = Q + L::PAIRS, V1 = K1 + L::N * L::SLICE, K2 = V1 + L::N * L::SLICE,
                         V2 = K2 + L::M * L::SLICE, EXCHANGE = V2 + L::M * L::SLICE,
                         FACTORS = EXCHANGE + L::EXCHANGE, BYTES = FACTORS + L::N * (L::M + 1) * 4;
};

/* Carries on from the max, sum and Y that are stored for this fragment's rows; from nothing where sum is 0. */
template <class L>
__device__ __forceinline__ void resume(const floyd_job &job, const Place &at, int64_t n, int64_t m0, Softmax &soft,
                                       float (&sum)[L::COLUMNS][4], const Lane &my)
{
    const floyd_view &y = job.tensor[FLOYD_ROLE_Y], &max = job.tensor[FLOYD_ROLE_MAX];
    const floyd_view &total = job.tensor[FLOYD_ROLE_SUM];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int64_t m = m0 + my.g + 8 * i;
        if (n >= job.N || m >= job.M) continue;
        const float before = load_float(total, row_at(total, at.b, at.h, n, m));
        const float top = load_float(max, row_at(max, at.b, at.h, n, m));
        if (before == 0 || top == -INFINITY)
            continue; /* nothing yet; or scores of -inf alone, which leave no trace */
        soft.top[i] = soft.reference[i] = top;
        soft.sum[i] = my.t == 0 ? before : 0;
        const int64_t row = row_at(y, at.b, at.h, n, m);
#pragma unroll
        for (int j = 0; j < L::COLUMNS; j++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const int64_t d = 8 * j + 2 * my.t + e;
                if (d < job.D) sum[j][2 * i + e] = load_float(y, row + d * y.stride[4]) * before;
            }
    }
}

template <class L>
__device__ __forceinline__ void finish_rows(const floyd_job &job, const Place &at, int64_t n, int64_t m0,
                                            const Softmax &soft, const float (&sum)[L::COLUMNS][4], const Lane &my)
{
    const floyd_view &y = job.tensor[FLOYD_ROLE_Y], &max = job.tensor[FLOYD_ROLE_MAX];
    const floyd_view &total = job.tensor[FLOYD_ROLE_SUM];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int64_t m = m0 + my.g + 8 * i;
        float all = soft.total(i);
        if (n >= job.N || m >= job.M) continue;
        const float top = soft.top[i];
        if (top == -INFINITY) all = NAN; /* exp(-inf + inf), as the formula has it */
        store_row(y, row_at(y, at.b, at.h, n, m), sum, i, Reciprocal(all), false, job.D, my.t);
        if (soft.reference[i] != top) all *= Softmax::weight(soft.reference[i], top);
        if (my.t != 0) continue;
        if (max.data) store_copies(max, row_at(max, at.b, at.h, n, m), job.copies[0], top);
        if (total.data) store_copies(total, row_at(total, at.b, at.h, n, m), job.copies[1], all);
    }
}

template <class T, int DP, int R>
__global__ void __launch_bounds__(THREADS, 1) mma_forward(const __grid_constant__ floyd_job job)
{
    typedef Layout<DP, R> L;
    typedef ForwardSpace<L> Space;
    char *const shared = shared_memory(), *const exchange = shared + Space::EXCHANGE;
    float *const factors = reinterpret_cast<float *>(shared + Space::FACTORS);
    const Lane my;
    const Place at(job, job.N, job.M, L::N, L::M);
    const Offsets<L> offset(my);
    const Loader<L> loader(my, static_cast<int>(job.D));
    const int w = my.warp;
    const int64_t n = at.first + w, m0 = at.second, K = job.K;
    const floyd_view &k1 = job.tensor[FLOYD_ROLE_K1], &v1 = job.tensor[FLOYD_ROLE_V1];
    const floyd_view &k2 = job.tensor[FLOYD_ROLE_K2], &v2 = job.tensor[FLOYD_ROLE_V2];
    const floyd_view &q = job.tensor[FLOYD_ROLE_Q];
    const auto by_n = exchange_of_n<L>(my, w, 0);
    const auto by_m = exchange_of_m<L>(my, w);
    EdgeLines<L, 2, 1> first(loader, at, clamp_index(n, job.N), job.N, k1, v1);
    EdgeLines<L, 3, R> second(loader, at, m0 + w, job.M, k2, v2);

    Softmax soft[R];
    float y1[R][L::COLUMNS][4] = {}, y2[R][L::COLUMNS][4] = {};
#pragma unroll
    for (int r = 0; r < R; r++) {
        soft[r] = {{-INFINITY, -INFINITY}, {-INFINITY, -INFINITY}, {0, 0}};
        if (job.continued) resume<L>(job, at, n, m0 + 16 * r, soft[r], y1[r], my);
    }

    const auto finish_y2 = [&]() {
#pragma unroll
        for (int r = 0; r < R; r++) {
            const int m = w + 16 * r;
            const float factor[2] = {factors[my.g * (L::M + 1) + m], factors[(my.g + 8) * (L::M + 1) + m]};
            Piece p;
            by_m.get(p, exchange + r * L::EXCHANGE_16_M);
            scale_rows(y2[r], factor);
            accumulate<T, true>(y2[r], p, shared + Space::V2 + r * 16 * L::SLICE, offset.left);
        }
    };

    const int64_t q_stride = q.stride[3] * 2;
    loader.template pairs<L::M>(shared + Space::Q, w,
                                loader.piece(line_of<2>(q, at, clamp_index(n, job.N)) + m0 * q_stride, q_stride),
                                q_stride, job.M - m0);
    second.load_k(shared + Space::K2, offset.to, K);
    copy_async_commit();
    first.load_both(shared + Space::K1, shared + Space::V1, offset.to, K);
    copy_async_commit();
    for (int64_t k0 = 0; k0 < K; k0 += STEP) {
        const int64_t rest = K - k0 - STEP;
        copy_async_wait<1>();
        if (k0 == 0) {
            __syncthreads(); /* Q is everybody's */
        } else {
            __syncwarp();
            finish_y2();
        }
#pragma unroll
        for (int r = 0; r < R; r++) {
            Piece s;
            clear(s);
            multiply<T, L::STEPS>(s, shared + Space::Q + r * L::PAIR_16_M, offset.q_m,
                                  shared + Space::K2 + r * 16 * L::SLICE, offset.right);
            by_m.put(s, exchange + r * L::EXCHANGE_16_M);
        }
        __syncwarp();
        second.load_v(shared + Space::V2, offset.to, rest + STEP);
        if (rest > 0) second.load_k(shared + Space::K2, offset.to, rest);
        copy_async_commit();
        copy_async_wait<1>();
        __syncthreads();
#pragma unroll
        for (int r = 0; r < R; r++) {
            Piece s;
            float factor[2];
            clear(s);
            multiply<T, L::STEPS>(s, shared + Space::Q + r * L::PAIR_16_M, offset.q_n, shared + Space::K1,
                                  offset.right);
            by_n.add(s, exchange + r * L::EXCHANGE_16_M);
            finish_scores(s, job, at, n, m0 + 16 * r, k0, my);
            soft[r].step(s, factor);
            by_n.put(s, exchange + r * L::EXCHANGE_16_M);
            if (my.t == 0) {
                factors[w * (L::M + 1) + 16 * r + my.g] = factor[0];
                factors[w * (L::M + 1) + 16 * r + my.g + 8] = factor[1];
            }
            scale_rows(y1[r], factor);
            accumulate<T, true>(y1[r], s, shared + Space::V1, offset.left);
        }
        __syncwarp();
        if (rest > 0) first.load_both(shared + Space::K1, shared + Space::V1, offset.to, rest);
        copy_async_commit();
        __syncthreads();
    }
    copy_async_wait<0>();
    __syncwarp();
    finish_y2();
    static_assert(L::N * L::M * DP * 4 <= Space::K2, "results lie below what the last phase reads");
#pragma unroll
    for (int r = 0; r < R; r++) put_results<L>(shared, y2[r], w + 16 * r, my);
    __syncthreads();
#pragma unroll
    for (int r = 0; r < R; r++) {
        add_results<L>(y1[r], shared, w, 16 * r, my);
        finish_rows<L>(job, at, n, m0 + 16 * r, soft[r], y1[r], my);
    }
}

} // namespace floyd

#endif
