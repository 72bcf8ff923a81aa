# SPDX-License-Identifier: Apache-2.0
"""The accuracy rules. Each fails on NaN: a check passes only where the comparison is true.

Rule 1, the double benchmark, for fp16 and bf16: the error against the golden is held to that of a plain peer.
Rule 2, fp16 and bf16: on average and in the mean square it is no worse than the peer.
Rule 3: E - ulp/2 <= 16 u T, which only arithmetic in fp32 (fp64) throughout can keep. T sums the magnitudes of an
element's terms; u is 2^-24 (2^-53). A plain fp32 implementation measures 1.3 to 4.5 instead of 16, one that rounds P
or dS to fp16 130 and more.
Rule 4, for fp32 and fp64, is rule 3 with T as the depth and c = 16."""

import numpy as np

import formula
import library as lib

FLOOR = {lib.F16: 2.0 ** -11, lib.BF16: 2.0 ** -8, lib.F32: 2.0 ** -14}
SMALL_ERROR = {lib.F16: 2.0 ** -16, lib.BF16: 2.0 ** -16, lib.F32: 2.0 ** -30}
UNIT = {lib.F64: 2.0 ** -53}
MANTISSA = {lib.F32: 23, lib.F64: 52, lib.F16: 10, lib.BF16: 7}
LOWEST_EXPONENT = {lib.F32: -126, lib.F64: -1022, lib.F16: -14, lib.BF16: -126}
LARGEST = {lib.F32: float(np.finfo(np.float32).max), lib.F64: float(np.finfo(np.float64).max), lib.F16: 65504.0,
           lib.BF16: float.fromhex("0x1.fep127")}
HOLDS_SCORES = 2.0 ** 16  # above this A, fp32 cannot hold S itself


def unit(dtype):
    return UNIT.get(dtype, 2.0 ** -24)


def tiny(dtype):
    """What a weight below the smallest normal number may lose, over 16 u."""
    return (2.0 ** -1022 if dtype == lib.F64 else 2.0 ** -126) / (16 * unit(dtype))


def half_ulp(dtype, values):
    exponent = np.frexp(np.where(np.isfinite(values), abs(values), 0))[1] - 1
    return np.ldexp(0.5, np.maximum(exponent, LOWEST_EXPONENT[dtype]) - MANTISSA[dtype])


def classes(values):
    return np.where(np.isnan(values), 3, np.where(np.isinf(values), np.sign(values), 0))


def rounded(dtype, values):
    """golden as the output type would hold it, for its class."""
    return np.where(abs(values) >= LARGEST[dtype] + half_ulp(dtype, np.float64(LARGEST[dtype])),
                    np.copysign(np.inf, values), values)


def measures(got, golden):
    error = abs(got - golden)
    relative = error / np.maximum(abs(golden), 1e-7)
    return relative.max(), relative.mean(), np.sqrt((error * error).mean())


def rule_1(name, dtype, got, golden, peer, noise=0):
    """noise: what fp32 arithmetic alone may err by, u T. An element smaller than that says nothing of an
    implementation (the peer may meet a 0 exactly, by luck), so it is held to rule 3 and leaves the ratios."""
    floor = FLOOR[dtype]
    golden = np.asarray(golden, np.float64)
    same = (classes(got) == classes(quiet(rounded, dtype, golden))) | (classes(got) == classes(peer))
    assert same.all(), f"{name}: {np.argwhere(~same)[0]} is neither golden's nor the peer's kind of number"
    finite = np.isfinite(got) & np.isfinite(golden) & np.isfinite(peer)
    large = finite & (abs(golden) > floor) & (noise <= abs(golden))
    if large.any():
        ours, theirs = measures(got[large], golden[large]), measures(peer[large], golden[large])
        for what, mine, its, factor in zip(("max", "mean", "rmse"), ours, theirs, (10, 2, 2)):
            assert mine <= factor * max(its, floor), f"{name}: {what} error {mine:.3g}, the peer's {its:.3g}"
    small = finite & (abs(golden) <= floor) & (noise <= SMALL_ERROR[dtype])
    count = (abs(got - golden)[small] > SMALL_ERROR[dtype]).sum()
    allowed = 2 * max((abs(peer - golden)[small] > SMALL_ERROR[dtype]).sum(), 1)
    assert count <= allowed, f"{name}: {count} small elements are off, {allowed} may be"


def quiet(function, *arguments):
    return formula.quietly(function, *arguments)


def rule_2(name, got, golden, peer):
    finite = np.isfinite(got) & np.isfinite(golden) & np.isfinite(peer)
    assert finite.size >= 4096
    if not finite.any():
        return
    ours, theirs = measures(got[finite], golden[finite]), measures(peer[finite], golden[finite])
    for what, mine, its in zip(("max", "mean", "rmse"), ours, theirs):
        assert what == "max" or mine <= 1.01 * its, f"{name}: {what} error {mine:.4g}, the peer's {its:.4g}"


def gradual(dtype, steps):
    """What sums of denormal numbers may lose: half the smallest one a step, times what multiplies it (below 64)."""
    return 64 * steps * (2.0 ** -1074 if dtype == lib.F64 else 2.0 ** -150)


def allowance(stored, operand, golden, terms, steps=0):
    """Rule 3's. stored: the output's own type; operand: the type that sets the arithmetic; steps: how many a sum has."""
    return quiet(half_ulp, stored, golden) + 16 * unit(operand) * terms + gradual(operand, steps)


def rule_3(name, stored, operand, got, golden, terms, steps=0):
    allowed = allowance(stored, operand, golden, terms, steps)
    with np.errstate(all="ignore"):
        within = abs(got - golden) <= allowed
        overflow = np.isinf(got) & (abs(golden) + allowed >= LARGEST[stored]) & (np.sign(got) == np.sign(golden))
        special = ~np.isfinite(golden) & (classes(got) == classes(golden))
    good = within | overflow | special
    if not good.all():
        at = tuple(np.argwhere(~good)[0])
        raise AssertionError(f"{name}{list(map(int, at))} is {got[at]!r}, golden {golden[at]!r}, "
                             f"allowed {allowed[at]:.3g}: {abs(got[at] - golden[at]) / allowed[at]:.3g} times that")
