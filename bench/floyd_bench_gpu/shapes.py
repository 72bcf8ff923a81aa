# SPDX-License-Identifier: Apache-2.0
"""Sizes, and what is known of them without any framework: the worker that runs JAX imports this without PyTorch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

AXES = {"q": "NM", "k1": "NK", "v1": "NK", "k2": "KM", "v2": "KM"}
INPUTS = tuple(AXES)
GRADIENTS = tuple(f"d{name}" for name in INPUTS)
ITEM = {"bf16": 2, "f16": 2, "f32": 4}
WORK = {"forward": 8, "backward": 20, "step": 28}  # flops for each (b,h,n,m,k,d)


@dataclass(frozen=True)
class Shape:
    """As in floydattn.h."""

    B: int
    H: int
    N: int
    M: int
    K: int
    D: int

    def sizes(self, name: str) -> tuple[int, int, int, int, int]:
        """Of q, k1, v1, k2, v2; of y, and of any of them with a d before it."""
        first, second = AXES["q" if name in ("y", "dy") else name.removeprefix("d")]
        return self.B, self.H, getattr(self, first), getattr(self, second), self.D

    def scores(self) -> int:
        """How many (b,h,n,m,k) there are: what the einsums write down and this library does not."""
        return self.B * self.H * self.N * self.M * self.K

    def flops(self, kind: str) -> int:
        return WORK[kind] * self.scores() * self.D

    def scale(self) -> float:
        return 1 / math.sqrt(2 * self.D)

    def elements(self, name: str) -> int:
        return math.prod(self.sizes(name))

    def output_bytes(self, dtype: str) -> int:
        """y, the gradients, max and sum."""
        plain = sum(self.elements(name) for name in ("y", *GRADIENTS)) * ITEM[dtype]
        return plain + 2 * 4 * self.B * self.H * self.N * self.M

    def facts(self) -> dict[str, int]:
        return asdict(self)

    def __str__(self) -> str:
        """1x16x256x256x256x64, or shorter where the three axes are one length: 1x16x256^3x64."""
        axes = f"{self.N}^3" if self.N == self.M == self.K else f"{self.N}x{self.M}x{self.K}"
        return f"{self.B}x{self.H}x{axes}x{self.D}"


def cube(batch: int, heads: int, length: int, size: int) -> Shape:
    return Shape(batch, heads, length, length, length, size)


def smaller(shape: Shape) -> Shape:
    """The same kind of problem for a trial on a processor."""
    few = [axis if axis < 12 else max(5, axis // 16) for axis in (shape.N, shape.M, shape.K)]
    return Shape(min(shape.B, 2), min(shape.H, 2), *few, shape.D)
