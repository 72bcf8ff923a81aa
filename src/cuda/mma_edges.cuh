/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dK1 and dV1 of a tile of 16 n and 16 k; dK2 and dV2 are these of the mirrored problem. Step j takes 16 m:
 *   warp n:  S' = K1[n] Q[n], dP' = V1[n] dY[n] (rows k, columns m), in registers
 *   warp m:  exchange <- Q[m] K2[m], dY[m] V2[m]
 *   warp n:  P' and dS' from both;  dV1[n] += P' dY[n];  dK1[n] += dS' Q[n]
 * with a barrier before and after the third.
 */
#ifndef FLOYD_CUDA_MMA_EDGES_CUH
#define FLOYD_CUDA_MMA_EDGES_CUH

#include "mma_gradient.cuh"
#include "mma_output.cuh"

namespace floyd
{

/*
 * What the exchange holds of one n, added to a piece with rows k and columns m. at: of (k,m) = (g, 2t). One k on is
 * 4 bytes on, four are a piece on; one m on is half of 128 bytes, and eight are four times 128.
 */
template <class L> __device__ __forceinline__ void add_transposed(Piece &piece, const char *exchange, int at)
{
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            piece[h][i] += *reinterpret_cast<const float *>(exchange + (at ^ ((i >> 1) << 5) ^ ((i & 1) << 6)) +
                                                            h * L::EXCHANGE_16_M / 2);
}

/* P and dS at (m,k) = (m0 + columns, k0 + rows) of one n. */
__device__ __forceinline__ void weigh_edges(Piece &s, Piece &dp, const floyd_job &job, const floyd_row (&rows)[4],
                                            const Place &at, int64_t n, int64_t m0, int64_t k0, const Lane &my)
{
    const Mask mask(job, at, n);
#pragma unroll
    for (int h = 0; h < 2; h++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const floyd_row &row = rows[2 * h + (i & 1)];
            const int64_t k = k0 + my.g + 8 * (i >> 1), m = m0 + 8 * h + 2 * my.t + (i & 1);
            const bool absent = k >= job.K || (row.flags & FLOYD_ROW_ABSENT);
            const bool masked = is_masked(job) && !absent && n < job.N && mask(m, k);
            weigh_any(s[h][i], dp[h][i], row, masked, absent, job);
        }
    }
}

template <class T, int DP>
__global__ void __launch_bounds__(THREADS, 1) mma_edges(const __grid_constant__ floyd_job job)
{
    typedef Layout<DP, 1> L;
    typedef GradientSpace<L> Space;
    char *const shared = shared_memory();
    const Lane my;
    const Place at(job, job.N, job.K, L::N, STEP);
    const Offsets<L> offset(my);
    const Loader<L> loader(my, static_cast<int>(job.D));
    const int w = my.warp;
    const int64_t n = at.first + w, k0 = at.second, M = job.M;
    const int64_t n_read = clamp_index(n, job.N), k_left = job.K - k0;
    const auto by_m = exchange_of_m<L>(my, w);
    const RightLane right_lane(my.lane);
    const int pairs_right = pinned(L::pair(w, right_lane.row, right_lane.chunk), my);
    const int transposed = pinned(L::exchange(w, 2 * my.t, my.g >> 2) + (my.g & 3) * 4, my);
    const bool plain = !is_masked(job) && k_left >= STEP;
    const floyd_view &dk1 = job.tensor[FLOYD_ROLE_DK1], &dv1 = job.tensor[FLOYD_ROLE_DV1];
    const floyd_view &q = job.tensor[FLOYD_ROLE_Q], &dy = job.tensor[FLOYD_ROLE_DY];
    const floyd_view &k2 = job.tensor[FLOYD_ROLE_K2], &v2 = job.tensor[FLOYD_ROLE_V2];

    const auto load_first = [&](const floyd_view &view, int space) {
        const int64_t stride = view.stride[3] * 2;
        loader.slice(shared + space, offset.to, loader.piece(line_of<2>(view, at, n_read) + k0 * stride, stride),
                     stride, k_left);
    };
    const auto pair_line = [&](const floyd_view &view) {
        return loader.piece(line_of<2>(view, at, n_read), view.stride[3] * 2);
    };
    const auto second_line = [&](const floyd_view &view) {
        const int64_t stride = view.stride[2] * 2;
        return loader.piece(line_of<3>(view, at, w) + k0 * stride, stride);
    };
    const char *q_line = pair_line(q), *dy_line = pair_line(dy);
    const char *k2_line = second_line(k2), *v2_line = second_line(v2);
    const floyd_row *row_line = rows_of(job, at, n_read) + 2 * my.t * job.row_stride[2];

    /* The next 16 m, `rest` of them left. */
    const auto load_pairs = [&](const char *&line, const floyd_view &view, int space, int64_t rest) {
        const int64_t stride = view.stride[3] * 2;
        loader.template pairs<STEP>(shared + space, w, line, stride, rest);
        line += STEP * stride;
    };
    const auto load_second = [&](const char *&line, const floyd_view &view, int space, int64_t rest) {
        loader.slice(shared + space, offset.to, line, view.stride[2] * 2, w < rest ? k_left : 0);
        line += STEP * view.stride[3] * 2;
    };
    const auto second_product = [&](int pairs, int edges, int space) {
        Piece piece;
        clear(piece);
        multiply<T, L::STEPS>(piece, shared + pairs, offset.q_m, shared + edges, offset.right);
        by_m.put(piece, shared + space);
    };

    float sum_k[L::COLUMNS][4] = {}, sum_v[L::COLUMNS][4] = {};
    load_first(job.tensor[FLOYD_ROLE_K1], Space::K1);
    load_first(job.tensor[FLOYD_ROLE_V1], Space::V1);
    load_second(k2_line, k2, Space::K2, M);
    load_second(v2_line, v2, Space::V2, M);
    load_pairs(q_line, q, Space::Q, M);
    copy_async_commit();
    load_pairs(dy_line, dy, Space::DY, M);
    copy_async_commit();
    for (int64_t m0 = 0; m0 < M; m0 += STEP) {
        const int64_t rest = M - m0 - STEP;
        Piece s, dp;
        clear(s);
        clear(dp);
        copy_async_wait<1>();
        __syncwarp();
        multiply<T, L::STEPS>(s, shared + Space::K1, offset.left, shared + Space::Q, pairs_right);
        copy_async_wait<0>();
        __syncwarp();
        multiply<T, L::STEPS>(dp, shared + Space::V1, offset.left, shared + Space::DY, pairs_right);
        __syncthreads(); /* Q and dY are there for all, and the exchange has been read */
        second_product(Space::Q, Space::K2, Space::S);
        second_product(Space::DY, Space::V2, Space::DP);
        __syncwarp();
        if (rest > 0) {
            load_second(k2_line, k2, Space::K2, rest);
            load_second(v2_line, v2, Space::V2, rest);
        }
        copy_async_commit();
        floyd_row rows[4];
        uint32_t flags = 0;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int m = 8 * (i >> 1) + (i & 1);
            if (rest >= 0 || m0 + m + 2 * my.t < M)
                rows[i] = load_row(row_line + m * job.row_stride[2]);
            else
                rows[i] = {0, 0, 0, FLOYD_ROW_ABSENT};
            flags |= rows[i].flags;
        }
        row_line += STEP * job.row_stride[2];
        __syncthreads();
        add_transposed<L>(s, shared + Space::S, transposed);
        add_transposed<L>(dp, shared + Space::DP, transposed);
        if (plain && !__any_sync(0xffffffffu, flags != 0))
            weigh_piece(s, dp, job.scale, [&](int h, int i) -> const floyd_row & { return rows[2 * h + (i & 1)]; });
        else
            weigh_edges(s, dp, job, rows, at, n, m0, k0, my);
        /* Q is loaded anew while dV1 is computed, and read first in the next step; dY the other way round. */
        if (dk1.data) accumulate<T, false>(sum_k, dp, shared + Space::Q, offset.q_n);
        __syncwarp();
        if (rest > 0) load_pairs(q_line, q, Space::Q, rest);
        copy_async_commit();
        if (dv1.data) accumulate<T, false>(sum_v, s, shared + Space::DY, offset.q_n);
        __syncwarp();
        if (rest > 0) load_pairs(dy_line, dy, Space::DY, rest);
        copy_async_commit();
    }
    copy_async_wait<0>();
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int64_t k = k0 + my.g + 8 * i;
        if (n >= job.N || k >= job.K) continue;
        if (dk1.data)
            store_row(dk1, row_at(dk1, at.b, at.h, n, k), sum_k, i, Reciprocal(1), job.continued, job.D, my.t);
        if (dv1.data)
            store_row(dv1, row_at(dv1, at.b, at.h, n, k), sum_v, i, Reciprocal(1), job.continued, job.D, my.t);
    }
}

} // namespace floyd

#endif
