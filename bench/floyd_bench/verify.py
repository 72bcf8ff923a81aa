# SPDX-License-Identifier: Apache-2.0
"""Is a result right? Nothing is timed before it is judged. Every check passes only on `error <= tolerance`, so that NaN
fails."""

from __future__ import annotations

import numpy as np

from .cases import Shape
from .ours import Floydattn
from .peers import distance
from .problem import widen
from .reference import Reference

PLACES = 8

# Of the largest element of a vector of D: the output's own rounding (an ulp is 2^-10 in fp16, 2^-7 in bf16), or the
# growth of fp32 (fp64) rounding, 2^-24 (2^-53), over sums of some thousand terms.
TOLERANCE = {"f32": 2.0**-16, "f64": 2.0**-44, "f16": 2.0**-10, "bf16": 2.0**-7}

# Root mean square against a peer. In bf16 a peer rounds scores (2^-9 of a size that reaches 10), P and dS, and adds
# in storage that is as narrow; in fp32 nothing but the order of sums differs.
PEER_TOLERANCE = {"f32": 1e-4, "bf16": 5e-2}


def sample_places(shape: Shape) -> list[tuple[int, int, int, int, int]]:
    """(b,h,n,m,k): the eight corners of a head, in the first or the last one, and as many spread over the problem."""
    places, heads, last = [], shape.B * shape.H - 1, PLACES - 1
    for i in range(PLACES):
        spread = (heads * i // last, (shape.N - 1) * i // last, (shape.M - 1) * (last - i) // last,
                  (shape.K - 1) * (i * 3 % PLACES) // last)  # fmt: skip
        corner = (heads * (i % 2), (shape.N - 1) * (i & 1), (shape.M - 1) * (i >> 1 & 1), (shape.K - 1) * (i >> 2))
        places += [(*divmod(bh, shape.H), n, m, k) for bh, n, m, k in (spread, corner)]
    return places


def _error(got: np.ndarray, exact: np.ndarray, dtype: str) -> float:
    """Of one vector, in units of the tolerance."""
    return float(np.abs(got - exact).max() / max(1e-3, float(np.abs(exact).max()))) / TOLERANCE[dtype]


def error_of(contestant: Floydattn) -> float:
    """The worst error at the sampled places, in units of the tolerance: at most 1 is right."""
    shape = contestant.problem.shape

    def load(name: str, *index) -> np.ndarray:
        return widen(contestant.arrays[name][index], contestant.type_of(name))

    whole = (shape.B, shape.H, shape.N, shape.M, shape.K)
    reference = Reference(load, contestant.problem.exact_scale(), contestant.mask, whole)
    errors = []
    for b, h, n, m, k in sample_places(shape):
        y, top, total = reference.row(b, h, n, m)
        exact = {"y": y, "max": np.array([top]), "sum": np.array([total]), **reference.gradients(b, h, n, m, k)}
        for name, vector in exact.items():
            where = {"1": (n, k), "2": (k, m)}.get(name[-1], (n, m))
            errors.append(_error(load(name, b, h, *where), vector, contestant.type_of(name)))
    return float(np.max(errors))  # unlike max(), NaN if any is


def peer_error(ours: Floydattn, theirs: dict[str, np.ndarray]) -> float:
    """The worst output's difference from ours, in units of the tolerance."""
    found = distance(ours.outputs(), theirs, ours.problem.dtype)
    return float(np.max(list(found.values()))) / PEER_TOLERANCE[ours.problem.dtype]
