# SPDX-License-Identifier: Apache-2.0
"""
The operator on NumPy arrays: forward() and backward().

Arrays are float16, float32 or float64, or bfloat16 of the package ml_dtypes, in native byte order, with any strides: nothing
is copied, but for an input whose strides or address are no multiple of its element's size. Shapes, with R = 1 copies of the row
statistics, which have no fifth axis here:

    q, y, dy, dq        [B,H,N,M,D]      max, sum        [B,H,N,M]
    k1, v1, dk1, dv1    [B,H,N,K,D]      mask            broadcast by NumPy's rules to [B,H,N,M,K], bool or uint8
    k2, v2, dk2, dv2    [B,H,K,M,D]

What is wrong with an argument is told by a ValueError, or a TypeError for its data type, that names it; no output has then
been written. Other Python threads run during a call.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from . import _native

Array = npt.NDArray[Any]

GRADIENTS = ("dq", "dk1", "dv1", "dk2", "dv2")
_RULES = {"replace": _native.REPLACE, "zero_grad": _native.ZERO_GRAD}
_DTYPES = {"float32": _native.F32, "float64": _native.F64, "float16": _native.F16, "bfloat16": _native.BF16}


class Forward(NamedTuple):
    y: Array
    max: Array
    sum: Array


class Gradients(NamedTuple):
    """None where a gradient was not asked for."""

    dq: Optional[Array]
    dk1: Optional[Array]
    dv1: Optional[Array]
    dk2: Optional[Array]
    dv2: Optional[Array]


def _checked(name: str, value: object, axes: int) -> Array:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}; it needs to be a NumPy array")
    if value.ndim != axes:
        raise ValueError(f"{name} has shape {value.shape}; it needs {axes} axes")
    if value.dtype.name not in _DTYPES or not value.dtype.isnative:
        raise TypeError(f"{name} has dtype {value.dtype}; it needs float16, bfloat16, float32 or float64 in native byte order")
    return value


def _in_elements(array: Array) -> bool:
    return array.flags.aligned and all(stride % array.itemsize == 0 for stride in array.strides)


def _tensor(array: Array, dtype: int) -> _native.Tensor:
    strides = [stride // array.itemsize for stride in array.strides]
    return _native.Tensor(array.ctypes.data, dtype, (ctypes.c_int64 * 5)(*array.shape), (ctypes.c_int64 * 5)(*strides))


class _Arguments:
    """Arrays as tensors of one call. Keeps what was copied alive."""

    def __init__(self) -> None:
        self.tensors: dict[str, _native.Tensor] = {}
        self.kept: list[Array] = []

    def _put(self, name: str, array: Array, dtype: int) -> None:
        self.kept.append(array)
        self.tensors[name] = _tensor(array, dtype)

    def take(self, name: str, value: object, axes: int = 5) -> Array:
        """An input. Row statistics have four axes."""
        array = _checked(name, value, axes)
        held = array if _in_elements(array) else np.ascontiguousarray(array)
        self._put(name, held if axes == 5 else held[..., None], _DTYPES[array.dtype.name])
        return array

    def give(self, name: str, value: Array, axes: int = 5) -> Array:
        """An output, where it lies."""
        array = _checked(name, value, axes)
        if not array.flags.writeable:
            raise ValueError(f"{name} is read-only; an output needs to be writeable")
        if not _in_elements(array):
            raise ValueError(f"{name} has strides {array.strides}; an output needs multiples of its element's size")
        self._put(name, array if axes == 5 else array[..., None], _DTYPES[array.dtype.name])
        return array

    def take_mask(self, mask: object, shape: tuple[int, ...]) -> None:
        if mask is None:
            return
        if not isinstance(mask, np.ndarray):
            raise TypeError(f"mask is a {type(mask).__name__}; it needs to be a NumPy array")
        if mask.dtype not in (np.bool_, np.uint8):
            raise TypeError(f"mask has dtype {mask.dtype}; it needs bool or uint8, True where a pivot takes no part")
        try:
            full = np.broadcast_to(mask, shape)
        except ValueError:
            raise ValueError(f"mask has shape {mask.shape}; it needs one that broadcasts to {shape}") from None
        self._put("mask", full, _native.U8)

    def run(self, kind: str, threads: int, **fields: float) -> None:
        call = _native.Call(kind, self.tensors, _checked_threads(threads), **fields)
        workspace = np.empty(call.bytes, np.uint8)
        call.run(workspace.ctypes.data)


def _checked_threads(threads: int) -> int:
    if not isinstance(threads, int) or not 0 <= threads < 2**31:
        raise ValueError(f"threads is {threads!r}; it needs 0, the default, or a number of threads")
    return threads


def _scale(scale: Optional[float], D: int) -> float:
    return float(scale) if scale is not None else 1 / math.sqrt(2 * max(D, 1))


def _take_operands(arguments: _Arguments, q: Array, k1: Array, v1: Array, k2: Array, v2: Array, mask: object) -> Array:
    q = arguments.take("q", q)
    k1 = arguments.take("k1", k1)
    arguments.take("v1", v1)
    arguments.take("k2", k2)
    arguments.take("v2", v2)
    arguments.take_mask(mask, (*q.shape[:4], k1.shape[3]))
    return q


def forward(
    q: Array,
    k1: Array,
    v1: Array,
    k2: Array,
    v2: Array,
    mask: Optional[Array] = None,
    *,
    scale: Optional[float] = None,
    out: Optional[tuple[Array, Array, Array]] = None,
    carry: bool = False,
    threads: int = 0,
) -> Forward:
    """
    y, and max and sum of each row, which backward() needs.

    scale: 1/sqrt(2D) unless given. out: (y, max, sum) to write to; y has q's dtype or float32, max and sum float32 (float64
    beside float64). carry: out holds the state of an earlier call over other pivots, which is continued; y is then float32
    (float64), and sum = 0 is the state to start from. threads: 0 is as many as floydattn.h says.
    """
    arguments = _Arguments()
    q = _take_operands(arguments, q, k1, v1, k2, v2, mask)
    if out is None:
        if carry:
            raise ValueError("carry is set and out is None; it needs the state to continue: y, max and sum")
        statistics = np.float64 if q.dtype == np.float64 else np.float32
        out = (np.empty(q.shape, q.dtype), np.empty(q.shape[:4], statistics), np.empty(q.shape[:4], statistics))
    if not isinstance(out, tuple) or len(out) != 3:
        raise TypeError("out needs to be a tuple of three arrays: y, max and sum")
    result = Forward(arguments.give("y", out[0]), arguments.give("max", out[1], 4), arguments.give("sum", out[2], 4))
    arguments.run("forward", threads, scale=_scale(scale, q.shape[4]), carry=int(carry))
    return result


def backward(
    dy: Array,
    q: Array,
    k1: Array,
    v1: Array,
    k2: Array,
    v2: Array,
    y: Array,
    max: Array,
    sum: Array,
    mask: Optional[Array] = None,
    *,
    scale: Optional[float] = None,
    mask_rule: str = "zero_grad",
    wanted: Iterable[str] = GRADIENTS,
    out: Optional[Mapping[str, Array]] = None,
    add: bool = False,
    threads: int = 0,
) -> Gradients:
    """
    The gradients of the arguments of forward(), from its results, which are taken as they are given.

    mask_rule: in rows that are masked throughout, "zero_grad" makes dS 0 (FloydNet's masked_fill) and "replace" lets the formula
    stand (CANN). wanted: names of the gradients to compute; those in out are, too. out: arrays to write to, by name, of the
    operand's dtype or float32. add: gradients are added to what out holds, in float32 (float64).
    """
    arguments = _Arguments()
    q = _take_operands(arguments, q, k1, v1, k2, v2, mask)
    arguments.take("dy", dy)
    arguments.take("y", y)
    arguments.take("max", max, 4)
    arguments.take("sum", sum, 4)
    if mask_rule not in _RULES:
        raise ValueError(f"mask_rule is {mask_rule!r}; it needs 'zero_grad' or 'replace'")
    of = dict(zip(GRADIENTS, (q, k1, v1, k2, v2)))
    given = dict(out or {})
    names = list(dict.fromkeys([*wanted, *given]))
    for name in names:
        if name not in of:
            raise ValueError(f"there is no gradient {name!r}; there are {', '.join(GRADIENTS)}")
        if name not in given:
            if add:
                raise ValueError(f"add is set and out has no {name}; it needs what is added to")
            given[name] = np.empty(of[name].shape, of[name].dtype)
        arguments.give(name, given[name])
    rule = _RULES[mask_rule]
    arguments.run("backward", threads, scale=_scale(scale, q.shape[4]), mask_rule=rule, add=int(add))
    return Gradients(*(given.get(name) for name in GRADIENTS))
