# SPDX-License-Identifier: Apache-2.0
"""safetensors in a few lines of its own, bfloat16 as the upper half of float32, and the formulas in float64."""

import json
import struct

import numpy as np

NUMPY_TYPES = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8", "U8": "|u1", "BOOL": "|b1"}


def to_bf16(values):
    """The nearest bfloat16, ties to even, as uint16."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def encode(values, dtype):
    return to_bf16(values) if dtype == "BF16" else np.asarray(values).astype(NUMPY_TYPES[dtype])


def decode(stored, dtype):
    """Exact float64 of what is stored."""
    if dtype == "BF16":
        return (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return stored.astype(np.float64)


def pack(header, data=b""):
    """A file of this header (an object for JSON, or bytes as they are) and data."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def write_safetensors(path, tensors, scale=None, pad=0):
    """tensors: name -> (dtype, stored array). The data begin `pad` bytes behind a multiple of 8."""
    header, data = {}, b""
    if scale is not None:
        header["__metadata__"] = {"scale": scale, "format": "pt"}
    for name, (dtype, stored) in tensors.items():
        raw = np.ascontiguousarray(stored).tobytes()
        header[name] = {"dtype": dtype, "shape": list(stored.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(pack(text + b" " * (-len(text) % 8 + pad), data))


def read_safetensors(path):
    """name -> (dtype, stored array), and the metadata."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    assert (8 + length) % 8 == 0
    metadata, tensors, reached = header.pop("__metadata__"), {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        assert begin == reached
        reached = end
        stored = np.frombuffer(data[begin:end], NUMPY_TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = (entry["dtype"], stored)
    assert reached == len(data)
    return tensors, metadata


def forward(t, scale):
    """Y, max and sum of float64 tensors by name."""
    s = scale * (
        np.einsum("bhnmd,bhnkd->bhnmk", t["query"], t["key1"]) + np.einsum("bhnmd,bhkmd->bhnmk", t["query"], t["key2"])
    )
    if "atten_mask" in t:
        s = np.where(t["atten_mask"] != 0, -np.finfo(np.float32).max.astype(np.float64), s)
    top = s.max(-1)
    e = np.exp(s - top[..., None])
    p = e / e.sum(-1)[..., None]
    y = np.einsum("bhnmk,bhnkd->bhnmd", p, t["value1"]) + np.einsum("bhnmk,bhkmd->bhnmd", p, t["value2"])
    return y, top, e.sum(-1), s


def backward(t, scale, zero_grad=False):
    """The five gradients, from the softmax_max, softmax_sum and attention_in in t."""
    s = forward(t, scale)[3]
    top, total = (t[name].reshape(*s.shape[:4], -1)[..., :1] for name in ("softmax_max", "softmax_sum"))
    p = np.exp(s - top) / total
    dp = np.einsum("bhnmd,bhnkd->bhnmk", t["dy"], t["value1"]) + np.einsum("bhnmd,bhkmd->bhnmk", t["dy"], t["value2"])
    ds = p * (dp - (t["dy"] * t["attention_in"]).sum(-1)[..., None]) * scale
    if "atten_mask" in t:
        masked = np.broadcast_to(t["atten_mask"] != 0, s.shape)
        fully = masked.all(-1, keepdims=True)
        p = np.where(masked & ~fully, 0, p)
        ds = np.where(masked & (zero_grad | ~fully), 0, ds)
    return {
        "dq": np.einsum("bhnmk,bhnkd->bhnmd", ds, t["key1"]) + np.einsum("bhnmk,bhkmd->bhnmd", ds, t["key2"]),
        "dk1": np.einsum("bhnmk,bhnmd->bhnkd", ds, t["query"]),
        "dk2": np.einsum("bhnmk,bhnmd->bhkmd", ds, t["query"]),
        "dv1": np.einsum("bhnmk,bhnmd->bhnkd", p, t["dy"]),
        "dv2": np.einsum("bhnmk,bhnmd->bhkmd", p, t["dy"]),
    }
