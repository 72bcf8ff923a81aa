// SPDX-License-Identifier: Apache-2.0
// What the collectives of a warp do. Each sees the operands of the lanes in mask.
#include "emulator.h"

#include <cstdio>
#include <cstdlib>

namespace floyd
{
namespace emulated
{
namespace
{

constexpr unsigned lanes = 32;

template <class T> T &of(void *const *operand, unsigned lane)
{
    return *static_cast<T *>(operand[lane]);
}

void nothing(void *const *, uint32_t) {}

unsigned source_xor(unsigned lane, int flip)
{
    return (lane ^ static_cast<unsigned>(flip)) % lanes;
}
unsigned source_lane(unsigned, int from)
{
    return static_cast<unsigned>(from) % lanes;
}

// Source(lane, argument) is the lane that is read.
template <unsigned (*Source)(unsigned, int)> void shuffle_lanes(void *const *operand, uint32_t mask)
{
    for (unsigned i = 0; i < lanes; ++i) {
        if (!(mask >> i & 1)) continue;
        shuffle_operand &mine = of<shuffle_operand>(operand, i);
        const unsigned from = Source(i, mine.argument);
        if (!(mask >> from & 1)) {
            std::fprintf(stderr, "emulator: a shuffle with lanes %08x reads lane %u\n", mask, from);
            std::abort();
        }
        mine.result = of<shuffle_operand>(operand, from).value;
    }
}

void find_any(void *const *operand, uint32_t mask)
{
    bool any = false;
    for (unsigned i = 0; i < lanes; ++i)
        if (mask >> i & 1) any |= of<any_operand>(operand, i).value;
    for (unsigned i = 0; i < lanes; ++i)
        if (mask >> i & 1) of<any_operand>(operand, i).result = any;
}

// Lane 4g + t holds elements (g, 2t) and (g, 2t + 1) of each matrix, or of its transpose.
template <bool Transposed> void load_matrices(void *const *operand, uint32_t)
{
    for (unsigned i = 0; i < 4; ++i) {
        uint16_t element[8][8];
        for (unsigned row = 0; row < 8; ++row)
            std::memcpy(element[row], of<ldmatrix_operand>(operand, 8 * i + row).row, 16);
        for (unsigned lane = 0; lane < lanes; ++lane) {
            const unsigned g = lane / 4, t = lane % 4;
            const uint32_t low = Transposed ? element[2 * t][g] : element[g][2 * t];
            const uint32_t high = Transposed ? element[2 * t + 1][g] : element[g][2 * t + 1];
            of<ldmatrix_operand>(operand, lane).r[i] = low | high << 16;
        }
    }
}

template <float (*To_float)(uint16_t)> void split(uint32_t pair, float &low, float &high)
{
    low = To_float(static_cast<uint16_t>(pair));
    high = To_float(static_cast<uint16_t>(pair >> 16));
}

// c is [16][8], a [16][Depth], b [Depth][8], in the layouts of mma and mma_tf32.
template <unsigned Depth> struct matrices {
    float a[16][Depth], b[Depth][8], c[16][8];
};

template <unsigned Depth> void collect_sums(matrices<Depth> &m, void *const *operand)
{
    for (unsigned lane = 0; lane < lanes; ++lane)
        for (unsigned i = 0; i < 4; ++i)
            m.c[lane / 4 + (i & 2) * 4][2 * (lane % 4) + (i & 1)] = of<mma_operand>(operand, lane).c[i];
}

template <unsigned Depth> void hand_out_sums(const matrices<Depth> &m, void *const *operand)
{
    for (unsigned lane = 0; lane < lanes; ++lane)
        for (unsigned i = 0; i < 4; ++i)
            of<mma_operand>(operand, lane).c[i] = m.c[lane / 4 + (i & 2) * 4][2 * (lane % 4) + (i & 1)];
}

template <unsigned Depth> void multiply(matrices<Depth> &m)
{
    for (unsigned i = 0; i < 16; ++i) {
        float sum[8];
        std::memcpy(sum, m.c[i], sizeof sum);
        for (unsigned k = 0; k < Depth; ++k)
            for (unsigned j = 0; j < 8; ++j) sum[j] += m.a[i][k] * m.b[k][j];
        std::memcpy(m.c[i], sum, sizeof sum);
    }
}

template <float (*To_float)(uint16_t)> void multiply_halves(void *const *operand, uint32_t)
{
    matrices<16> m;
    collect_sums(m, operand);
    for (unsigned lane = 0; lane < lanes; ++lane) {
        const mma_operand &o = of<mma_operand>(operand, lane);
        const unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < 4; ++i) {
            float *pair = &m.a[g + (i & 1) * 8][2 * t + (i & 2) * 4];
            split<To_float>(o.a[i], pair[0], pair[1]);
        }
        for (unsigned i = 0; i < 2; ++i) split<To_float>(o.b[i], m.b[2 * t + 8 * i][g], m.b[2 * t + 8 * i + 1][g]);
    }
    multiply(m);
    hand_out_sums(m, operand);
}

float tf32_to_float(uint32_t word)
{
    return bits_as<float>(word & 0xFFFFE000u);
}

void multiply_tf32(void *const *operand, uint32_t)
{
    matrices<8> m;
    collect_sums(m, operand);
    for (unsigned lane = 0; lane < lanes; ++lane) {
        const mma_operand &o = of<mma_operand>(operand, lane);
        const unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < 4; ++i) m.a[g + (i & 1) * 8][t + (i & 2) * 2] = tf32_to_float(o.a[i]);
        for (unsigned i = 0; i < 2; ++i) m.b[t + 4 * i][g] = tf32_to_float(o.b[i]);
    }
    multiply(m);
    hand_out_sums(m, operand);
}

} // namespace

const collective syncwarp_kind = {"__syncwarp", false, nothing};
const collective shuffle_xor_kind = {"__shfl_xor_sync", false, shuffle_lanes<source_xor>};
const collective shuffle_kind = {"__shfl_sync", false, shuffle_lanes<source_lane>};
const collective any_kind = {"__any_sync", false, find_any};
const collective ldmatrix_kind = {"ldmatrix", true, load_matrices<false>};
const collective ldmatrix_trans_kind = {"ldmatrix_trans", true, load_matrices<true>};
const collective mma_bfloat16_kind = {"mma of bfloat16", true, multiply_halves<bfloat16_to_float>};
const collective mma_half_kind = {"mma of half", true, multiply_halves<half_to_float>};
const collective mma_tf32_kind = {"mma of tf32", true, multiply_tf32};

} // namespace emulated
} // namespace floyd
