/* SPDX-License-Identifier: Apache-2.0 */
/* fp16 and bf16 to fp32 and back, in integer arithmetic: exact one way, to nearest even the other. */
#ifndef FLOYD_HALF_H
#define FLOYD_HALF_H

#include <stdint.h>
#include <string.h>

static inline float floyd_f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t floyd_f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float floyd_bf16_to_f32(uint16_t half)
{
    return floyd_f32_from_bits((uint32_t)half << 16);
}

static inline uint16_t floyd_f32_to_bf16(float value)
{
    const uint32_t bits = floyd_f32_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float floyd_f16_to_f32(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu;
    if (rest >= 0x7c00u) return floyd_f32_from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    if (rest >= 0x0400u) return floyd_f32_from_bits(sign | ((rest << 13) + (112u << 23)));
    /* Subnormal: rest * 2^-24, exact in fp32. */
    const float magnitude = (float)rest * 0x1p-24f;
    return floyd_f32_from_bits(sign | floyd_f32_bits(magnitude));
}

static inline uint16_t floyd_f32_to_f16(float value)
{
    const uint32_t bits = floyd_f32_bits(value), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return 0x7e00;
    if (rest >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and above round to infinity */
    if (rest < 0x38800000u) {
        /* Below 2^-14: the sum's ulp is 2^-24, the spacing of fp16 subnormals, so the addition rounds. */
        const float sum = floyd_f32_from_bits(rest) + 0.5f;
        return (uint16_t)(sign | (floyd_f32_bits(sum) - 0x3f000000u));
    }
    return (uint16_t)(sign | ((rest - (112u << 23) + 0xfffu + (rest >> 13 & 1u)) >> 13));
}

#endif
