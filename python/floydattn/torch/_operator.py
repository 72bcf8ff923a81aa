# SPDX-License-Identifier: Apache-2.0
"""
The operators torch.ops.floydattn.forward and backward: what they return on a CPU, their shapes, and autocast. Their
derivatives are in _derivatives.py, vmap is in _vmap.py. Arguments are as in floydattn.h; tensors of scores (mask, bias) may
lack leading axes.

Outputs lie in memory in the order of the axes of what they are like: a [B,N,M,H,D] buffer seen as [B,H,N,M,D] gives such a one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

import torch
from torch import Tensor

from .. import _native
from . import _threads
from ._direct import is_direct

_TENSORS = "Tensor q, Tensor k1, Tensor v1, Tensor k2, Tensor v2, Tensor? mask, Tensor? bias, Tensor? seed"
_NUMBERS = "float scale, float softmax_cap, float mask_fill, float dropout, int mask_rule"
_FORWARD = f"forward({_TENSORS}, {_NUMBERS}, int copies) -> (Tensor, Tensor, Tensor)"
_BACKWARD = f"backward(Tensor dy, {_TENSORS}, Tensor y, Tensor max, Tensor sum, {_NUMBERS}, bool[6] wanted) -> Tensor[]"

# The gradients that backward can give, in order; it returns those that are wanted.
GRADIENTS = ("dq", "dk1", "dv1", "dk2", "dv2", "dbias")

DTYPES = {torch.float32: _native.F32, torch.float64: _native.F64, torch.float16: _native.F16, torch.bfloat16: _native.BF16,
          torch.bool: _native.U8, torch.uint8: _native.U8}  # fmt: skip

library = torch.library.Library("floydattn", "DEF")
library.define(_FORWARD, tags=torch.Tag.needs_fixed_stride_order)
library.define(_BACKWARD, tags=torch.Tag.needs_fixed_stride_order)
forward = torch.ops.floydattn.forward.default
backward = torch.ops.floydattn.backward.default


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """What sums of operands of this type are held in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _empty_like(t: Tensor) -> Tensor:
    """A dense tensor of t's shape whose axes lie in memory in the order of t's, repeated ones first."""
    if t.is_contiguous():
        return torch.empty_like(t, memory_format=torch.contiguous_format)
    stride = t.stride()
    order = sorted(range(t.dim()), key=lambda axis: (stride[axis] != 0, -stride[axis]))
    return torch.empty_permuted(t.shape, order, dtype=t.dtype, device=t.device)


def _check_there(*operands: Optional[Tensor]) -> None:
    """PyTorch hands an operator's None on as a tensor."""
    if any(t is None for t in operands):
        raise TypeError("an operand is None; it needs to be a torch.Tensor")


def _outputs(q: Tensor, copies: int) -> tuple[Tensor, Tensor, Tensor]:
    _check_there(q)
    statistics = (*q.shape[:4], copies)
    dtype = accumulator(q.dtype)
    return _empty_like(q), q.new_empty(statistics, dtype=dtype), q.new_empty(statistics, dtype=dtype)


def _gradients(operands: Sequence[Tensor], bias: Optional[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    _check_there(*operands)
    found = [_empty_like(t) for t, is_wanted in zip(operands, wanted) if is_wanted]
    if wanted[5]:
        if bias is None:
            raise ValueError("wanted asks for dbias, and bias is None")
        found.append(bias.new_empty(bias.shape, dtype=accumulator(operands[0].dtype)))
    return found


# ---- on a CPU ------------------------------------------------------------------------------------------


_OF_SCORES = ("mask", "bias", "dbias")


def _native_tensor(name: str, t: Tensor) -> _native.Tensor:
    size, stride = t.size(), t.stride()
    if t.dtype not in DTYPES:
        raise TypeError(f"{name} has dtype {t.dtype}; it needs float16, bfloat16, float32 or float64")
    missing = 5 - len(size)
    if missing == 0:
        return (t.data_ptr(), DTYPES[t.dtype], size, stride)
    if missing < 0 or name not in _OF_SCORES:
        raise ValueError(f"{name} has shape {tuple(size)}; it needs 5 axes")
    return (t.data_ptr(), DTYPES[t.dtype], (*(1,) * missing, *size), (*(0,) * missing, *stride))


def _workspace(size: int) -> tuple[int, object]:
    memory = torch.empty(size, dtype=torch.uint8, device="cpu")
    return memory.data_ptr(), memory


def _number_of(seed: Tensor) -> int:
    """64 bits that every element has a part in."""
    number = 0
    for value in seed.flatten().tolist():
        number = (number * seed.numel() + int(value)) % 2**64
    return number


def _call(kind: Any, tensors: dict[str, Optional[Tensor]], seed: Optional[Tensor], fields: dict[str, float]) -> None:
    if seed is not None:
        fields["seed"] = _number_of(seed)
    given = {name: _native_tensor(name, t) for name, t in tensors.items() if t is not None}
    _native.call(kind, given, fields, torch.get_num_threads(), _workspace, _threads.parallel())


def _forward_cpu(
    q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, mask: Optional[Tensor], bias: Optional[Tensor],
    seed: Optional[Tensor], scale: float, softmax_cap: float, mask_fill: float, dropout: float, mask_rule: int, copies: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    y, greatest, total = outputs = _outputs(q, copies)
    tensors = {"q": q, "k1": k1, "v1": v1, "k2": k2, "v2": v2, "mask": mask, "bias": bias, "y": y, "max": greatest, "sum": total}
    fields = {"scale": scale, "softmax_cap": softmax_cap, "mask_fill": mask_fill, "dropout": dropout}
    _call(_native.FORWARD, tensors, seed, fields)
    return outputs


def _backward_cpu(
    dy: Tensor, q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, mask: Optional[Tensor], bias: Optional[Tensor],
    seed: Optional[Tensor], y: Tensor, max: Tensor, sum: Tensor, scale: float, softmax_cap: float, mask_fill: float,
    dropout: float, mask_rule: int, wanted: Sequence[bool],
) -> list[Tensor]:  # fmt: skip
    found = _gradients((q, k1, v1, k2, v2), bias, wanted)
    names = [name for name, is_wanted in zip(GRADIENTS, wanted) if is_wanted]
    tensors = {"q": q, "k1": k1, "v1": v1, "k2": k2, "v2": v2, "mask": mask, "bias": bias, "y": y, "max": max, "sum": sum,
               "dy": dy, **dict(zip(names, found))}  # fmt: skip
    fields = {"scale": scale, "softmax_cap": softmax_cap, "mask_fill": mask_fill, "dropout": dropout, "mask_rule": mask_rule}
    _call(_native.BACKWARD, tensors, seed, fields)
    return found


library.impl("forward", _forward_cpu, "CPU")
library.impl("backward", _backward_cpu, "CPU")


def call_forward(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The operator forward, below autograd or where it has nothing to do."""
    result: tuple[Tensor, Tensor, Tensor] = (_forward_cpu if is_direct(args[:8]) else forward)(*args)
    return result


def call_backward(*args: Any) -> list[Tensor]:
    """Likewise backward."""
    result: list[Tensor] = (_backward_cpu if is_direct(args[:12]) else backward)(*args)
    return result


# ---- shapes alone --------------------------------------------------------------------------------------


def _forward_fake(q: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _outputs(q, rest[-1])


def _backward_fake(dy: Tensor, q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, mask: Optional[Tensor],
                   bias: Optional[Tensor], *rest: Any) -> list[Tensor]:  # fmt: skip
    return _gradients((q, k1, v1, k2, v2), bias, rest[-1])


torch.library.register_fake("floydattn::forward", _forward_fake, lib=library)
torch.library.register_fake("floydattn::backward", _backward_fake, lib=library)


# ---- autocast ------------------------------------------------------------------------------------------


def call_autocast(function: Callable[..., Any], *args: Any) -> Any:
    """
    A forward whose operands have autocast's type, but fp64, which it leaves alone, and whose bias has it or fp32. The backward
    takes what the forward took.
    """
    dtype = torch.get_autocast_dtype("cpu")
    operands = [t if t.dtype == torch.float64 else t.to(dtype) for t in args[:5]]
    mask, bias, *rest = args[5:]
    if bias is not None and bias.dtype not in (torch.float32, torch.float64):
        bias = bias.to(dtype)
    with torch.autocast("cpu", enabled=False):
        return function(*operands, mask, bias, *rest)


def _forward_autocast(*args: Any) -> Any:
    return call_autocast(forward, *args)


library.impl("forward", _forward_autocast, "AutocastCPU")
