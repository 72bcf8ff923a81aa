# SPDX-License-Identifier: Apache-2.0
"""
The functions that torch_npu has for this operator, under their signatures, on any machine, of any shape, and with the same bits on
every run: npu_fused_floyd_attention(), which is differentiable, and its backward.
"""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from . import _native
from .torch import _checks, _operator, attend

__all__ = ["npu_fused_floyd_attention", "npu_fused_floyd_attention_backward"]

_NAMES = ("query_ik", "key_ij", "value_ij", "key_jk", "value_jk", "atten_mask", "atten_mask")
_COPIES = 8  # of each row's max and sum


def npu_fused_floyd_attention(
    query_ik: Tensor,
    key_ij: Tensor,
    value_ij: Tensor,
    key_jk: Tensor,
    value_jk: Tensor,
    *,
    atten_mask: Optional[Tensor] = None,
    scale_value: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """
    softmax_max and softmax_sum [B,H,N,M,8], float32 (float64 for float64), without gradients, and attention_out [B,H,N,M,D].

    query_ik [B,H,N,M,D]; key_ij, value_ij [B,H,N,K,D]; key_jk, value_jk [B,H,K,M,D]; atten_mask bool or uint8, usually [B,1,N,1,K],
    not 0 where a pivot takes no part. Raises TypeError or ValueError that names the argument.
    """
    _checks.check(_NAMES, query_ik, key_ij, value_ij, key_jk, value_jk, atten_mask, None)
    _checks.check_number("scale_value", scale_value)
    y, greatest, total = attend(query_ik, key_ij, value_ij, key_jk, value_jk, atten_mask, None, scale_value, 0.0, 0.0, 0.0,
                                _native.REPLACE, _COPIES)  # fmt: skip
    return greatest, total, y


def npu_fused_floyd_attention_backward(
    grad_output: Tensor,
    query_ik: Tensor,
    key_ij: Tensor,
    value_ij: Tensor,
    key_jk: Tensor,
    value_jk: Tensor,
    attention_out: Tensor,
    softmax_max: Tensor,
    softmax_sum: Tensor,
    *,
    atten_mask: Optional[Tensor] = None,
    scale_value: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of query_ik, key_ij, value_ij, key_jk and value_jk, from the forward's results as they are given."""
    with torch.autocast("cpu", enabled=False):  # which casts operands of the forward alone
        _checks.check(_NAMES, query_ik, key_ij, value_ij, key_jk, value_jk, atten_mask, None)
    _checks.check_number("scale_value", scale_value)
    _checks.check_rows(("grad_output", "attention_out", "softmax_max", "softmax_sum"),
                       (grad_output, attention_out, softmax_max, softmax_sum), query_ik)  # fmt: skip
    dq, dk_ij, dv_ij, dk_jk, dv_jk = _operator.backward(
        grad_output, query_ik, key_ij, value_ij, key_jk, value_jk, atten_mask, None, None, attention_out, softmax_max,
        softmax_sum, scale_value, 0.0, 0.0, 0.0, _native.REPLACE, [True] * 5 + [False])  # fmt: skip
    return dq, dk_ij, dv_ij, dk_jk, dv_jk
