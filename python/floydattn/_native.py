# SPDX-License-Identifier: Apache-2.0
"""libfloydattn through ctypes, which lets other Python threads run during a call: its structures, and errors as exceptions."""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from ctypes.util import find_library
from pathlib import Path
from struct import Struct
from typing import NoReturn, Optional

F32, F64, F16, BF16, U8 = range(5)
REPLACE, ZERO_GRAD = range(2)
RULES = {"replace": REPLACE, "zero_grad": ZERO_GRAD}

# A tensor as the structure floyd_tensor has it: address, dtype, five sizes, five strides in elements.
Tensor = tuple[int, int, Sequence[int], Sequence[int]]

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
    raise EXCEPTIONS.get(status, RuntimeError)(_library.floyd_last_message().decode(errors="replace"))


# ---- calls --------------------------------------------------------------------------------------------

_TENSOR = Struct("@Pi5q5q")  # floyd_tensor; native alignment, as in C
_OPTIONS = Struct("@NiPPP")  # floyd_options
_SIZE = Struct("@N")
_LETTERS = {"size_t": "N", "double": "d", "int": "i", "uint64_t": "Q", "tensor": "P"}


class _Kind:
    """One of the two operations: the members of its argument structure in order, and its two functions."""

    def __init__(self, name: str, members: str) -> None:
        pairs = [member.split(":") for member in members.split()]
        self.tensors = [name for name, kind in pairs if kind == "tensor"]
        self.names = [name for name, _ in pairs][1:]
        self.none = dict.fromkeys(self.names, 0)
        self.args = Struct("@" + "".join(_LETTERS[kind] for _, kind in pairs))
        self.query = getattr(_library, f"floyd_{name}_workspace")
        self.query.argtypes = [ctypes.c_void_p] * 3
        self.run = getattr(_library, f"floyd_{name}")
        self.run.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_size_t]
        self.options_at = _aligned(self.args.size)
        self.bytes_at = _aligned(self.options_at + _OPTIONS.size)
        self.first_tensor_at = _aligned(self.bytes_at + _SIZE.size)
        step = _aligned(_TENSOR.size)
        self.tensor_at = {name: self.first_tensor_at + i * step for i, name in enumerate(self.tensors)}
        self.total = self.first_tensor_at + step * len(self.tensors)


def _aligned(offset: int) -> int:
    return -(-offset // 16) * 16


_OPERANDS = "q:tensor k1:tensor v1:tensor k2:tensor v2:tensor mask:tensor"
_EXTRAS = "bias:tensor softmax_cap:double mask_fill:double dropout:double seed:uint64_t"
_STATE = "y:tensor max:tensor sum:tensor"
_GRADIENTS = "dq:tensor dk1:tensor dv1:tensor dk2:tensor dv2:tensor"
FORWARD = _Kind("forward", f"struct_size:size_t scale:double {_OPERANDS} {_STATE} carry:int {_EXTRAS}")
BACKWARD = _Kind("backward", f"struct_size:size_t scale:double {_OPERANDS} mask_rule:int {_STATE} dy:tensor {_GRADIENTS} "
                             f"add:int {_EXTRAS} dbias:tensor")  # fmt: skip


class _Frame:
    """Memory for the structures of one call."""

    def __init__(self, size: int) -> None:
        self.bytes = bytearray(size)
        self._view = (ctypes.c_char * size).from_buffer(self.bytes)
        self.address = ctypes.addressof(self._view)


class _Frames(threading.local):
    """Frames that no call of this thread uses now."""

    def __init__(self) -> None:
        self.free: list[_Frame] = []


_frames = _Frames()


def call(
    kind: _Kind,
    tensors: Mapping[str, Tensor],
    fields: Mapping[str, float],
    threads: int,
    workspace: Callable[[int], tuple[int, object]],
    parallel: int = 0,
) -> None:
    """
    Runs one operation. Members that neither tensors nor fields have are NULL or 0. workspace(bytes) gives the address of as many
    bytes, and what keeps them alive; parallel is the address of a floyd_parallel_fn.
    """
    frame = _frames.free.pop() if _frames.free else _Frame(BACKWARD.total)
    try:
        _fill(frame, kind, tensors, fields)
        _OPTIONS.pack_into(frame.bytes, kind.options_at, _OPTIONS.size, threads, 0, 0, parallel)
        base, options = frame.address, frame.address + kind.options_at
        status = kind.query(base, options, base + kind.bytes_at)
        if not status:
            size = _SIZE.unpack_from(frame.bytes, kind.bytes_at)[0]
            address, owner = workspace(size)
            status = kind.run(base, options, address, size)
            del owner
        if status:
            fail(status)
    finally:
        _frames.free.append(frame)


def _fill(frame: _Frame, kind: _Kind, tensors: Mapping[str, Tensor], fields: Mapping[str, float]) -> None:
    memory, base = frame.bytes, frame.address
    values: dict[str, float] = {**kind.none, **fields}
    for name, (address, dtype, size, stride) in tensors.items():
        at = kind.tensor_at[name]
        _TENSOR.pack_into(memory, at, address, dtype, *size, *stride)
        values[name] = base + at
    kind.args.pack_into(memory, 0, kind.args.size, *values.values())


def fill_of(fill: float) -> float:
    """
    The member mask_fill for a fill that is given: 0 there means none, and 2^-1022 stands for it. (Anything smaller counts as 0
    where denormals are flushed, which some of PyTorch's compiled code turns on for good.)
    """
    return fill if not abs(fill) < 2.0**-1022 else 2.0**-1022


def default_scale(D: int, indices: int = 2) -> float:
    """1/sqrt(2D), and of three-index attention 1/sqrt(3D): a score is a sum of as many products."""
    return float(1 / math.sqrt(indices * max(D, 1)))


def threads_of(threads: Optional[int]) -> int:
    """The member `threads` of floyd_options, checked."""
    if not isinstance(threads, int) or not 0 <= threads < 2**31:
        raise ValueError(f"threads is {threads!r}; it needs 0, the default, or a number of threads")
    return threads
