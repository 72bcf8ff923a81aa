# SPDX-License-Identifier: Apache-2.0
"""
FloydNet's functions under their own signatures, without its buffers: pivotal_attention(), pivotal_attention3(), and
patch_floydnet(), which puts both into an installed `floydnet` (arXiv 2601.19094).
"""

from __future__ import annotations

import importlib
import math
from types import ModuleType, TracebackType
from typing import Any, Optional

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from . import _native
from .torch import _checks, _operator, attend
from .torch._derivatives import are_transforms_active

__all__ = ["pivotal_attention", "pivotal_attention3", "patch_floydnet"]

_NAMES = ("q_ik", "k_ij", "v_ij", "k_jk", "v_jk", "attn_mask", "attn_mask")


def pivotal_attention(
    q_ik: Tensor,
    k_ij: Tensor,
    k_jk: Tensor,
    v_ij: Tensor,
    v_jk: Tensor,
    attn_mask: Optional[Tensor] = None,
    dropout: float = 0.0,
    scale: Optional[float] = None,
    inf: float = 1e9,
    softmax_cap: float = -1,
) -> Tensor:
    """
    q_ik [B,H,I,K,D]; k_ij, v_ij [B,H,I,J,D]; k_jk, v_jk [B,H,J,K,D]; returns [B,H,I,K,D]. Attends over j.

    attn_mask: broadcast to [B,H,I,K,J]. Boolean: True where j takes no part, its score becoming -inf (the argument). Else it is
    added to the scores, and gets a gradient if it needs one. dropout: see floyd_attention(). scale: 1/sqrt(2D) unless given.
    softmax_cap: if positive, scores S become cap * tanh(S / cap) before the mask.

    Raises TypeError or ValueError that names the argument.
    """
    is_mask = isinstance(attn_mask, Tensor) and attn_mask.dtype == torch.bool
    mask, bias = (attn_mask, None) if is_mask else (None, attn_mask)
    if isinstance(bias, Tensor) and isinstance(q_ik, Tensor) and bias.dtype != q_ik.dtype and not bias.is_complex():
        bias = bias.to(_operator.accumulator(q_ik.dtype))
    _checks.check(_NAMES, q_ik, k_ij, v_ij, k_jk, v_jk, mask, bias)
    _check_numbers(inf, softmax_cap)
    y, _, _ = attend(q_ik, k_ij, v_ij, k_jk, v_jk, mask, bias, scale, max(softmax_cap, 0.0), _native.fill_of(-inf), dropout,
                     _native.ZERO_GRAD, 1)  # fmt: skip
    return y


def _check_numbers(inf: float, softmax_cap: float) -> None:
    _checks.check_number("inf", inf)
    if math.isnan(inf):
        raise ValueError("inf is nan; it needs to be a number")
    _checks.check_number("softmax_cap", softmax_cap)


# ---- three indices -------------------------------------------------------------------------------------

# Scores that a step of pivotal_attention3 holds at once, unless one i has more.
_SCORES = 1 << 24


def pivotal_attention3(
    q_ijk: Tensor,
    k_pjk: Tensor,
    k_ipk: Tensor,
    k_ijp: Tensor,
    v_pjk: Tensor,
    v_ipk: Tensor,
    v_ijp: Tensor,
    attn_mask: Optional[Tensor] = None,
    dropout: float = 0.0,
    scale: Optional[float] = None,
    inf: float = 1e9,
    softmax_cap: float = -1,
) -> Tensor:
    """
    q_ijk [B,H,I,J,K,D]; k_pjk, v_pjk [B,H,P,J,K,D]; k_ipk, v_ipk [B,H,I,P,K,D]; k_ijp, v_ijp [B,H,I,J,P,D]; attn_mask as in
    pivotal_attention(), broadcast to [B,H,I,J,K,P]. Returns [B,H,I,J,K,D].

    By torch operations on some i at a time, which the backward computes again: scores of J*K*P per i, or of some 16 million in all
    if that is more, are held at once; the inputs alone are D times a J*K*P. scale: 1/sqrt(3D) unless given.
    """
    edges = (k_pjk, k_ipk, k_ijp, v_pjk, v_ipk, v_ijp)
    _check3(q_ijk, edges, attn_mask)
    _check_numbers(inf, softmax_cap)
    _checks.check_numbers(max(softmax_cap, 0.0), dropout)
    B, H, I, J, K, D = q_ijk.shape
    P = k_pjk.shape[2]
    if scale is None:
        scale = _native.default_scale(D, 3)
    _checks.check_number("scale", scale)
    step = max(1, _SCORES // max(1, B * H * J * K * P))
    if attn_mask is not None:
        attn_mask = attn_mask.view((1,) * (6 - attn_mask.dim()) + attn_mask.shape)
    parts = []
    for first in range(0, max(I, 1), step):
        rows = slice(first, first + step)
        mask = attn_mask if attn_mask is None or attn_mask.shape[2] == 1 else attn_mask[:, :, rows]
        numbers = (dropout, scale, inf, softmax_cap)
        given = (q_ijk[:, :, rows], k_pjk, k_ipk[:, :, rows], k_ijp[:, :, rows], v_pjk, v_ipk[:, :, rows], v_ijp[:, :, rows],
                 mask, numbers)  # fmt: skip
        if are_transforms_active():  # in which PyTorch cannot checkpoint
            parts.append(_some_rows(*given))
        else:
            parts.append(checkpoint(_some_rows, *given, use_reentrant=False))
    return torch.cat(parts, dim=2)


def _check3(q: Tensor, edges: tuple[Tensor, ...], mask: Optional[Tensor]) -> None:
    names = ("k_pjk", "k_ipk", "k_ijp", "v_pjk", "v_ipk", "v_ijp")
    for name, t in zip(("q_ijk", *names), (q, *edges)):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name} is a {type(t).__name__}; it needs to be a torch.Tensor")
        if t.dim() != 6:
            raise ValueError(f"{name} has shape {tuple(t.shape)}; it needs 6 axes")
    B, H, I, J, K, D = q.shape
    P = edges[0].shape[2]
    shapes = ((B, H, P, J, K, D), (B, H, I, P, K, D), (B, H, I, J, P, D)) * 2
    for name, t, shape in zip(names, edges, shapes):
        if t.shape != shape:
            raise ValueError(f"{name} has shape {tuple(t.shape)}; it needs {shape}, as q_ijk and k_pjk have them")
    if mask is not None:
        if not isinstance(mask, Tensor):
            raise TypeError(f"attn_mask is a {type(mask).__name__}; it needs to be a torch.Tensor")
        full = (B, H, I, J, K, P)
        if mask.dim() > 6 or any(size not in (1, whole) for size, whole in zip(mask.shape, full[6 - mask.dim() :])):
            raise ValueError(f"attn_mask has shape {tuple(mask.shape)}; it needs one that broadcasts to {full}")


def _some_rows(
    q: Tensor, k_pjk: Tensor, k_ipk: Tensor, k_ijp: Tensor, v_pjk: Tensor, v_ipk: Tensor, v_ijp: Tensor, mask: Optional[Tensor],
    numbers: tuple[float, float, float, float],
) -> Tensor:  # fmt: skip
    dropout, scale, inf, softmax_cap = numbers
    q = q * scale
    scores = torch.einsum("bhijkd,bhpjkd->bhijkp", q, k_pjk)
    scores = scores + torch.einsum("bhijkd,bhipkd->bhijkp", q, k_ipk)
    scores = scores + torch.einsum("bhijkd,bhijpd->bhijkp", q, k_ijp)
    if softmax_cap > 0:
        scores = softmax_cap * torch.tanh(scores / softmax_cap)
    if mask is not None:
        scores = scores.masked_fill(mask, -inf) if mask.dtype == torch.bool else scores + mask
    weights = torch.nn.functional.dropout(torch.softmax(scores, dim=-1), dropout)
    y = torch.einsum("bhijkp,bhpjkd->bhijkd", weights, v_pjk)
    y = y + torch.einsum("bhijkp,bhipkd->bhijkd", weights, v_ipk)
    return y + torch.einsum("bhijkp,bhijpd->bhijkd", weights, v_ijp)


# ---- in place of FloydNet's ----------------------------------------------------------------------------


class Patch:
    """What patch_floydnet() has replaced. undo(), or leaving a `with` block, puts it back."""

    def __init__(self) -> None:
        self._replaced: list[tuple[ModuleType, str, Any]] = []

    def replace(self, module: ModuleType, name: str, value: Any) -> None:
        self._replaced.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    def undo(self) -> None:
        while self._replaced:
            module, name, value = self._replaced.pop()
            setattr(module, name, value)

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:  # fmt: skip
        self.undo()


def patch_floydnet() -> Patch:
    """
    Puts this module's functions in place of those of the package `floydnet`, which its models then use. Names that other modules
    have imported from it before are not found. Raises ImportError without the package.
    """
    patch = Patch()
    for module in [importlib.import_module(name) for name in ("floydnet", "floydnet.functional", "floydnet.transformer")]:
        for function in (pivotal_attention, pivotal_attention3):
            if hasattr(module, function.__name__):
                patch.replace(module, function.__name__, function)
    return patch
