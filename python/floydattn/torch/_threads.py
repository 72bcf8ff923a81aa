# SPDX-License-Identifier: Apache-2.0
"""
PyTorch's own threads, for the library to compute on: between two operators they wait without sleeping, and threads of another
pool would have to share the processors with them.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch


def _openmp() -> int:
    """The address of the GOMP_parallel that PyTorch itself calls, a floyd_parallel_fn; 0 where there is none."""
    if "parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return 0
    for library in (None, Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"):
        try:
            # Looked up as PyTorch's own references are: what is global first, then what its library depends on.
            function = ctypes.CDLL(None if library is None else str(library)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


_parallel = _openmp()


def parallel() -> int:
    """The address of a floyd_parallel_fn that runs on PyTorch's threads, or 0: the library's own."""
    return _parallel


def _after_fork() -> None:
    # OpenMP's threads stay behind, and GNU's runtime waits for them for ever; the library notices and starts new ones.
    global _parallel
    _parallel = 0


os.register_at_fork(after_in_child=_after_fork)
