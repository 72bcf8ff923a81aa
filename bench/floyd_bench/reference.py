# SPDX-License-Identifier: Apache-2.0
"""Vectors of the outputs in fp64, straight from the formulas of floydattn.h, at any place (b,h,n,m,k): enough to check
a result of any size without a buffer of N x M x K."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LOWEST = -float(np.finfo(np.float32).max)

# load(name, b, h, i, j) in fp64; slice(None) in place of an index gives the whole axis.
Load = Callable[..., np.ndarray]

EVERY = slice(None)


def dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x * y).sum(-1)


class Reference:
    """Of one problem: y, max and sum, which the gradients start from, are loaded as they were given."""

    def __init__(self, load: Load, scale: float, mask: np.ndarray | None, shape: tuple[int, ...]) -> None:
        self.load, self.scale = load, scale
        self.mask = None if mask is None else np.broadcast_to(mask, shape)

    def hidden(self, *index) -> np.ndarray | bool:
        return False if self.mask is None else self.mask[index] != 0

    def row(self, b: int, h: int, n: int, m: int) -> tuple[np.ndarray, float, float]:
        """y, max and sum of one row."""
        keys = self.load("k1", b, h, n, EVERY) + self.load("k2", b, h, EVERY, m)
        score = np.where(self.hidden(b, h, n, m, EVERY), LOWEST, self.scale * (keys @ self.load("q", b, h, n, m)))
        weight = np.exp(score - score.max())
        values = self.load("v1", b, h, n, EVERY) + self.load("v2", b, h, EVERY, m)
        return weight @ values / weight.sum(), float(score.max()), float(weight.sum())

    def weights(self, b: int, h: int, n, m, k) -> tuple[np.ndarray, np.ndarray]:
        """P and dS along the one index that is a slice, from the given max, sum and y."""

        def at(name: str, i, j) -> np.ndarray:
            return np.atleast_2d(self.load(name, b, h, i, j))

        q, dy = at("q", n, m), at("dy", n, m)
        score = self.scale * dot(q, at("k1", n, k) + at("k2", k, m))
        hidden = self.hidden(b, h, n, m, k)
        p = np.where(hidden, 0, np.exp(np.where(hidden, 0, score - at("max", n, m)[:, 0])) / at("sum", n, m)[:, 0])
        slope = dot(dy, at("v1", n, k) + at("v2", k, m)) - dot(dy, at("y", n, m))
        return p, p * slope * self.scale

    def gradients(self, b: int, h: int, n: int, m: int, k: int) -> dict[str, np.ndarray]:
        """One vector of each gradient: dq at (n,m), dk1 and dv1 at (n,k), dk2 and dv2 at (k,m)."""
        _, along_k = self.weights(b, h, n, m, EVERY)
        p1, along_m = self.weights(b, h, n, EVERY, k)
        p2, along_n = self.weights(b, h, EVERY, m, k)
        return {"dq": along_k @ (self.load("k1", b, h, n, EVERY) + self.load("k2", b, h, EVERY, m)),
                "dk1": along_m @ self.load("q", b, h, n, EVERY), "dv1": p1 @ self.load("dy", b, h, n, EVERY),
                "dk2": along_n @ self.load("q", b, h, EVERY, m), "dv2": p2 @ self.load("dy", b, h, EVERY, m)}  # fmt: skip
