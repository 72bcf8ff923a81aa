# SPDX-License-Identifier: Apache-2.0
"""floydattn.h through ctypes: the structures, and a call that is made ready once and then made many times."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

DTYPE = {"f32": 0, "f64": 1, "f16": 2, "bf16": 3, "u8": 4}
STORAGE = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": np.uint16, "u8": np.uint8}


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("size", ctypes.c_int64 * 5),
                ("stride", ctypes.c_int64 * 5)]


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("threads", ctypes.c_int), ("progress", ctypes.c_void_p),
                ("progress_user", ctypes.c_void_p)]


class Isa(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("supported", ctypes.c_int), ("chosen", ctypes.c_int),
                ("reason", ctypes.c_char_p)]


def _tensors(names: str) -> list:
    return [(name, ctypes.POINTER(Tensor)) for name in names.split()]


class ForwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("scale", ctypes.c_double), *_tensors("q k1 v1 k2 v2 mask y max sum"),
                ("carry", ctypes.c_int)]


class BackwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("scale", ctypes.c_double), *_tensors("q k1 v1 k2 v2 mask"),
                ("mask_rule", ctypes.c_int), *_tensors("y max sum dy dq dk1 dv1 dk2 dv2"), ("add", ctypes.c_int)]


ARGS = {"forward": ForwardArgs, "backward": BackwardArgs}


class NativeError(Exception):
    pass


def describe(array: np.ndarray, dtype: str) -> Tensor:
    strides = (stride // array.itemsize for stride in array.strides)
    return Tensor(array.ctypes.data, DTYPE[dtype], (ctypes.c_int64 * 5)(*array.shape), (ctypes.c_int64 * 5)(*strides))


def aligned(count: int, storage: type) -> np.ndarray:
    """Uninitialised and not yet touched, on a cache line's border."""
    item = np.dtype(storage).itemsize
    block = np.empty(count * item + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + count * item].view(storage)


class Library:
    def __init__(self, path: Path) -> None:
        self.c = ctypes.CDLL(str(path))
        self.c.floyd_last_message.restype = ctypes.c_char_p
        self.c.floyd_version.restype = ctypes.c_char_p

    def version(self) -> str:
        return self.c.floyd_version().decode()

    def isas(self) -> list[dict]:
        found, isa = [], Isa()
        while self.c.floyd_isa_describe(len(found), ctypes.byref(isa)) == 0:
            found.append({"name": isa.name.decode(), "supported": bool(isa.supported), "chosen": bool(isa.chosen)})
        return found

    def chosen_isa(self) -> str:
        return next((isa["name"] for isa in self.isas() if isa["chosen"]), "none")

    def check(self, status: int) -> None:
        if status != 0:
            raise NativeError(f"status {status}: {self.c.floyd_last_message().decode()}")


class Call:
    """One forward or backward with its arguments in place. Tensors must outlive it."""

    def __init__(self, library: Library, kind: str, tensors: dict[str, Tensor], scale: float, threads: int) -> None:
        self.library, self.tensors = library, tensors
        self.args = ARGS[kind](scale=scale)
        self.args.struct_size = ctypes.sizeof(self.args)
        for name, _ in self.args._fields_:
            if name in tensors:
                setattr(self.args, name, ctypes.pointer(tensors[name]))
        self.options = Options(ctypes.sizeof(Options), threads, None, None)
        self.function = getattr(library.c, f"floyd_{kind}")
        size = ctypes.c_size_t()
        query = getattr(library.c, f"floyd_{kind}_workspace")
        library.check(query(ctypes.byref(self.args), ctypes.byref(self.options), ctypes.byref(size)))
        self.bytes = size.value

    def prepare(self, workspace: np.ndarray) -> None:
        self.workspace = workspace
        self.ready = (ctypes.byref(self.args), ctypes.byref(self.options), ctypes.c_void_p(workspace.ctypes.data),
                      ctypes.c_size_t(self.bytes))

    def __call__(self) -> None:
        status = self.function(*self.ready)
        if status:
            self.library.check(status)
