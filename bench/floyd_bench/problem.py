# SPDX-License-Identifier: Apache-2.0
"""Operands of a case: drawn from a seed, rounded to the type, laid out as the case says."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .cases import Shape
from .native import STORAGE, aligned

INPUTS = ("q", "k1", "v1", "k2", "v2")
GRADIENTS = ("dq", "dk1", "dv1", "dk2", "dv2")
PERMUTED = (0, 2, 3, 1, 4)  # [B,H,x,y,D] as it lies in [B,x,y,H,D]
SEED = 20260129


def sizes_of(shape: Shape, name: str) -> tuple[int, int, int, int, int]:
    """The shape of a tensor by its name in floydattn.h."""
    s = shape
    pair = {"1": (s.N, s.K), "2": (s.K, s.M)}.get(name[-1], (s.N, s.M))
    return (s.B, s.H, *pair, 1 if name in ("max", "sum") else s.D)


def wide_type(dtype: str) -> str:
    return "f64" if dtype == "f64" else "f32"


def make(shape: tuple[int, ...], dtype: str, layout: str) -> np.ndarray:
    """An uninitialised tensor; "floydnet": a permuted view, as that model's projections give it."""
    flat = aligned(int(np.prod(shape)), STORAGE[dtype])
    if layout == "contiguous":
        return flat.reshape(shape)
    return flat.reshape([shape[axis] for axis in PERMUTED]).transpose(np.argsort(PERMUTED))


def to_bf16(values: np.ndarray) -> np.ndarray:
    """fp32 without NaN, rounded to the nearest, ties to even."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def widen(values: np.ndarray, dtype: str) -> np.ndarray:
    """The exact values, in fp64."""
    if dtype == "bf16":
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values.astype(np.float64)


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str, layout: str) -> np.ndarray:
    tensor = make(shape, dtype, layout)
    values = rng.standard_normal(shape, np.float64 if dtype == "f64" else np.float32)
    tensor[...] = to_bf16(values) if dtype == "bf16" else values
    return tensor


def draw_mask(kind: str, shape: Shape) -> np.ndarray | None:
    """Non-zero = masked, of the axes that the kind needs. No row is masked in full."""
    s = shape
    if kind == "none":
        return None
    if kind == "padding":  # the last half of the pivots, for every row
        mask = np.zeros((s.B, 1, 1, 1, s.K), np.uint8)
        mask[..., s.K - s.K // 2 :] = 1
        return mask
    axes = {"random": (s.B, 1, s.N, 1, s.K), "random-full": (s.B, s.H, s.N, s.M, s.K)}[kind]
    mask = np.random.default_rng(SEED + 1).integers(0, 2, axes, np.uint8)
    mask[..., 0] = 0
    return mask


@dataclass
class Problem:
    shape: Shape
    dtype: str
    layout: str = "contiguous"
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(SEED)
        for name in (*INPUTS, "dy"):
            self.arrays[name] = draw(rng, sizes_of(self.shape, name), self.dtype, self.layout)

    @property
    def scale(self) -> float:
        return float(2 * self.shape.D) ** -0.5

    def exact_scale(self) -> float:
        """As the library uses it: rounded to fp32 unless the tensors are fp64."""
        return self.scale if self.dtype == "f64" else float(np.float32(self.scale))
