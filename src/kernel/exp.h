/* SPDX-License-Identifier: Apache-2.0 */
/*
 * e^x for every float or double, subnormal results, overflow and NaN included; e^0 is exactly 1.
 *
 * x = n ln2 + r with |r| <= ln2/2 (Cody and Waite: ln2 in two parts, the first short enough for n times it to
 * be exact), e^r = 1 + r * p(r) with p interpolated at Chebyshev nodes, and 2^n applied as two powers, so that
 * a subnormal result is rounded once. Of two million arguments in tests/kernel the worst is off by 0.91 ulp with
 * fused multiply-add and 1.17 without.
 */
#ifndef FLOYD_EXP_H
#define FLOYD_EXP_H

#include "vec.h"

#ifdef FLOYD_REAL_F64
#define FLOYD_EXP_LOWEST (-746.0) /* e^x rounds to 0 here and below */
#define FLOYD_EXP_HIGHEST 710.0   /* and to infinity here and above */
#define FLOYD_EXP_PLAIN 708.0
#define FLOYD_LOG2_E 0x1.71547652b82fep+0
#define FLOYD_LN2_HIGH 0x1.62e42fefa2p-1
#define FLOYD_LN2_LOW 0x1.9ef35793c7673p-41
static const real floyd_exp_series[] = {0x1.af4e196027428p-26,
                                        0x1.28a2f14d67e43p-22,
                                        0x1.71de021a90822p-19,
                                        0x1.a019a63bb0bc2p-16,
                                        0x1.a01a01abef415p-13,
                                        0x1.6c16c17f52666p-10,
                                        0x1.11111111100cep-7,
                                        0x1.5555555552079p-5,
                                        0x1.5555555555557p-3,
                                        0x1.0000000000005p-1,
                                        1.0};
#else
#define FLOYD_EXP_LOWEST (-104.0f)
#define FLOYD_EXP_HIGHEST 89.0f
#define FLOYD_EXP_PLAIN 87.0f
#define FLOYD_LOG2_E 0x1.715476p+0f
#define FLOYD_LN2_HIGH 0x1.62e4p-1f
#define FLOYD_LN2_LOW 0x1.7f7d1cp-20f
static const real floyd_exp_series[] = {0x1.6d4362p-10f, 0x1.123dcep-7f, 0x1.5554e8p-5f,
                                        0x1.55547cp-3f,  0x1p-1f,        1.0f};
#endif

/* n, r and q of e^x = 2^n (1 + r q); *shifted is n + FLOYD_ROUND_MAGIC. */
static inline vec exp_series(vec x, vec *shifted, vec *r)
{
    enum { TERMS = sizeof floyd_exp_series / sizeof floyd_exp_series[0] };
    *shifted = vfma(x, vset(FLOYD_LOG2_E), vset(FLOYD_ROUND_MAGIC));
    const vec n = vsub(*shifted, vset(FLOYD_ROUND_MAGIC));
    *r = vfma(n, vset(-FLOYD_LN2_LOW), vfma(n, vset(-FLOYD_LN2_HIGH), x));
    vec p = vset(floyd_exp_series[0]);
    FLOYD_UNROLL
    for (int i = 1; i < TERMS; i++) p = vfma(p, *r, vset(floyd_exp_series[i]));
    return p;
}

/* n and p of e^x = 2^n p. */
static inline vec exp_parts(vec x, vec *shifted)
{
    vec r;
    const vec q = exp_series(x, shifted, &r);
    return vfma(q, r, vset(1));
}

static inline vec vexp(vec x)
{
    const vec magic = vset(FLOYD_ROUND_MAGIC);
    vec shifted;
    /* NaN passes through both. */
    const vec p = exp_parts(vmin(vset(FLOYD_EXP_HIGHEST), vmax(vset(FLOYD_EXP_LOWEST), x)), &shifted);
    const vec n = vsub(shifted, magic), half = vfma(n, vset((real)0.5), magic);
    const vec rest = vadd(vsub(n, vsub(half, magic)), magic);
    return vmul(vmul(p, vexponent(half)), vexponent(rest));
}

/* The same for |x| <= FLOYD_EXP_PLAIN, where the result is normal and 2^n one power. */
static inline vec vexp_plain(vec x)
{
    vec shifted;
    const vec p = exp_parts(x, &shifted);
    return vscale(p, shifted);
}

/* count of them, in place: whichever way is right for all, the bits are the same. */
__attribute__((always_inline)) static inline void vexp_each(const int count, vec *x)
{
    vmask plain = vwithin(x[0], FLOYD_EXP_PLAIN);
    FLOYD_UNROLL
    for (int j = 1; j < count; j++) plain = vmask_and(plain, vwithin(x[j], FLOYD_EXP_PLAIN));
    if (vmask_all(plain)) {
        FLOYD_UNROLL
        for (int j = 0; j < count; j++) x[j] = vexp_plain(x[j]);
    } else {
        FLOYD_UNROLL
        for (int j = 0; j < count; j++) x[j] = vexp(x[j]);
    }
}

/*
 * tanh x = (e^2x - 1) / (e^2x + 1), and its derivative 4 e^2x / (e^2x + 1)^2 in *slope, neither by way of a
 * difference that cancels: e^2x - 1 is 2^n r q + (2^n - 1). Beyond |x| = 20 tanh is 1 in both types. NaN passes
 * through.
 */
static inline vec vtanh(vec x, vec *slope)
{
    const vec twice = vmin(vset(40), vmax(vset(-40), vadd(x, x))), one = vset(1);
    vec shifted, r;
    const vec q = exp_series(twice, &shifted, &r), rest = vmul(q, r), power = vexponent(shifted);
    const vec less = vfma(power, rest, vsub(power, one)), more = vadd(less, vset(2));
    const vec e = vfma(power, rest, power);
    *slope = vdiv(vmul(vset(4), e), vmul(more, more));
    return vdiv(less, more);
}

#endif
