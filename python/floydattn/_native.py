# SPDX-License-Identifier: Apache-2.0
"""libfloydattn through ctypes, which lets other Python threads run during a call: structures, and errors as exceptions."""

from __future__ import annotations

import ctypes
import os
from ctypes.util import find_library
from pathlib import Path
from typing import NoReturn

F32, F64, F16, BF16, U8 = range(5)
REPLACE, ZERO_GRAD = range(2)


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("size", ctypes.c_int64 * 5),
                ("stride", ctypes.c_int64 * 5)]  # fmt: skip


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("threads", ctypes.c_int), ("progress", ctypes.c_void_p),
                ("progress_user", ctypes.c_void_p)]  # fmt: skip


def _tensors(names: str) -> list[tuple[str, type]]:
    return [(name, ctypes.POINTER(Tensor)) for name in names.split()]


class ForwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("scale", ctypes.c_double), *_tensors("q k1 v1 k2 v2 mask y max sum"),
                ("carry", ctypes.c_int)]  # fmt: skip


class BackwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("scale", ctypes.c_double), *_tensors("q k1 v1 k2 v2 mask"),
                ("mask_rule", ctypes.c_int), *_tensors("y max sum dy dq dk1 dv1 dk2 dv2"), ("add", ctypes.c_int)]  # fmt: skip


# By status of floydattn.h: what kind of exception says it.
EXCEPTIONS: dict[int, type[Exception]] = {1: ValueError, 2: TypeError, 3: ValueError, 4: OverflowError, 5: ValueError,
                                          6: ValueError, 7: ValueError, 8: ValueError, 9: NotImplementedError,
                                          10: OSError, 11: RuntimeError}  # fmt: skip


def _candidates() -> list[str]:
    """FLOYDATTN_LIBRARY if it is set, and nothing else; else the package's own library, then the system's."""
    named = os.environ.get("FLOYDATTN_LIBRARY")
    if named:
        return [named]
    own = sorted(Path(__file__).parent.glob("lib/libfloydattn.so*"))
    system = find_library("floydattn")
    return [str(path) for path in own[:1]] + ([system] if system else [])


def _load() -> tuple[str, ctypes.CDLL]:
    candidates = _candidates()
    if not candidates:
        raise ImportError("libfloydattn was found neither in the package nor on the system; FLOYDATTN_LIBRARY can name it")
    try:
        return candidates[0], ctypes.CDLL(candidates[0])
    except OSError as error:
        raise ImportError(f"libfloydattn could not be loaded: {error}") from error


_path, _library = _load()
_library.floyd_last_message.restype = ctypes.c_char_p
_library.floyd_version.restype = ctypes.c_char_p


def library_path() -> str:
    """The libfloydattn that is in use."""
    return _path


def version() -> str:
    """The version of the libfloydattn that is in use."""
    return str(_library.floyd_version().decode())


def fail(status: int) -> NoReturn:
    """Raises what a status other than 0 of this thread's last call says."""
    raise EXCEPTIONS.get(status, RuntimeError)(_library.floyd_last_message().decode())


class Call:
    """One forward or backward: its arguments, and the workspace that it needs. Tensors live as long as it does."""

    def __init__(self, kind: str, tensors: dict[str, Tensor], threads: int, **fields: float) -> None:
        self.args: ctypes.Structure = ForwardArgs() if kind == "forward" else BackwardArgs()
        self.args.struct_size = ctypes.sizeof(self.args)
        for name, value in fields.items():
            setattr(self.args, name, value)
        for name, tensor in tensors.items():
            setattr(self.args, name, ctypes.pointer(tensor))
        self.options = Options(ctypes.sizeof(Options), threads, None, None)
        self.kind = kind
        size = ctypes.c_size_t()
        query = getattr(_library, f"floyd_{kind}_workspace")
        status = query(ctypes.byref(self.args), ctypes.byref(self.options), ctypes.byref(size))
        if status:
            fail(status)
        self.bytes = size.value

    def run(self, workspace: int) -> None:
        """workspace: the address of self.bytes bytes."""
        function = getattr(_library, f"floyd_{self.kind}")
        status = function(ctypes.byref(self.args), ctypes.byref(self.options), ctypes.c_void_p(workspace),
                          ctypes.c_size_t(self.bytes))  # fmt: skip
        if status:
            fail(status)
