# SPDX-License-Identifier: Apache-2.0
"""The operators under vmap: the new axis joins the batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Callable, Optional

import torch
from torch import Tensor

from ._operator import backward, forward, library


def _joined(t: Optional[Tensor], axis: Optional[int], size: int, batch: int) -> Optional[Tensor]:
    """[V,B,...] as [V*B,...], where a tensor without the axis, or with B of size 1, is expanded."""
    if t is None:
        return None
    t = t.unsqueeze(0) if axis is None else t.movedim(axis, 0)
    while t.dim() < 6:
        t = t.unsqueeze(1)
    return t.expand(size, batch, *t.shape[2:]).flatten(0, 1)


def _parted(t: Tensor, size: int, batch: int) -> Tensor:
    return t.view(size, batch, *t.shape[1:])


def _one_seed(seed: Optional[Tensor], axis: Optional[int]) -> Optional[Tensor]:
    """Samples differ by their place in the joined batch."""
    return seed if seed is None or axis is None else seed.movedim(axis, 0)[:1]


def _vmap_of(op: Callable[..., Any], info: Any, in_dims: Sequence[Optional[int]], args: Sequence[Any],
             join: Callable[..., Any], seed_at: int) -> Any:  # fmt: skip
    if args[seed_at] is None or info.randomness != "same" or info.batch_size == 0:
        return join()
    # The same pattern for every sample: one at a time.
    samples = []
    for i in range(info.batch_size):
        samples.append(op(*[a.select(d, i) if isinstance(a, Tensor) and d is not None else a for a, d in zip(args, in_dims)]))
    stacked = type(samples[0])(torch.stack(parts) for parts in zip(*samples))
    return stacked, type(stacked)(0 for _ in stacked)


def _shape_of_one(t: Tensor, axis: Optional[int]) -> tuple[int, ...]:
    return t.shape if axis is None else t.movedim(axis, 0).shape[1:]


def _summed_to(shape: tuple[int, ...], t: Tensor) -> Tensor:
    """[V,B,H,N,M,K] as [V,*shape]."""
    full = (1,) * (5 - len(shape)) + tuple(shape)
    axes = [axis for axis in range(1, 6) if full[axis - 1] == 1]
    return (t.sum(axes, keepdim=True) if axes else t).reshape(t.shape[0], *shape)


def forward_vmap(op: Callable[..., Any], info: Any, in_dims: Sequence[Optional[int]], *args: Any) -> Any:
    """op: the operator, or what is called instead of it inside further transforms."""
    size, batch = info.batch_size, _shape_of_one(args[0], in_dims[0])[0]

    def join() -> Any:
        tensors = [_joined(t, axis, size, batch) for t, axis in zip(args[:7], in_dims)]
        found = op(*tensors, _one_seed(args[7], in_dims[7]), *args[8:])
        return tuple(_parted(t, size, batch) for t in found), (0, 0, 0)

    return _vmap_of(op, info, in_dims, args, join, 7)


def backward_vmap(op: Callable[..., Any], info: Any, in_dims: Sequence[Optional[int]], *args: Any) -> Any:
    size, batch = info.batch_size, _shape_of_one(args[1], in_dims[1])[0]

    def join() -> Any:
        before = [_joined(t, axis, size, batch) for t, axis in zip(args[:8], in_dims)]
        state = [_joined(t, axis, size, batch) for t, axis in zip(args[9:12], in_dims[9:])]
        found = op(*before, _one_seed(args[8], in_dims[8]), *state, *args[12:])
        parts = [_parted(t, size, batch) for t in found]
        if args[-1][5]:  # back to the bias's own shape
            parts[-1] = _summed_to(_shape_of_one(args[7], in_dims[7]), parts[-1])
        return parts, [0] * len(parts)

    return _vmap_of(op, info, in_dims, args, join, 8)


if hasattr(torch.library, "register_vmap"):  # torch 2.5
    torch.library.register_vmap("floydattn::forward", partial(forward_vmap, forward), lib=library)
    torch.library.register_vmap("floydattn::backward", partial(backward_vmap, backward), lib=library)
