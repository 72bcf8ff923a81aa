# SPDX-License-Identifier: Apache-2.0
"""floydattn_cuda.h through ctypes, on PyTorch's tensors. With device "cpu" the same calls go to floydattn.h, which is how
this benchmark is tried out without a GPU."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch
from floyd_bench.native import ARGS, DTYPE, NativeError, Options, Tensor

TORCH = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16, "u8": torch.uint8}
NAME = {dtype: name for name, dtype in TORCH.items()}


class CudaOptions(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("stream", ctypes.c_void_p)]


def describe(tensor: torch.Tensor) -> Tensor:
    axes = ctypes.c_int64 * 5
    return Tensor(tensor.data_ptr(), DTYPE[NAME[tensor.dtype]], axes(*tensor.shape), axes(*tensor.stride()))


class Library:
    """The back end's functions, found once."""

    def __init__(self, path: Path, device: str) -> None:
        self.c, self.device = ctypes.CDLL(str(path.resolve())), device
        self.prefix = "floyd_cuda_" if device == "cuda" else "floyd_"
        self.last_message = self.function("last_message")
        self.last_message.restype = ctypes.c_char_p

    def function(self, name: str) -> ctypes._CFuncPtr:
        return getattr(self.c, self.prefix + name)

    def options(self) -> ctypes.Structure:
        if self.device == "cuda":
            return CudaOptions(ctypes.sizeof(CudaOptions), torch.cuda.current_stream().cuda_stream)
        return Options(ctypes.sizeof(Options), 0, None, None)

    def check(self, status: int) -> None:
        if status:
            text = self.last_message() or b""
            raise NativeError(f"status {status}: {text.decode(errors='replace')}")


class Call:
    """One forward or backward with its arguments in place; prepare() gives it a workspace."""

    def __init__(self, library: Library, kind: str, tensors: dict[str, torch.Tensor], scale: float, rule: int = 0) -> None:
        self.library, self.held = library, tensors
        self.args = ARGS[kind](scale=scale)
        self.args.struct_size = ctypes.sizeof(self.args)
        self.described = {name: describe(tensor) for name, tensor in tensors.items()}
        for name, _ in self.args._fields_:
            if name in self.described:
                setattr(self.args, name, ctypes.pointer(self.described[name]))
        if kind == "backward":
            self.args.mask_rule = rule
        self.options, self.function = library.options(), library.function(kind)
        size = ctypes.c_size_t()
        query = library.function(f"{kind}_workspace")
        library.check(query(ctypes.byref(self.args), ctypes.byref(self.options), ctypes.byref(size)))
        self.bytes = size.value

    def prepare(self, workspace: torch.Tensor) -> None:
        self.workspace = workspace
        self.ready = (ctypes.byref(self.args), ctypes.byref(self.options), ctypes.c_void_p(workspace.data_ptr()),
                      ctypes.c_size_t(self.bytes))  # fmt: skip

    def __call__(self) -> None:
        status = self.function(*self.ready)
        if status:
            self.library.check(status)
