# SPDX-License-Identifier: Apache-2.0
"""
Whether PyTorch's dispatcher has anything to do for a call but to hand it on to the CPU's function. It seldom has, and a call that
leaves it out is a hundred microseconds shorter when the caches hold other things.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd import forward_ad

_Key: Any = torch._C.DispatchKey


def _set_of(*keys: Any) -> Any:
    found = torch._C.DispatchKeySet(keys[0])
    for key in keys[1:]:
        found = found.add(key)
    return found


# What plain tensors have, outside and inside of inference mode; others mean a subclass, a transform, a lazy negation, ...
_PLAIN = (_set_of(_Key.CPU, _Key.ADInplaceOrView, _Key.AutogradCPU, _Key.AutocastCPU), _set_of(_Key.CPU, _Key.AutocastCPU))
# What holds for every tensor where no mode and no transform is active.
_QUIET = (_set_of(_Key.BackendSelect, _Key.ADInplaceOrView), _set_of(_Key.BackendSelect))

_keys_of = torch._C._dispatch_keys
_keys_for_all = torch._C._dispatch_tls_local_include_set
_is_profiled = torch._C._autograd._profiler_enabled
_is_overridden: Any = torch._C._is_torch_function_mode_enabled
_KINDS = (Tensor, torch.nn.Parameter)


def is_direct(tensors: Sequence[Optional[Tensor]]) -> bool:
    """Of tensors that need no gradient, or where autograd has already been dealt with; None among them counts as plain."""
    if torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu") or _is_profiled() or _is_overridden():
        return False
    if _keys_for_all() not in _QUIET or forward_ad._current_level >= 0:
        return False
    return all(t is None or type(t) in _KINDS and _keys_of(t) in _PLAIN for t in tensors)
