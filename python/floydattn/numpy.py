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

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from . import _native

Array = npt.NDArray[Any]

GRADIENTS = ("dq", "dk1", "dv1", "dk2", "dv2")
_MASKS = {"bool": _native.U8, "uint8": _native.U8}
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
    dbias: Optional[Array] = None


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
    return (array.ctypes.data, dtype, array.shape, [stride // array.itemsize for stride in array.strides])


def _workspace(size: int) -> tuple[int, object]:
    memory = np.empty(size, np.uint8)
    return memory.ctypes.data, memory


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
        held = array if _in_elements(array) else np.array(array, order="C")
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

    def take_scores(self, name: str, value: object, dtypes: Mapping[str, int], shape: tuple[int, ...]) -> Optional[Array]:
        """The mask or bias, with the leading axes that it lacks."""
        if value is None:
            return None
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{name} is a {type(value).__name__}; it needs to be a NumPy array")
        if value.dtype.name not in dtypes or not value.dtype.isnative:
            raise TypeError(f"{name} has dtype {value.dtype}; it needs {' or '.join(dtypes)} in native byte order")
        full = value.reshape((1,) * (5 - value.ndim) + value.shape) if value.ndim < 5 else value
        if full.ndim != 5 or any(size not in (1, whole) for size, whole in zip(full.shape, shape)):
            raise ValueError(f"{name} has shape {value.shape}; it needs one that broadcasts to {shape}")
        held = full if _in_elements(full) else np.array(full, order="C")
        self._put(name, held, dtypes[value.dtype.name])
        return full

    def run(self, kind: Any, threads: int, **fields: float) -> None:
        _native.call(kind, self.tensors, fields, _native.threads_of(threads), _workspace)


def _take_operands(arguments: _Arguments, q: Array, k1: Array, v1: Array, k2: Array, v2: Array, mask: object,
                   bias: object) -> tuple[Array, Optional[Array]]:  # fmt: skip
    """q, and the bias with five axes."""
    q = arguments.take("q", q)
    k1 = arguments.take("k1", k1)
    arguments.take("v1", v1)
    arguments.take("k2", k2)
    arguments.take("v2", v2)
    scores = (*q.shape[:4], k1.shape[3])
    arguments.take_scores("mask", mask, _MASKS, scores)
    return q, arguments.take_scores("bias", bias, _DTYPES, scores)


def _number(name: str, value: object) -> float:
    if not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is a {type(value).__name__}; it needs to be a number")
    return float(value)


def _numbers(scale: Optional[float], D: int, softmax_cap: float, mask_fill: Optional[float], dropout: float,
             seed: int) -> dict[str, float]:  # fmt: skip
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed!r}; it needs a whole number from 0 to 2**64 - 1")
    fill = 0.0 if mask_fill is None else _native.fill_of(_number("mask_fill", mask_fill))
    return {"scale": _native.default_scale(D) if scale is None else _number("scale", scale),
            "softmax_cap": _number("softmax_cap", softmax_cap), "mask_fill": fill, "dropout": _number("dropout", dropout),
            "seed": int(seed)}  # fmt: skip


def forward(
    q: Array,
    k1: Array,
    v1: Array,
    k2: Array,
    v2: Array,
    mask: Optional[Array] = None,
    *,
    scale: Optional[float] = None,
    bias: Optional[Array] = None,
    softmax_cap: float = 0.0,
    mask_fill: Optional[float] = None,
    dropout: float = 0.0,
    seed: int = 0,
    out: Optional[tuple[Array, Array, Array]] = None,
    carry: bool = False,
    threads: int = 0,
) -> Forward:
    """
    y, and max and sum of each row, which backward() needs.

    scale: 1/sqrt(2D) unless given. bias, of q's dtype or float32 (float64), is added to the scores and broadcast as the mask is;
    softmax_cap, mask_fill, dropout and seed are as floydattn.h has them. out: (y, max, sum) to write to; y has q's dtype or
    float32, max and sum float32 (float64 beside float64). carry: out holds the state of an earlier call over other pivots, which
    is continued; y is then float32 (float64), and sum = 0 is the state to start from. threads: 0 is as many as floydattn.h says.
    """
    arguments = _Arguments()
    q, _ = _take_operands(arguments, q, k1, v1, k2, v2, mask, bias)
    if out is None:
        if carry:
            raise ValueError("carry is set and out is None; it needs the state to continue: y, max and sum")
        statistics = np.float64 if q.dtype == np.float64 else np.float32
        out = (np.empty(q.shape, q.dtype), np.empty(q.shape[:4], statistics), np.empty(q.shape[:4], statistics))
    if not isinstance(out, tuple) or len(out) != 3:
        raise TypeError("out needs to be a tuple of three arrays: y, max and sum")
    result = Forward(arguments.give("y", out[0]), arguments.give("max", out[1], 4), arguments.give("sum", out[2], 4))
    arguments.run(_native.FORWARD, threads, carry=int(carry), **_numbers(scale, q.shape[4], softmax_cap, mask_fill, dropout, seed))
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
    bias: Optional[Array] = None,
    softmax_cap: float = 0.0,
    mask_fill: Optional[float] = None,
    dropout: float = 0.0,
    seed: int = 0,
    mask_rule: str = "zero_grad",
    wanted: Iterable[str] = GRADIENTS,
    out: Optional[Mapping[str, Array]] = None,
    add: bool = False,
    threads: int = 0,
) -> Gradients:
    """
    The gradients of the arguments of forward(), from its results, which are taken as they are given.

    mask_rule: in rows that are masked throughout, "zero_grad" makes dS 0 (FloydNet's masked_fill) and "replace" lets the formula
    stand (CANN). wanted: names of the gradients to compute, "dbias" among them where there is a bias; those in out are, too. out:
    arrays to write to, by name, of the operand's dtype or float32; dbias has the bias's shape with five axes, and is float32
    (float64). add: gradients are added to what out holds, in float32 (float64).
    """
    arguments = _Arguments()
    q, bias = _take_operands(arguments, q, k1, v1, k2, v2, mask, bias)
    arguments.take("dy", dy)
    arguments.take("y", y)
    arguments.take("max", max, 4)
    arguments.take("sum", sum, 4)
    if mask_rule not in _native.RULES:
        raise ValueError(f"mask_rule is {mask_rule!r}; it needs 'zero_grad' or 'replace'")
    of = dict(zip(GRADIENTS, ((t.shape, t.dtype) for t in (q, k1, v1, k2, v2))))
    if bias is not None:
        of["dbias"] = (bias.shape, np.dtype(np.float64 if q.dtype == np.float64 else np.float32))
    given = dict(out or {})
    names = list(dict.fromkeys([*wanted, *given]))
    for name in names:
        if name not in of:
            raise ValueError(f"there is no gradient {name!r}; there are {', '.join(of)}")
        if name not in given:
            if add:
                raise ValueError(f"add is set and out has no {name}; it needs what is added to")
            given[name] = np.empty(*of[name])
        arguments.give(name, given[name])
    rule = _native.RULES[mask_rule]
    arguments.run(_native.BACKWARD, threads, mask_rule=rule, add=int(add),
                  **_numbers(scale, q.shape[4], softmax_cap, mask_fill, dropout, seed))  # fmt: skip
    return Gradients(*(given.get(name) for name in Gradients._fields))
