# SPDX-License-Identifier: Apache-2.0
"""
Derivatives of the operators. That of forward is backward; that of backward is composed of differentiable torch operations from
the formulas, and takes several buffers of B*H*N*M*K elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .. import _native
from . import _operator, _vmap
from ._operator import backward, forward, library

_below_autograd = torch._C._AutoDispatchBelowAutograd


def _needs_grad(tensors: Sequence[Any]) -> bool:
    return torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in tensors)


# PyTorch 2.4 compiles no code that asks for transforms.
_is_traceable = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 5)


def are_transforms_active() -> bool:
    """Whether a transform of torch.func is."""
    return (_is_traceable or not torch.compiler.is_compiling()) and torch._C._are_functorch_transforms_active()


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
        with _below_autograd():
            return _operator.call_forward(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs[:8], *output)
        ctx.numbers = inputs[8:13]
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, dy: Optional[Tensor], *_: Any) -> tuple[Optional[Tensor], ...]:
        needed = ctx.needs_input_grad
        wanted = [*needed[:5], needed[6]]
        if dy is None or not any(wanted):
            return (None,) * 14
        saved = ctx.saved_tensors
        found = iter(_gradients(dy, *saved, *ctx.numbers, wanted))
        dq, dk1, dv1, dk2, dv2, dbias = (next(found) if is_wanted else None for is_wanted in wanted)
        bias = saved[6]
        return (dq, dk1, dv1, dk2, dv2, None, dbias if dbias is None else dbias.to(bias.dtype), *(None,) * 7)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Optional[int], ...], *args: Any) -> Any:
        return _vmap.forward_vmap(differentiable, info, in_dims, *args)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(*args: Any) -> tuple[Tensor, ...]:
        with _below_autograd():
            return tuple(backward(*args))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.save_for_backward(*inputs[:8])
        ctx.numbers = inputs[12:17]
        ctx.wanted = inputs[17]

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Optional[Tensor], ...]:
        scale, softmax_cap, mask_fill, dropout, mask_rule = ctx.numbers
        if dropout > 0:
            raise NotImplementedError(f"dropout is {dropout}; second derivatives of Floyd attention need it to be 0")
        dy, *operands, mask, bias = ctx.saved_tensors
        given = operands if bias is None else [*operands, bias]

        def value(*t: Tensor) -> Tensor:
            return composed(t[:5], mask, t[5] if len(t) > 5 else None, scale, softmax_cap, mask_fill, mask_rule)

        def gradients(dy: Tensor, *t: Tensor) -> list[Tensor]:
            found = torch.func.vjp(value, *t)[1](dy)
            return [gradient for gradient, is_wanted in zip(found, ctx.wanted) if is_wanted]

        with torch.autocast("cpu", enabled=False):
            seconds: Sequence[Tensor] = torch.func.vjp(gradients, dy, *given)[1](list(above))
        return (*seconds[:6], None, seconds[6] if bias is not None else None, *(None,) * 10)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Optional[int], ...], *args: Any) -> Any:
        found, dims = _vmap.backward_vmap(_gradients, info, in_dims, *args)
        return tuple(found), tuple(dims)


_apply_forward: Any = _Forward.apply
_apply_backward: Any = _Backward.apply
_apply_plainly: Any = super(torch.autograd.Function, _Forward).apply


def composed(operands: Sequence[Tensor], mask: Optional[Tensor], bias: Optional[Tensor], scale: float, softmax_cap: float,
             mask_fill: float, mask_rule: int) -> Tensor:  # fmt: skip
    """The forward of floydattn.h by torch operations, in the accumulator's type."""
    dtype = _operator.accumulator(operands[0].dtype)
    q, k1, v1, k2, v2 = (t.to(dtype) for t in operands)
    scores = torch.einsum("bhnmd,bhnkd->bhnmk", q, k1) + torch.einsum("bhnmd,bhkmd->bhnmk", q, k2)
    scores = scores * scale
    if softmax_cap > 0:
        scores = softmax_cap * torch.tanh(scores / softmax_cap)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        filled = scores.masked_fill(mask != 0, mask_fill or torch.finfo(torch.float32).min)
        # Replaced scores hand their gradient on as if something had been added to them; it is not 0 in fully masked rows alone.
        scores = filled if mask_rule == _native.ZERO_GRAD else torch.where(mask != 0, filled + (scores - scores.detach()), filled)
    weights = torch.softmax(scores, dim=-1)
    y = torch.einsum("bhnmk,bhnkd->bhnmd", weights, v1) + torch.einsum("bhnmk,bhkmd->bhnmd", weights, v2)
    return y.to(operands[0].dtype)


def differentiable(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    """
    The operator forward. Transforms of torch.func see autograd functions where they are called, not below an operator; and where
    nothing but a gradient is asked for, one that is called directly takes a hundred microseconds less.
    """
    result: tuple[Tensor, Tensor, Tensor]
    autocast = torch.is_autocast_enabled("cpu")
    transformed = are_transforms_active()
    if transformed and autocast:
        result = _operator.call_autocast(_apply_forward, *args)
    elif transformed or not (autocast or torch.compiler.is_compiling() or forward_ad._current_level >= 0) and _needs_grad(args[:8]):
        # What Function.apply adds is for transforms.
        result = _apply_forward(*args) if transformed else _apply_plainly(*args)
    else:
        result = _operator.call_forward(*args)
    return result


def _gradients(*args: Any) -> Sequence[Tensor]:
    result: Sequence[Tensor]
    if are_transforms_active():
        result = _apply_backward(*args)
    elif torch.is_grad_enabled():
        result = backward(*args)
    else:
        with _below_autograd():
            result = _operator.call_backward(*args)
    return result


def _refuse_tangents(tensors: Sequence[Any]) -> None:
    """Without this a forward-mode derivative would be 0 and nobody would know."""
    if forward_ad._current_level >= 0:
        for t in tensors:
            if isinstance(t, Tensor) and forward_ad.unpack_dual(t).tangent is not None:
                raise NotImplementedError("Floyd attention has no forward-mode derivatives, only reverse-mode ones")


def _forward_autograd(*args: Any) -> Any:
    _refuse_tangents(args[:8])
    if _needs_grad(args[:8]):
        return _apply_forward(*args)
    with _below_autograd():
        return forward(*args)


def _backward_autograd(*args: Any) -> Any:
    _refuse_tangents(args[:12])
    if _needs_grad(args[:12]):
        return list(_apply_backward(*args))
    with _below_autograd():
        return backward(*args)


library.impl("forward", _forward_autograd, "Autograd")
library.impl("backward", _backward_autograd, "Autograd")
