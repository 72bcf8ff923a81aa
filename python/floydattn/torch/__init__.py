# SPDX-License-Identifier: Apache-2.0
"""
The operator on PyTorch tensors: floyd_attention().

It is torch.ops.floydattn.forward and backward: with gradients (also second ones), torch.compile, torch.export, torch.func, vmap,
autocast and checkpointing. It computes on the CPU with as many threads as torch.get_num_threads() says, holds no Python lock while
it does, and keeps for the backward its inputs, y and two numbers per row: nothing of size N*M*K.
"""

from __future__ import annotations

import operator
from typing import Optional

import torch
from torch import Tensor

from . import _checks, _derivatives, _operator
from .. import _native

__all__ = ["floyd_attention"]


def floyd_attention(
    q: Tensor,
    k1: Tensor,
    v1: Tensor,
    k2: Tensor,
    v2: Tensor,
    mask: Optional[Tensor] = None,
    *,
    scale: Optional[float] = None,
    bias: Optional[Tensor] = None,
    softmax_cap: float = 0.0,
    dropout: float = 0.0,
    mask_rule: str = "zero_grad",
) -> Tensor:
    """
    y[n,m] = sum over k of softmax(S)[n,m,k] * (v1[n,k] + v2[k,m]), S[n,m,k] = scale * (q[n,m] . k1[n,k] + q[n,m] . k2[k,m]).

    q, y [B,H,N,M,D]; k1, v1 [B,H,N,K,D]; k2, v2 [B,H,K,M,D]: float16, bfloat16, float32 or float64, all alike, of any size and
    any strides. Sums are float32 (float64 for float64).
    mask: bool or uint8, True where a pivot takes no part, broadcast to [B,H,N,M,K]. A row that is masked throughout gets the
    average of its values. mask_rule: its scores then have no gradient ("zero_grad"), or the formula's ("replace", as CANN does).
    scale: 1/sqrt(2D) unless given.
    bias: added to the scaled scores, broadcast to [B,H,N,M,K]; of q's type or float32. Gets its gradient if it needs one.
    softmax_cap: if positive, scores S become cap * tanh(S / cap) before the bias.
    dropout: probability with which a weight of softmax is dropped, the others growing by 1 / (1 - dropout). The seed comes from
    torch's default generator; the pattern is not stored.

    Raises TypeError or ValueError, or NotImplementedError for another device, that names the argument.
    """
    _checks.check(("q", "k1", "v1", "k2", "v2", "mask", "bias"), q, k1, v1, k2, v2, mask, bias)
    if not isinstance(mask_rule, str) or mask_rule not in _native.RULES:
        raise ValueError(f"mask_rule is {mask_rule!r}; it needs 'zero_grad' or 'replace'")
    y, _, _ = attend(q, k1, v1, k2, v2, mask, bias, scale, softmax_cap, 0.0, dropout, _native.RULES[mask_rule], 1)
    return y


def attend(
    q: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, mask: Optional[Tensor], bias: Optional[Tensor],
    scale: Optional[float], softmax_cap: float, mask_fill: float, dropout: float, mask_rule: int, copies: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """y, max and sum of checked tensors."""
    _checks.check_numbers(softmax_cap, dropout)
    if scale is None:
        scale = _native.default_scale(operator.index(q.shape[4]))  # a symbol becomes a constant: operators take plain numbers
    _checks.check_number("scale", scale)
    # 21! > 2**64, and of PyTorch's generators this is one that Inductor calls: compiled code draws the same pattern.
    seed = torch.randperm(21, device="cpu") if dropout > 0 else None
    return _derivatives.differentiable(
        q, k1, v1, k2, v2, mask, bias, seed, scale, softmax_cap, mask_fill, dropout, mask_rule, copies)  # fmt: skip
