# SPDX-License-Identifier: Apache-2.0
"""The native interface through ctypes, and tensors that lie in memory in any way that it allows."""

import ctypes
import os
from dataclasses import dataclass

import numpy as np

F32, F64, F16, BF16, U8 = range(5)
HALVES = (F16, BF16)
STORAGE = {F32: np.float32, F64: np.float64, F16: np.float16, BF16: np.uint16, U8: np.uint8}
OK, NULL, DTYPE, SHAPE, OVERFLOW, STRIDE, OVERLAP, OPTION, WORKSPACE = range(9)
CANCELLED = 11
POISON = 0xFF  # in every floating type a NaN, so that what is not written fails each comparison


class CTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("size", ctypes.c_int64 * 5),
                ("stride", ctypes.c_int64 * 5)]


TENSOR = ctypes.POINTER(CTensor)


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("threads", ctypes.c_int), ("progress", ctypes.c_void_p),
                ("progress_user", ctypes.c_void_p)]


def tensors(names):
    return [(name, TENSOR) for name in names.split()]


class ForwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("scale", ctypes.c_double), *tensors("q k1 v1 k2 v2 mask y max sum"),
                ("carry", ctypes.c_int)]


class BackwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("scale", ctypes.c_double), *tensors("q k1 v1 k2 v2 mask"),
                ("mask_rule", ctypes.c_int), *tensors("y max sum dy dq dk1 dv1 dk2 dv2"), ("add", ctypes.c_int)]


def load():
    library = ctypes.CDLL(os.environ["FLOYDATTN_TEST_LIBRARY"])
    library.floyd_last_message.restype = ctypes.c_char_p
    return library


LIBRARY = load()


def round_bf16(values):
    """fp32 rounded to bf16 and back, to nearest even."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(values), np.float32(np.nan), rounded)


def to_storage(dtype, values):
    if dtype != BF16:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.asarray(values).astype(STORAGE[dtype])
    with np.errstate(over="ignore", under="ignore"):
        return (round_bf16(np.asarray(values).astype(np.float32)).view(np.uint32) >> 16).astype(np.uint16)


def from_storage(dtype, stored):
    if dtype != BF16:
        return stored.astype(np.float64)
    return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


@dataclass
class Layout:
    order: tuple = (0, 1, 2, 3, 4)  # axes from the outermost to the innermost in memory
    gap: tuple = (0, 0, 0, 0, 0)  # unused elements after each step along an axis
    reverse: tuple = (False,) * 5  # negative strides
    repeat: tuple = (False,) * 5  # strides of 0: inputs only
    offset: int = 0


class Tensor:
    """A tensor in poisoned memory of exactly the bytes that its layout spans."""

    def __init__(self, dtype, shape, layout=Layout()):
        self.dtype, self.shape = dtype, tuple(shape)
        item = np.dtype(STORAGE[dtype]).itemsize
        strides, start, step = [0] * 5, layout.offset, 1
        for axis in reversed(layout.order):
            if layout.repeat[axis]:
                continue
            strides[axis] = step + layout.gap[axis]
            step = strides[axis] * max(shape[axis], 1)
            if layout.reverse[axis]:
                start += strides[axis] * max(shape[axis] - 1, 0)
                strides[axis] = -strides[axis]
        self.block = np.full((layout.offset + step) * item, POISON, np.uint8)
        flat = self.block.view(STORAGE[dtype])
        self.view = np.lib.stride_tricks.as_strided(flat[min(start, flat.size - 1):], self.shape,
                                                    [s * item for s in strides])
        self.strides = strides

    def set(self, values):
        self.view[...] = to_storage(self.dtype, values)
        return self

    def values(self):
        return from_storage(self.dtype, self.view)

    def bits(self):
        return np.ascontiguousarray(self.view).tobytes()

    def untouched(self):
        return bool((self.block == POISON).all())

    def gaps_untouched(self):
        kept = self.view.copy()
        self.view[...] = np.full(1, POISON, np.uint8).repeat(kept.itemsize).view(kept.dtype)[0]
        untouched = self.untouched()
        self.view[...] = kept
        return untouched

    def c(self):
        return CTensor(self.view.ctypes.data, self.dtype, (ctypes.c_int64 * 5)(*self.shape),
                       (ctypes.c_int64 * 5)(*self.strides))


def message():
    return LIBRARY.floyd_last_message().decode()


def run(kind, fields, threads=1):
    """One query and one run in exactly the workspace asked for, at an odd address. Returns the status."""
    args = ForwardArgs() if kind == "forward" else BackwardArgs()
    args.struct_size = ctypes.sizeof(args)
    for name, value in fields.items():
        setattr(args, name, ctypes.pointer(value.c()) if isinstance(value, Tensor) else value)
    options = Options(ctypes.sizeof(Options), threads, None, None)
    size = ctypes.c_size_t()
    status = getattr(LIBRARY, f"floyd_{kind}_workspace")(ctypes.byref(args), ctypes.byref(options), ctypes.byref(size))
    if status != OK:
        return status
    room = np.full(size.value + 128, 0x5C, np.uint8)
    start = room.ctypes.data + 63
    status = getattr(LIBRARY, f"floyd_{kind}")(ctypes.byref(args), ctypes.byref(options), ctypes.c_void_p(start),
                                               ctypes.c_size_t(size.value))
    first = start - room.ctypes.data
    assert (room[:first] == 0x5C).all() and (room[first + size.value:] == 0x5C).all(), "the workspace's guards"
    return status
