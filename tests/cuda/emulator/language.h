/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA's words, vector types and arithmetic of one thread, for a host compiler. */
#ifndef FLOYD_EMULATED_LANGUAGE_H
#define FLOYD_EMULATED_LANGUAGE_H

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__ /* nothing: the C++ library has it within __attribute__ */
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
/* A block stays on one host thread, which runs one block at a time. */
#define __shared__ static thread_local

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

#define FLOYD_EMULATED_VECTORS(name, T, prefix)                                                                    \
    struct alignas(2 * sizeof(T)) name##2                                                                          \
    {                                                                                                              \
        T x, y;                                                                                                    \
    };                                                                                                             \
    struct name##3                                                                                                 \
    {                                                                                                              \
        T x, y, z;                                                                                                 \
    };                                                                                                             \
    struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4                                                \
    {                                                                                                              \
        T x, y, z, w;                                                                                              \
    };                                                                                                             \
    inline name##2 make_##name##2(T x, T y)                                                                        \
    {                                                                                                              \
        return {x, y};                                                                                             \
    }                                                                                                              \
    inline name##3 make_##name##3(T x, T y, T z)                                                                   \
    {                                                                                                              \
        return {x, y, z};                                                                                          \
    }                                                                                                              \
    inline name##4 make_##name##4(T x, T y, T z, T w)                                                              \
    {                                                                                                              \
        return {x, y, z, w};                                                                                       \
    }

FLOYD_EMULATED_VECTORS(int, int, )
FLOYD_EMULATED_VECTORS(uint, unsigned, )
FLOYD_EMULATED_VECTORS(float, float, )
FLOYD_EMULATED_VECTORS(double, double, )
FLOYD_EMULATED_VECTORS(short, short, )
FLOYD_EMULATED_VECTORS(ushort, unsigned short, )
FLOYD_EMULATED_VECTORS(uchar, unsigned char, )
FLOYD_EMULATED_VECTORS(longlong, long long, )
#undef FLOYD_EMULATED_VECTORS

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
struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
struct alignas(4) __half2 {
    __half x, y;
};
typedef __half half;
typedef __half2 half2;

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
inline __nv_bfloat16 __float2bfloat16(float v)
{
    return __float2bfloat16_rn(v);
}
inline __half __float2half_rn(float v)
{
    return {floyd::emulated::float_to_half(v)};
}
inline __half __float2half(float v)
{
    return __float2half_rn(v);
}
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y)
{
    return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}
inline __half2 __floats2half2_rn(float x, float y)
{
    return {__float2half_rn(x), __float2half_rn(y)};
}
inline float2 __bfloat1622float2(__nv_bfloat162 v)
{
    return {__bfloat162float(v.x), __bfloat162float(v.y)};
}
inline float2 __half22float2(__half2 v)
{
    return {__half2float(v.x), __half2float(v.y)};
}
inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 v)
{
    return v.bits;
}
inline unsigned short __half_as_ushort(__half v)
{
    return v.bits;
}
inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short v)
{
    return {v};
}
inline __half __ushort_as_half(unsigned short v)
{
    return {v};
}

inline unsigned __float_as_uint(float v)
{
    return floyd::emulated::bits_as<unsigned>(v);
}
inline int __float_as_int(float v)
{
    return floyd::emulated::bits_as<int>(v);
}
inline float __uint_as_float(unsigned v)
{
    return floyd::emulated::bits_as<float>(v);
}
inline float __int_as_float(int v)
{
    return floyd::emulated::bits_as<float>(v);
}

template <class T> inline T __ldg(const T *address)
{
    return *address;
}
template <class T> inline T __ldcs(const T *address)
{
    return *address;
}
template <class T> inline T __ldcg(const T *address)
{
    return *address;
}
template <class T> inline void __stcs(T *address, T value)
{
    *address = value;
}
template <class T> inline void __stcg(T *address, T value)
{
    *address = value;
}

inline float __fdividef(float a, float b)
{
    return std::fabs(b) > 0x1p126f && !std::isinf(a) ? 0 : a / b;
}
inline float __fdiv_rn(float a, float b)
{
    return a / b;
}
inline float __frcp_rn(float a)
{
    return 1.0f / a;
}
inline float __fmaf_rn(float a, float b, float c)
{
    return std::fma(a, b, c);
}
inline float __fmul_rn(float a, float b)
{
    return a * b;
}
inline float __fadd_rn(float a, float b)
{
    return a + b;
}
inline float __fsub_rn(float a, float b)
{
    return a - b;
}
inline float __expf(float a)
{
    return std::exp(a);
}
inline float __exp2f(float a)
{
    return std::exp2(a);
}
inline float __logf(float a)
{
    return std::log(a);
}
inline float __log2f(float a)
{
    return std::log2(a);
}
inline float rsqrtf(float a)
{
    return 1.0f / std::sqrt(a);
}
inline float __saturatef(float a)
{
    return a > 1 ? 1 : a > 0 ? a : 0;
}

template <class A, class B> inline std::common_type_t<A, B> min(A a, B b)
{
    static_assert(std::is_integral<A>::value == std::is_integral<B>::value, "both integers or neither");
    if constexpr (std::is_floating_point<A>::value)
        return std::fmin(a, b);
    else
        return static_cast<std::common_type_t<A, B>>(a) < static_cast<std::common_type_t<A, B>>(b) ? a : b;
}
template <class A, class B> inline std::common_type_t<A, B> max(A a, B b)
{
    static_assert(std::is_integral<A>::value == std::is_integral<B>::value, "both integers or neither");
    if constexpr (std::is_floating_point<A>::value)
        return std::fmax(a, b);
    else
        return static_cast<std::common_type_t<A, B>>(a) > static_cast<std::common_type_t<A, B>>(b) ? a : b;
}

inline int __popc(unsigned v)
{
    return __builtin_popcount(v);
}
inline int __ffs(int v)
{
    return __builtin_ffs(v);
}
inline int __clz(int v)
{
    return v ? __builtin_clz(static_cast<unsigned>(v)) : 32;
}
inline unsigned __umulhi(unsigned a, unsigned b)
{
    return static_cast<unsigned>((uint64_t{a} * b) >> 32);
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

/* Blocks may run on several host threads. */
template <class T> inline T atomicAdd(T *address, T value)
{
    T old, next;
    __atomic_load(address, &old, __ATOMIC_RELAXED);
    do next = old + value;
    while (!__atomic_compare_exchange(address, &old, &next, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}
template <class T> inline T atomicMax(T *address, T value)
{
    T old, next;
    __atomic_load(address, &old, __ATOMIC_RELAXED);
    do next = old > value ? old : value;
    while (!__atomic_compare_exchange(address, &old, &next, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}
inline void __threadfence()
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
inline void __threadfence_block() {}
[[noreturn]] inline void __trap()
{
    std::abort();
}

#endif
