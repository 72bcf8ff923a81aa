# SPDX-License-Identifier: Apache-2.0
"""Vectors of the outputs in fp64, straight from the formulas of floydattn.h, at any place (b,h,n,m,k): enough to check
a result of any size without a buffer of N x M x K."""

from __future__ import annotations

from typing import Callable

import numpy as np

LOWEST = -float(np.finfo(np.float32).max)

# Reads t[name][b,h,i,j] in fp64; an index of slice(None) gives the whole axis.
Load = Callable[..., np.ndarray]


class Reference:
    def __init__(self, load: Load, scale: float, mask: np.ndarray | None, shape: tuple[int, ...]) -> None:
        self.load, self.scale = load, scale
        self.mask = None if mask is None else np.broadcast_to(mask, shape)

    def hidden(self, b, h, n, m, k) -> np.ndarray | bool:
        return False if self.mask is None else self.mask[b, h, n, m, k] != 0

    def row(self, b: int, h: int, n: int, m: int) -> tuple[np.ndarray, float, float]:
        """y, max and sum of one row."""
        at = lambda name, i, j: self.load(name, b, h, i, j)  # noqa: E731
        every = slice(None)
        score = self.scale * ((at("k1", n, every) + at("k2", every, m)) @ at("q", n, m))
        score = np.where(self.hidden(b, h, n, m, every), LOWEST, score)
        weight = np.exp(score - score.max())
        y = weight @ (at("v1", n, every) + at("v2", every, m)) / weight.sum()
        return y, float(score.max()), float(weight.sum())

    def weights(self, b: int, h: int, n, m, k) -> tuple[np.ndarray, np.ndarray]:
        """P and dS along the one index that is a slice, from the given max, sum and y."""
        at = lambda name, i, j: np.atleast_2d(self.load(name, b, h, i, j))  # noqa: E731
        dot = lambda x, y: (x * y).sum(-1)  # noqa: E731
        stat = lambda name: at(name, n, m)[:, 0]  # noqa: E731
        q, dy = at("q", n, m), at("dy", n, m)
        score = self.scale * dot(q, at("k1", n, k) + at("k2", k, m))
        hidden = self.hidden(b, h, n, m, k)
        p = np.where(hidden, 0, np.exp(np.where(hidden, 0, score - stat("max"))) / stat("sum"))
        slope = dot(dy, at("v1", n, k) + at("v2", k, m)) - dot(dy, at("y", n, m))
        return p, p * slope * self.scale

    def gradients(self, b: int, h: int, n: int, m: int, k: int) -> dict[str, np.ndarray]:
        """One vector of each gradient: dq at (n,m), dk1 and dv1 at (n,k), dk2 and dv2 at (k,m)."""
        every = slice(None)
        at = lambda name, i, j: self.load(name, b, h, i, j)  # noqa: E731
        _, ds = self.weights(b, h, n, m, every)
        dq = ds @ (at("k1", n, every) + at("k2", every, m))
        p, ds = self.weights(b, h, n, every, k)
        dk1, dv1 = ds @ at("q", n, every), p @ at("dy", n, every)
        p, ds = self.weights(b, h, every, m, k)
        return {"dq": dq, "dk1": dk1, "dv1": dv1, "dk2": ds @ at("q", every, m), "dv2": p @ at("dy", every, m)}
