# SPDX-License-Identifier: Apache-2.0
"""The formulas of floydattn.h in float64, written out with einsum, down to the random numbers of dropout; and how near is near."""

import math

import numpy as np

LOWEST = -float(np.finfo(np.float32).max)
GRADIENTS = ("dq", "dk1", "dv1", "dk2", "dv2", "dbias")
WORD = 2**32 - 1


def over_d(pairs, first, second):
    return np.einsum("bhnmd,bhnkd->bhnmk", pairs, first) + np.einsum("bhnmd,bhkmd->bhnmk", pairs, second)


def over_k(weights, first, second):
    return np.einsum("bhnmk,bhnkd->bhnmd", weights, first) + np.einsum("bhnmk,bhkmd->bhnmd", weights, second)


def summed_to(shape, scores):
    """Over the axes along which a tensor of this shape was broadcast."""
    scores = scores.sum(tuple(range(scores.ndim - len(shape))))
    return scores.sum(tuple(axis for axis, size in enumerate(shape) if size == 1), keepdims=True).reshape(shape)


def attention(q, k1, v1, k2, v2, mask=None, bias=None, *, scale=None, softmax_cap=0, mask_fill=LOWEST, dropout=0, keep=None,
              dy=None, y=None, zero_grad=True):  # fmt: skip
    """
    y, max, sum and, with dy, the gradients, by name, dbias in the shape of the bias; and for each what its terms amount to without
    their signs, times 4 + the largest score so summed. keep [B,H,N,M,K]: what dropout keeps. y: as the backward is given it.
    """
    q, k1, v1, k2, v2 = (np.asarray(t, np.float64) for t in (q, k1, v1, k2, v2))
    scale = 1 / math.sqrt(2 * max(q.shape[4], 1)) if scale is None else scale
    plain = scale * over_d(q, k1, k2)
    s = softmax_cap * np.tanh(plain / softmax_cap) if softmax_cap else plain
    bias = None if bias is None else np.asarray(bias, np.float64)
    s = s if bias is None else s + bias
    masked = np.broadcast_to(False if mask is None else np.asarray(mask) != 0, s.shape)
    s = np.where(masked, mask_fill, s)
    top = s.max(-1) if s.shape[4] else np.full(s.shape[:4], LOWEST)
    with np.errstate(invalid="ignore"):  # rows of -inf throughout are NaN
        e = np.exp(s - top[..., None])
        p = e / e.sum(-1, keepdims=True)
    found = {"max": top, "sum": e.sum(-1)}
    reach = 4 + abs(scale) * over_d(abs(q), abs(k1), abs(k2)) + (0 if bias is None else np.where(np.isfinite(bias), abs(bias), 0))
    reach = reach.max(initial=4)
    terms = {"max": np.full(top.shape, reach), "sum": reach * found["sum"]}
    kept = np.ones(s.shape) if keep is None else keep / (1 - dropout) if dropout < 1 else np.zeros(s.shape)
    p_kept = p * kept
    found["y"], terms["y"] = over_k(p_kept, v1, v2), reach * over_k(p_kept, abs(v1), abs(v2))
    if dy is None:
        return found, terms
    dy, y = np.asarray(dy, np.float64), found["y"] if y is None else np.asarray(y, np.float64)
    dbias = p * (over_d(dy, v1, v2) * kept - (dy * y).sum(-1, keepdims=True))
    size = p * (over_d(abs(dy), abs(v1), abs(v2)) * kept + abs(dy * y).sum(-1, keepdims=True))
    dbias, size = (np.where(masked, 0, t) if zero_grad else t for t in (dbias, size))
    ds = dbias * scale * (1 - np.tanh(plain / softmax_cap) ** 2 if softmax_cap else 1)
    found |= gradients(ds, p_kept, q, k1, k2, dy)
    terms |= {name: reach * t for name, t in gradients(abs(scale) * size, p_kept, abs(q), abs(k1), abs(k2), abs(dy)).items()}
    if bias is not None:
        found["dbias"], terms["dbias"] = summed_to(bias.shape, dbias), reach * summed_to(bias.shape, size)
    return found, terms


def gradients(ds, p, q, k1, k2, dy):
    return {
        "dq": over_k(ds, k1, k2),
        "dk1": np.einsum("bhnmk,bhnmd->bhnkd", ds, q),
        "dv1": np.einsum("bhnmk,bhnmd->bhnkd", p, dy),
        "dk2": np.einsum("bhnmk,bhnmd->bhkmd", ds, q),
        "dv2": np.einsum("bhnmk,bhnmd->bhkmd", p, dy),
    }


def philox(counter, key):
    """Philox4x32-10: four words from four words of counter and two of key, all uint64 below 2^32."""
    a, b, c, d = counter
    for i in range(10):
        first, second = (np.uint64((word + i * step) & WORD) for word, step in zip(key, (0x9E3779B9, 0xBB67AE85)))
        x, y = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        half, low = np.uint64(32), np.uint64(WORD)
        a, b, c, d = (y >> half) ^ b ^ first, y & low, (x >> half) ^ d ^ second, x & low
    return a, b, c, d


def kept_by(seed, dropout, shape):
    """keep[b,h,n,m,k] as floydattn.h has it."""
    b, h, n, m, k = np.indices(shape).astype(np.uint64)
    words = philox((k // np.uint64(4), m, n, b * np.uint64(shape[1]) + h), (seed & WORD, seed >> 32))
    return np.choose((k % np.uint64(4)).astype(np.int64), words) >= dropout * 2**32


# Half of the distance from 1 to the next number.
UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def check(name, got, dtype, sums, wanted):
    """
    A result of type dtype, from sums of type sums, against attention()'s. It is rounded once, to within a unit, or to fp16's 2^-25
    at its lower end. Before that a score is off by some roundings of its terms, which exp() hands to the weight, and a sum of
    about a hundred terms by about ten roundings of these.
    """
    value, terms = (part[name] for part in wanted)
    got = np.asarray(got, np.float64)
    assert got.shape == value.shape
    bound = UNIT[dtype] * np.maximum(np.abs(value), 2.0**-14) + 16 * UNIT[sums] * terms
    wrong = ~(np.abs(got - value) <= bound)
    assert not wrong.any(), f"{wrong.sum()} of {wrong.size} of {name}: {got[wrong][0]} for {value[wrong][0]} +- {bound[wrong][0]}"


def sums_of(dtype):
    return "float64" if dtype == "float64" else "float32"
