# SPDX-License-Identifier: Apache-2.0
"""The formulas of floydattn.h in NumPy: a golden in higher precision, a plain peer in the operand's own type, and the
sums of magnitudes that bound an fp32 (fp64) computation.

Arrays are [B,H,N,M,K] where a position (n,m,k) has a value: this is the unfused form that the library avoids."""

from dataclasses import dataclass

import numpy as np

import library as lib

LOWEST = -float(np.finfo(np.float32).max)


def turned(array):
    """[.., n, m, ..] and [.., m, n, ..]: a matmul over k or d wants the other pair axis in front."""
    return array.swapaxes(2, 3)


def over_d(pairs, first, second):
    """The two products of a score: pair (n,m) with (n,k), and with (k,m)."""
    return pairs @ first.swapaxes(3, 4), turned(turned(pairs) @ second.transpose(0, 1, 3, 4, 2))


def over_k(weights, first, second):
    return weights @ first, turned(turned(weights) @ turned(second))


def over_m(weights, pairs):
    return weights.swapaxes(3, 4) @ pairs


def over_n(weights, pairs):
    return turned(weights.transpose(0, 1, 3, 4, 2) @ turned(pairs))


@dataclass
class Inputs:
    """What the library got, exactly, as fp64; mask is a full boolean array."""
    q: np.ndarray
    k1: np.ndarray
    v1: np.ndarray
    k2: np.ndarray
    v2: np.ndarray
    mask: np.ndarray
    scale: float
    zero_grad: bool = False
    y: np.ndarray = None
    max: np.ndarray = None
    sum: np.ndarray = None
    dy: np.ndarray = None

    def cast(self, real):
        arrays = {name: np.asarray(value, real) for name, value in vars(self).items()
                  if isinstance(value, np.ndarray) and name != "mask"}
        return Inputs(**{**vars(self), **arrays, "scale": real(self.scale)})


def plain(values):
    return values


def scores(i, rounded=plain):
    first, second = over_d(i.q, i.k1, i.k2)
    return np.where(i.mask, i.q.dtype.type(LOWEST), i.scale * (rounded(first) + rounded(second)))


def forward(i, rounded=plain):
    """y, max, sum; every sum over an empty axis is 0 and max over it -FLT_MAX."""
    s = scores(i, rounded)
    top = s.max(axis=-1) if s.shape[-1] else np.full(s.shape[:-1], LOWEST, s.dtype)
    e = np.exp(s - top[..., None])
    total = e.sum(axis=-1)
    p = rounded(e / total[..., None])
    first, second = over_k(p, i.v1, i.v2)
    return {"y": rounded(rounded(first) + rounded(second)), "max": top, "sum": total}


def weights(i, rounded=plain):
    """P and dS of every position, from the given statistics."""
    hidden = i.mask & ~(i.max <= LOWEST / 2)[..., None]
    p = np.where(hidden, 0, np.exp(scores(i, rounded) - i.max[..., None]) / i.sum[..., None])
    first, second = over_d(i.dy, i.v1, i.v2)
    slope = rounded(first) + rounded(second) - (i.dy * i.y).sum(axis=-1, keepdims=True)
    return p, np.where(i.mask if i.zero_grad else hidden, 0, p * slope * i.scale)


def backward(i, rounded=plain):
    p, ds = weights(i, rounded)
    p, ds = rounded(p), rounded(ds)
    first, second = over_k(ds, i.k1, i.k2)
    return {"dq": rounded(rounded(first) + rounded(second)),
            "dk1": rounded(over_m(ds, i.q)), "dv1": rounded(over_m(p, i.dy)),
            "dk2": rounded(over_n(ds, i.q)), "dv2": rounded(over_n(p, i.dy))}


def golden_type(dtype):
    return np.longdouble if dtype == lib.F64 else np.float64


def rounding_to(dtype):
    """Rounds fp32 to an operand type and back: what makes the peer a plain implementation of that type."""
    if dtype == lib.F16:
        return lambda v: v.astype(np.float16).astype(np.float32)
    return lib.round_bf16 if dtype == lib.BF16 else plain


def quietly(function, *arguments):
    with np.errstate(all="ignore"):
        return function(*arguments)


def golden(function, inputs, dtype):
    return quietly(function, inputs.cast(golden_type(dtype)))


def peer(function, inputs, dtype):
    return quietly(function, inputs.cast(np.float32), rounding_to(dtype))


# Magnitudes: the T of rule 3.


def magnitudes(i):
    return Inputs(**{name: abs(v) if isinstance(v, np.ndarray) and name != "mask" else v
                     for name, v in vars(i).items()})


def reach(i):
    """A: each row's largest |scale| * sum(|Q K1| + |Q K2|) over pivots that are not masked."""
    first, second = over_d(abs(i.q), abs(i.k1), abs(i.k2))
    sizes = np.where(i.mask, 0, abs(i.scale) * (first + second))
    return sizes.max(axis=-1) if sizes.shape[-1] else np.zeros(sizes.shape[:-1])


def forward_terms(i, results, tiny):
    a = 4 + reach(i)
    row = Inputs(**{**vars(i), "max": results["max"], "sum": results["sum"]})
    hidden = i.mask & ~(row.max <= LOWEST / 2)[..., None]
    p = np.where(hidden, 0, np.exp(scores(i) - row.max[..., None]) / row.sum[..., None])
    first, second = over_k(np.where(hidden, 0, p * a[..., None] + tiny), abs(i.v1), abs(i.v2))
    return {"y": first + second, "max": a, "sum": a * results["sum"]}


def backward_terms(i, tiny):
    m = magnitudes(i)
    a = (4 + reach(i))[..., None]
    p, ds = weights(i)
    hidden = i.mask & ~(i.max <= LOWEST / 2)[..., None]
    first, second = over_d(m.dy, m.v1, m.v2)
    sums = first + second + (m.dy * m.y).sum(axis=-1, keepdims=True)
    p = abs(p)
    share = np.where(hidden, 0, p * a + tiny)
    slope = np.where(hidden, 0, a * abs(ds) + (p + tiny) * sums * abs(i.scale))
    first, second = over_k(slope, m.k1, m.k2)
    return {"dq": first + second, "dk1": over_m(slope, m.q), "dv1": over_m(share, m.dy),
            "dk2": over_n(slope, m.q), "dv2": over_n(share, m.dy)}
