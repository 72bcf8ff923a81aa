/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA's words, vector types and arithmetic of one thread, for a host compiler. */
#ifndef FLOYD_EMULATED_LANGUAGE_H
#define FLOYD_EMULATED_LANGUAGE_H

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define __global__
#define __device__
#define __forceinline__ inline
#define __noinline__ /* nothing: the C++ library has it within __attribute__ */
#define __grid_constant__
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y)
{
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}

namespace floyd
{
namespace emulated
{

template <class To, class From> inline To bits_as(From from)
{
    static_assert(sizeof(To) == sizeof(From), "same size");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

inline float half_to_float(uint16_t half)
{
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t magnitude = static_cast<uint32_t>(half & 0x7FFFu) << 13;
    const uint32_t scaled = bits_as<uint32_t>(bits_as<float>(magnitude) * 0x1p112f);
    return bits_as<float>(sign | (magnitude >= 0x0F800000u ? magnitude | 0x7F800000u : scaled));
}

inline float bfloat16_to_float(uint16_t value)
{
    return bits_as<float>(static_cast<uint32_t>(value) << 16);
}

/* Both to nearest even. */
inline uint16_t float_to_half(float value)
{
    const uint32_t bits = bits_as<uint32_t>(value), magnitude = bits & 0x7FFFFFFFu;
    const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
    if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7FFFu);
    if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);
    if (magnitude < 0x38800000u) { /* a denormal half: a multiple of 2^-24 */
        const float aligned = bits_as<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (bits_as<uint32_t>(aligned) - 0x3F000000u));
    }
    const uint32_t rounded = magnitude - 0x38000000u + 0xFFFu + ((magnitude >> 13) & 1u);
    return static_cast<uint16_t>(sign | (rounded >> 13));
}

inline uint16_t float_to_bfloat16(float value)
{
    const uint32_t bits = bits_as<uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0x7FFFu;
    return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

} // namespace emulated
} // namespace floyd

struct __nv_bfloat16 {
    uint16_t bits;
};
struct __half {
    uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 v)
{
    return floyd::emulated::bfloat16_to_float(v.bits);
}
inline float __half2float(__half v)
{
    return floyd::emulated::half_to_float(v.bits);
}
inline __nv_bfloat16 __float2bfloat16_rn(float v)
{
    return {floyd::emulated::float_to_bfloat16(v)};
}
inline __half __float2half_rn(float v)
{
    return {floyd::emulated::float_to_half(v)};
}
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 v)
{
    return v.bits;
}
inline unsigned short __half_as_ushort(__half v)
{
    return v.bits;
}
inline __half __ushort_as_half(unsigned short v)
{
    return {v};
}

inline unsigned __float_as_uint(float v)
{
    return floyd::emulated::bits_as<unsigned>(v);
}
inline float __uint_as_float(unsigned v)
{
    return floyd::emulated::bits_as<float>(v);
}

template <class T> inline T __ldg(const T *address)
{
    return *address;
}

template <class A, class B> inline std::common_type_t<A, B> min(A a, B b)
{
    static_assert(std::is_integral<A>::value && std::is_integral<B>::value, "of integers");
    return static_cast<std::common_type_t<A, B>>(a) < static_cast<std::common_type_t<A, B>>(b) ? a : b;
}

inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector)
{
    const uint64_t bytes = (uint64_t{b} << 32) | a;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i) {
        const unsigned pick = selector >> (4 * i), byte = static_cast<unsigned>(bytes >> (8 * (pick & 7))) & 0xFFu;
        result |= (pick & 8 ? (byte & 0x80 ? 0xFFu : 0u) : byte) << (8 * i);
    }
    return result;
}

#endif
