/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dQ of a tile of pairs. Step j takes 16 pivots:
 *   warp m:  exchange <- dY[m] V2[m], Q[m] K2[m]
 *   warp n:  S = Q[n] K1[n] + exchange, dP = dY[n] V1[n] + exchange;  exchange <- dS;  dQ1[n] += dS[n] K1[n]
 *   warp m:  dQ2[m] += dS[m] K2[m]
 * with a barrier before and after the second. What a warp has read for the last time is loaded anew at once.
 */
#ifndef FLOYD_CUDA_MMA_DQ_CUH
#define FLOYD_CUDA_MMA_DQ_CUH

#include "mma_gradient.cuh"
#include "mma_output.cuh"

namespace floyd
{

/* dP becomes dS in rows m0 + g, m0 + g + 8 of one n. */
__device__ __forceinline__ void weigh_pairs(Piece &s, Piece &dp, const floyd_job &job, const floyd_row (&rows)[2],
                                            const Place &at, int64_t n, int64_t m0, int64_t k0, const Lane &my)
{
    const Mask mask(job, at, n);
#pragma unroll
    for (int h = 0; h < 2; h++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int64_t m = m0 + my.g + 8 * (i >> 1), k = k0 + 8 * h + 2 * my.t + (i & 1);
            const bool absent = k >= job.K;
            const bool masked = is_masked(job) && !absent && m < job.M && n < job.N && mask(m, k);
            weigh_any(s[h][i], dp[h][i], rows[i >> 1], masked, absent, job);
        }
    }
}

template <class T, int DP, int R>
__global__ void __launch_bounds__(THREADS, 1) mma_dq(const __grid_constant__ floyd_job job)
{
    typedef Layout<DP, R> L;
    typedef GradientSpace<L> Space;
    char *const shared = shared_memory();
    const Lane my;
    const Place at(job, job.N, job.M, L::N, L::M);
    const Offsets<L> offset(my);
    const Loader<L> loader(my, static_cast<int>(job.D));
    const int w = my.warp;
    const int64_t n = at.first + w, m0 = at.second, K = job.K, n_read = clamp_index(n, job.N);
    const auto by_n = exchange_of_n<L>(my, w, 0);
    const auto by_m = exchange_of_m<L>(my, w);
    EdgeLines<L, 2, 1> first(loader, at, n, job.N, job.tensor[FLOYD_ROLE_K1], job.tensor[FLOYD_ROLE_V1]);
    EdgeLines<L, 3, R> second(loader, at, m0 + w, job.M, job.tensor[FLOYD_ROLE_K2], job.tensor[FLOYD_ROLE_V2]);

    const auto load_pairs = [&](const floyd_view &view, int space) {
        const int64_t stride = view.stride[3] * 2;
        const char *const line = line_of<2>(view, at, n_read) + m0 * stride;
        loader.template pairs<L::M>(shared + space, w, loader.piece(line, stride), stride, job.M - m0);
    };
    const auto second_product = [&](int pairs, int edges, int space, int r) {
        Piece piece;
        clear(piece);
        multiply<T, L::STEPS>(piece, shared + pairs + r * L::PAIR_16_M, offset.q_m,
                              shared + edges + r * 16 * L::SLICE, offset.right);
        by_m.put(piece, shared + space + r * L::EXCHANGE_16_M);
    };

    float dq1[R][L::COLUMNS][4] = {}, dq2[R][L::COLUMNS][4] = {};
    floyd_row rows[R][2];
    uint32_t flags = is_masked(job) ? 1 : 0;
#pragma unroll
    for (int r = 0; r < R; r++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int64_t m = clamp_index(m0 + 16 * r + my.g + 8 * i, job.M);
            rows[r][i] = load_row(rows_of(job, at, n_read) + m * job.row_stride[2]);
            flags |= rows[r][i].flags;
        }
    }
    const bool plain = !__any_sync(0xffffffffu, flags != 0);

    load_pairs(job.tensor[FLOYD_ROLE_Q], Space::Q);
    load_pairs(job.tensor[FLOYD_ROLE_DY], Space::DY);
    second.load_v(shared + Space::V2, offset.to, K);
    first.load_both(shared + Space::K1, shared + Space::V1, offset.to, K);
    copy_async_commit();
    second.load_k(shared + Space::K2, offset.to, K);
    copy_async_commit();
    for (int64_t k0 = 0; k0 < K; k0 += STEP) {
        const int64_t rest = K - k0 - STEP;
        copy_async_wait<1>();
        if (k0 == 0)
            __syncthreads(); /* Q and dY are everybody's */
        else
            __syncwarp();
#pragma unroll
        for (int r = 0; r < R; r++) second_product(Space::DY, Space::V2, Space::DP, r);
        copy_async_wait<0>(); /* K2 was asked for last */
        __syncwarp();
        if (rest > 0) second.load_v(shared + Space::V2, offset.to, rest);
        copy_async_commit();
#pragma unroll
        for (int r = 0; r < R; r++) second_product(Space::Q, Space::K2, Space::S, r);
        __syncthreads();

#pragma unroll
        for (int r = 0; r < R; r++) {
            Piece s, dp;
            clear(s);
            clear(dp);
            multiply<T, L::STEPS>(s, shared + Space::Q + r * L::PAIR_16_M, offset.q_n, shared + Space::K1,
                                  offset.right);
            multiply<T, L::STEPS>(dp, shared + Space::DY + r * L::PAIR_16_M, offset.q_n, shared + Space::V1,
                                  offset.right);
            by_n.add(s, shared + Space::S + r * L::EXCHANGE_16_M);
            by_n.add(dp, shared + Space::DP + r * L::EXCHANGE_16_M);
            if (plain && rest >= 0)
                weigh_piece(s, dp, job.scale, [&](int, int i) -> const floyd_row & { return rows[r][i >> 1]; });
            else
                weigh_pairs(s, dp, job, rows[r], at, n, m0 + 16 * r, k0, my);
            by_n.put(dp, shared + Space::S + r * L::EXCHANGE_16_M);
            accumulate<T, false>(dq1[r], dp, shared + Space::K1, offset.left);
        }
        __syncwarp();
        if (rest > 0) first.load_both(shared + Space::K1, shared + Space::V1, offset.to, rest);
        copy_async_commit();
        __syncthreads();

#pragma unroll
        for (int r = 0; r < R; r++) {
            Piece ds;
            by_m.get(ds, shared + Space::S + r * L::EXCHANGE_16_M);
            accumulate<T, false>(dq2[r], ds, shared + Space::K2 + r * 16 * L::SLICE, offset.left);
        }
        __syncwarp();
        if (rest > 0) second.load_k(shared + Space::K2, offset.to, rest);
        copy_async_commit();
    }
    copy_async_wait<0>();
    static_assert(L::N * L::M * DP * 4 <= Space::K2, "results lie below what the last phase reads");
    __syncthreads();
#pragma unroll
    for (int r = 0; r < R; r++) put_results<L>(shared, dq2[r], w + 16 * r, my);
    __syncthreads();
    const floyd_view &dq = job.tensor[FLOYD_ROLE_DQ];
#pragma unroll
    for (int r = 0; r < R; r++) {
        add_results<L>(dq1[r], shared, w, 16 * r, my);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int64_t m = m0 + 16 * r + my.g + 8 * i;
            if (n < job.N && m < job.M)
                store_row(dq, row_at(dq, at.b, at.h, n, m), dq1[r], i, Reciprocal(1), job.continued, job.D, my.t);
        }
    }
}

} // namespace floyd

#endif
