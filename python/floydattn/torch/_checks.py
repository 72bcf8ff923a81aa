# SPDX-License-Identifier: Apache-2.0
"""What tensors the operator takes. Shapes alone are looked at, so that this holds while torch.compile traces, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NoReturn, Optional

import torch
from torch import Tensor

from ._operator import accumulator

_OPERAND_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_AXES = ("[B,H,N,M,D]", "[B,H,N,K,D]", "[B,H,N,K,D]", "[B,H,K,M,D]", "[B,H,K,M,D]")


def check(names: Sequence[str], q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, mask: Optional[Tensor],
          bias: Optional[Tensor]) -> None:  # fmt: skip
    """Raises what is wrong with seven arguments of these names."""
    operands = (q, k1, v1, k2, v2)
    if mask is None and bias is None and _fit(q, k1, v1, k2, v2):
        return
    _check_kinds(names, operands)
    B, H, N, M, D = q.shape
    K = k1.shape[3]
    shapes = (q.shape, (B, H, N, K, D), (B, H, N, K, D), (B, H, K, M, D), (B, H, K, M, D))
    for name, t, shape, axes in zip(names, operands, shapes, _AXES):
        if t.shape != shape:
            raise ValueError(f"{name} has shape {tuple(t.shape)}; it needs {axes} = {tuple(shape)}, as {names[0]} and {names[1]} "
                             "have them")  # fmt: skip
    if mask is not None:
        if not isinstance(mask, Tensor) or mask.dtype not in (torch.bool, torch.uint8):
            _refuse_kind(names[5], mask, "a tensor of bool or uint8, True where a pivot takes no part")
        _check_scores(names[5], mask, q, (B, H, N, M, K))
    if bias is not None:
        dtypes = _bias_dtypes(q)
        if not isinstance(bias, Tensor) or bias.dtype not in dtypes:
            _refuse_kind(names[6], bias, _tensor_of(dtypes))
        _check_scores(names[6], bias, q, (B, H, N, M, K))


def _fit(q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor) -> bool:
    """True if nothing is wrong with plain CPU tensors: the common case, in few microseconds."""
    if not (type(q) is type(k1) is type(v1) is type(k2) is type(v2) is Tensor and q.dim() == 5 == k1.dim()):
        return False
    B, H, N, M, D = q.shape
    edge, far, dtype = k1.shape, k2.shape, q.dtype
    K = edge[3]
    return (
        edge == (B, H, N, K, D) and v1.shape == edge and far == (B, H, K, M, D) and v2.shape == far
        and dtype in _OPERAND_DTYPES and k1.dtype is v1.dtype is k2.dtype is v2.dtype is dtype
        and q.is_cpu and k1.is_cpu and v1.is_cpu and k2.is_cpu and v2.is_cpu
        and q.layout is k1.layout is v1.layout is k2.layout is v2.layout is torch.strided
    )  # fmt: skip


def _check_kinds(names: Sequence[str], operands: Sequence[Tensor]) -> None:
    first = operands[0]
    for name, t in zip(names, operands):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name} is a {type(t).__name__}; it needs to be a torch.Tensor")
        if t.dtype not in _OPERAND_DTYPES:
            raise TypeError(f"{name} has dtype {t.dtype}; it needs float16, bfloat16, float32 or float64")
        if t.dtype != first.dtype and not _autocast_makes_alike(t.dtype, first.dtype):
            raise TypeError(f"{name} has dtype {t.dtype}; it needs {first.dtype}, as {names[0]} has it")
        _check_place(name, t, first)
        if t.dim() != 5:
            raise ValueError(f"{name} has shape {tuple(t.shape)}; it needs 5 axes")


def _autocast_makes_alike(*dtypes: torch.dtype) -> bool:
    return torch.is_autocast_enabled("cpu") and torch.float64 not in dtypes


def _bias_dtypes(q: Tensor) -> tuple[torch.dtype, ...]:
    if q.dtype == torch.float64:
        return (torch.float64,)
    halves = (torch.float16, torch.bfloat16) if torch.is_autocast_enabled("cpu") else ()
    return (q.dtype, torch.float32, *halves)


def _check_place(name: str, t: Tensor, first: Tensor) -> None:
    if t.layout != torch.strided:
        raise TypeError(f"{name} has layout {t.layout}; it needs torch.strided")
    if t.device.type not in ("cpu", "meta"):
        raise NotImplementedError(f"{name} is on {t.device}; floydattn computes on the CPU and needs it there")
    if t.device != first.device:
        raise ValueError(f"{name} is on {t.device}; it needs {first.device}, as the first tensor has it")


def _check_scores(name: str, t: Tensor, q: Tensor, shape: tuple[int, ...]) -> None:
    _check_place(name, t, q)
    axes = shape[5 - t.dim() :] if t.dim() <= 5 else ()
    if t.dim() > 5 or any(size != 1 and size != full for size, full in zip(t.shape, axes)):
        raise ValueError(f"{name} has shape {tuple(t.shape)}; it needs one that broadcasts to [B,H,N,M,K] = {shape}")


def check_rows(names: Sequence[str], rows: Sequence[Tensor], q: Tensor) -> None:
    """dy and y, of q's shape, then max and sum, of [B,H,N,M,R]."""
    held = accumulator(q.dtype)
    for i, (name, t) in enumerate(zip(names, rows)):
        dtypes = (q.dtype, held) if i < 2 else (held,)
        if not isinstance(t, Tensor) or t.dtype not in dtypes:
            _refuse_kind(name, t, _tensor_of(dtypes))
        _check_place(name, t, q)
        if t.dim() != 5 or t.shape[:4] != q.shape[:4] or (t.shape[4] != q.shape[4] if i < 2 else t.shape[4] < 1):
            raise ValueError(f"{name} has shape {tuple(t.shape)}; it needs {tuple(q.shape) if i < 2 else (*q.shape[:4], 8)}")


def check_number(name: str, value: object) -> None:
    if isinstance(value, Tensor) and value.requires_grad and torch.is_grad_enabled():
        raise TypeError(f"{name} requires a gradient, which only tensors get; it needs to be a number")
    if torch.compiler.is_compiling():  # numbers may be symbols
        return
    if isinstance(value, complex) or not hasattr(value, "__float__") or getattr(value, "ndim", 0) > 0:
        raise TypeError(f"{name} is a {type(value).__name__}; it needs to be a number")


def check_numbers(softmax_cap: float, dropout: float) -> None:
    check_number("softmax_cap", softmax_cap)
    if not 0 <= softmax_cap < math.inf:
        raise ValueError(f"softmax_cap is {softmax_cap}; it needs 0, which is none, or a positive number")
    check_number("dropout", dropout)
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout is {dropout}; it needs a probability from 0 to 1")


def _tensor_of(dtypes: Sequence[torch.dtype]) -> str:
    return "a tensor of " + " or ".join(map(str, dict.fromkeys(dtypes)))


def _refuse_kind(name: str, value: object, need: str) -> NoReturn:
    what = f"has dtype {value.dtype}" if isinstance(value, Tensor) else f"is a {type(value).__name__}"
    raise TypeError(f"{name} {what}; it needs {need}")
