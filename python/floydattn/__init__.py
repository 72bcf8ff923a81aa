# SPDX-License-Identifier: Apache-2.0
"""
Floyd (pivotal) attention, forward and gradient, without buffers of size N*M*K.

    S[n,m,k] = scale * (q[n,m] . k1[n,k] + q[n,m] . k2[k,m])      (masked positions: replaced by -FLT_MAX)
    y[n,m]   = sum over k of softmax(S)[n,m,k] * (v1[n,k] + v2[k,m])

floydattn.numpy has the operator on NumPy arrays. On PyTorch tensors, where PyTorch is installed:

    floyd_attention                     the operator, differentiable
    pivotal_attention(3)                FloydNet's functions; patch_floydnet() puts them into an installed floydnet
    npu_fused_floyd_attention(_backward)    those of torch_npu

The mathematics, the shapes and every promise stand in floydattn.h.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from . import numpy
from ._native import library_path, version

if TYPE_CHECKING:
    from .floydnet import patch_floydnet, pivotal_attention, pivotal_attention3
    from .npu import npu_fused_floyd_attention, npu_fused_floyd_attention_backward
    from .torch import floyd_attention

__version__ = version()
__all__ = ["library_path", "numpy", "version"]
if importlib.util.find_spec("torch"):
    __all__ += ["floyd_attention", "npu_fused_floyd_attention", "npu_fused_floyd_attention_backward", "patch_floydnet",
                "pivotal_attention", "pivotal_attention3"]  # fmt: skip

# What needs PyTorch is imported when it is first asked for.
_MODULES = {"floyd_attention": "torch", "pivotal_attention": "floydnet", "pivotal_attention3": "floydnet",
            "patch_floydnet": "floydnet", "npu_fused_floyd_attention": "npu",
            "npu_fused_floyd_attention_backward": "npu"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f".{_MODULES[name]}", __name__)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"floydattn.{name} needs PyTorch, which is not installed (pip install torch)") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
