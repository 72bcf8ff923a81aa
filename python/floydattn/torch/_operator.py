# SPDX-License-Identifier: Apache-2.0
"""
The operators torch.ops.floydattn.forward and backward: what they return on a CPU, their shapes, autocast and vmap. Their
derivatives are in _derivatives.py. Arguments are as in floydattn.h; tensors of scores (mask, bias) may lack leading axes.

Outputs lie in memory in the order of the axes of what they are like: a [B,N,M,H,D] buffer seen as [B,H,N,M,D] gives such a one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional

import torch
from torch import Tensor

from .. import _native

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
    """A dense tensor of t's shape whose axes lie in memory in the order of t's."""
    if t.is_contiguous():
        return torch.empty_like(t, memory_format=torch.contiguous_format)
    stride = t.stride()
    order = sorted(range(t.dim()), key=lambda axis: -stride[axis])
    return torch.empty_permuted(t.shape, order, dtype=t.dtype, device=t.device)


def _outputs(q: Tensor, copies: int) -> tuple[Tensor, Tensor, Tensor]:
    statistics = (*q.shape[:4], copies)
    dtype = accumulator(q.dtype)
    return _empty_like(q), q.new_empty(statistics, dtype=dtype), q.new_empty(statistics, dtype=dtype)


def _gradients(operands: Sequence[Tensor], bias: Optional[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    found = [_empty_like(t) for t, is_wanted in zip(operands, wanted) if is_wanted]
    if wanted[5]:
        assert bias is not None
        found.append(bias.new_empty(bias.shape, dtype=accumulator(operands[0].dtype)))
    return found


# ---- on a CPU ------------------------------------------------------------------------------------------


def _native_tensor(t: Tensor) -> _native.Tensor:
    size, stride = t.size(), t.stride()
    missing = 5 - len(size)
    if missing:
        return (t.data_ptr(), DTYPES[t.dtype], (*(1,) * missing, *size), (*(0,) * missing, *stride))
    return (t.data_ptr(), DTYPES[t.dtype], size, stride)


def _workspace(size: int) -> tuple[int, object]:
    memory = torch.empty(size, dtype=torch.uint8)
    return memory.data_ptr(), memory


def _call(kind: Any, tensors: dict[str, Optional[Tensor]], seed: Optional[Tensor], fields: dict[str, float]) -> None:
    if seed is not None:
        fields["seed"] = int(seed) & (1 << 64) - 1
    given = {name: _native_tensor(t) for name, t in tensors.items() if t is not None}
    _native.call(kind, given, fields, torch.get_num_threads(), _workspace)


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


# ---- shapes alone --------------------------------------------------------------------------------------


def _forward_fake(q: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _outputs(q, rest[-1])


def _backward_fake(dy: Tensor, q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, mask: Optional[Tensor],
                   bias: Optional[Tensor], *rest: Any) -> list[Tensor]:  # fmt: skip
    return _gradients((q, k1, v1, k2, v2), bias, rest[-1])


torch.library.register_fake("floydattn::forward", _forward_fake, lib=library)
torch.library.register_fake("floydattn::backward", _backward_fake, lib=library)


# ---- autocast ------------------------------------------------------------------------------------------


def _forward_autocast(q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Operands in autocast's type, but fp64, which it leaves alone; the backward takes what the forward took."""
    dtype = torch.get_autocast_dtype("cpu")
    cast = [t if t.dtype == torch.float64 else t.to(dtype) for t in (q, k1, v1, k2, v2)]
    with torch.autocast("cpu", enabled=False):
        result: tuple[Tensor, Tensor, Tensor] = forward(*cast, *rest)
        return result


library.impl("forward", _forward_autocast, "AutocastCPU")


# ---- vmap: the new axis joins the batch ----------------------------------------------------------------


def _joined(t: Optional[Tensor], axis: Optional[int], size: int, batch: int) -> Optional[Tensor]:
    """[V,B,...] as [V*B,...], where a tensor without the axis, or with B of size 1, is expanded."""
    if t is None:
        return None
    t = t.unsqueeze(0) if axis is None else t.movedim(axis, 0)
    while t.dim() < 6:
        t = t.unsqueeze(1)
    return t.expand(size, batch, *t.shape[2:]).flatten(0, 1)


def _parted(t: Tensor, size: int) -> Tensor:
    return t.view(size, -1, *t.shape[1:])


def _one_seed(seed: Optional[Tensor], axis: Optional[int]) -> Optional[Tensor]:
    """Samples differ by their place in the joined batch."""
    return seed if seed is None or axis is None else seed.movedim(axis, 0)[0]


def _vmap_of(op: Callable[..., Any], info: Any, in_dims: Sequence[Optional[int]], args: Sequence[Any],
             join: Callable[..., Any], seed_at: int) -> Any:  # fmt: skip
    if args[seed_at] is None or info.randomness != "same":
        return join()
    # The same pattern for every sample: one at a time.
    samples = []
    for i in range(info.batch_size):
        samples.append(op(*[a if d is None else a.select(d, i) for a, d in zip(args, in_dims)]))
    stacked = type(samples[0])(torch.stack(parts) for parts in zip(*samples))
    return stacked, type(stacked)(0 for _ in stacked)


def _batch_of(t: Tensor, axis: Optional[int]) -> int:
    return (t if axis is None else t.movedim(axis, 0)[0]).shape[0]


def _forward_vmap(info: Any, in_dims: Sequence[Optional[int]], *args: Any) -> Any:
    size, batch = info.batch_size, _batch_of(args[0], in_dims[0])

    def join() -> Any:
        tensors = [_joined(t, axis, size, batch) for t, axis in zip(args[:7], in_dims)]
        found = forward(*tensors, _one_seed(args[7], in_dims[7]), *args[8:])
        return tuple(_parted(t, size) for t in found), (0, 0, 0)

    return _vmap_of(forward, info, in_dims, args, join, 7)


def _backward_vmap(info: Any, in_dims: Sequence[Optional[int]], *args: Any) -> Any:
    size, batch = info.batch_size, _batch_of(args[1], in_dims[1])

    def join() -> Any:
        before = [_joined(t, axis, size, batch) for t, axis in zip(args[:8], in_dims)]
        state = [_joined(t, axis, size, batch) for t, axis in zip(args[9:12], in_dims[9:])]
        found = backward(*before, _one_seed(args[8], in_dims[8]), *state, *args[12:])
        parts = [_parted(t, size) for t in found]
        if args[-1][5]:  # back to the bias's own shape
            shape = (args[7] if in_dims[7] is None else args[7].movedim(in_dims[7], 0)[0]).shape
            parts[-1] = torch.stack([part.sum_to_size(shape) for part in parts[-1]])
        return parts, [0] * len(parts)

    return _vmap_of(backward, info, in_dims, args, join, 8)


if hasattr(torch.library, "register_vmap"):  # torch 2.5
    torch.library.register_vmap("floydattn::forward", _forward_vmap, lib=library)
    torch.library.register_vmap("floydattn::backward", _backward_vmap, lib=library)
