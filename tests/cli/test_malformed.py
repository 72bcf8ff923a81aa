# SPDX-License-Identifier: Apache-2.0
"""Every way a file can lie: a clear refusal, exit status 1, and nothing written."""

import json
import os
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from conftest import floydattn, operands, refused
from formats import pack, write_safetensors

SHAPE = [1, 1, 2, 3, 4]
BYTES = 1 * 1 * 2 * 3 * 4 * 4
DATA = bytes(BYTES)


def entry(begin=0, end=BYTES, shape=SHAPE, dtype="F32", **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def without(key):
    return {name: value for name, value in entry().items() if name != key}


def query(data=DATA, **changes):
    return pack({"query": entry(**changes)}, data)


SAFETENSORS = {
    "empty": (b"", "empty"),
    "seven bytes": (bytes(7), "not a safetensors file"),
    "header of 0 bytes": (bytes(8), "JSON"),
    "header beyond the file": (struct.pack("<Q", 100) + b"{}", "cut off"),
    "header just beyond the file": (struct.pack("<Q", 3) + b"{}", "cut off"),
    "header above the limit": (struct.pack("<Q", 100_000_001) + b"{}", "not a safetensors file"),
    "header of 4 GiB": (struct.pack("<Q", 2**32) + b"{}", "not a safetensors file"),
    "header of 4 GiB and two bytes": (struct.pack("<Q", 2**32 + 2) + b"{}", "not a safetensors file"),
    "header of 2^64-1": (b"\xff" * 8 + b"{}", "not a safetensors file"),
    "no JSON": (pack(b"query"), "JSON"),
    "half JSON": (pack(b'{"query": {"dtype": "F32"'), "JSON"),
    "JSON and more": (pack(b"{}x"), "JSON"),
    "bytes that are no UTF-8": (pack(b'{"\xff\xfe": 1}'), "JSON"),
    "NUL in a name": (pack(b'{"a\\u0000b": {}}'), "JSON"),
    "bottomless JSON": (pack(b"[" * 100_000), "JSON"),
    "number too large for JSON": (pack(b'{"query": {"data_offsets": [0, 99999999999999999999]}}'), "JSON"),
    "array": (pack(b"[]"), "no JSON object"),
    "duplicate name": (pack(b'{"query": {}, "query": {}}'), "duplicate"),
    "duplicate key": (pack(b'{"query": {"dtype": "F32", "dtype": "F16"}}'), "duplicate"),
    "tensor is no object": (pack({"query": 1}), "no JSON object"),
    "no dtype": (pack({"query": without("dtype")}, DATA), "dtype"),
    "dtype is no string": (query(dtype=32), "dtype"),
    "dtype unknown": (query(dtype="F8_E4M3"), "F8_E4M3"),
    "dtype of integers": (query(dtype="I32"), "I32"),
    "dtype in lower case": (query(dtype="f32"), "f32"),
    "no shape": (pack({"query": without("shape")}, DATA), "shape"),
    "shape is no list": (query(shape=24), "shape"),
    "negative size": (query(shape=[1, 1, -2, -3, 4]), "size"),
    "fractional size": (query(shape=[1, 1, 2.0, 3, 4]), "size"),
    "size is true": (query(shape=[True, 1, 2, 3, 4]), "size"),
    "six axes": (query(shape=[1] + SHAPE), "6 axes"),
    "four axes": (query(shape=[1, 2, 3, 4]), "4 axes"),
    "no axes": (query(shape=[], data=DATA[:4], end=4), "0 axes"),
    "product beyond 64 bits": (query(shape=[2**40, 2**40, 1, 1, 1]), "too large"),
    "bytes beyond 64 bits": (query(shape=[2**61, 1, 1, 1, 1]), "too large"),
    "product beyond 64 bits, yet empty": (query(shape=[2**40, 2**40, 0, 1, 1], end=0, data=b""), "too large"),
    "shape larger than the data": (query(shape=[1, 1, 2, 3, 5]), "needs 120 bytes"),
    "shape smaller than the data": (query(shape=[1, 1, 2, 3, 3]), "needs 72 bytes"),
    "dtype smaller than the data": (query(dtype="F16"), "needs 48 bytes"),
    "no offsets": (pack({"query": without("data_offsets")}, DATA), "data_offsets"),
    "one offset": (pack({"query": {**entry(), "data_offsets": [0]}}, DATA), "data_offsets"),
    "three offsets": (pack({"query": {**entry(), "data_offsets": [0, BYTES, BYTES]}}, DATA), "data_offsets"),
    "offsets are strings": (pack({"query": {**entry(), "data_offsets": ["0", "96"]}}, DATA), "data_offsets"),
    "negative offset": (query(begin=-BYTES, end=0), "data_offsets"),
    "falling offsets": (query(begin=BYTES, end=0), "data_offsets"),
    "offset beyond the data": (query(end=BYTES + 1), "cut off"),
    "offset of 2^63-1": (query(end=2**63 - 1), "cut off"),
    "data cut off": (query(data=DATA[:-1]), "cut off"),
    "no data": (query(data=b""), "cut off"),
    "bytes behind the data": (query(data=DATA + b"\0"), "1 bytes behind"),
    "written twice": (query() * 2, "behind"),
    "hole": (query(begin=4, end=BYTES + 4, data=DATA + bytes(4)), "belong to no tensor"),
    "overlap": (pack({"query": entry(), "key1": entry(4, BYTES + 4)}, DATA + bytes(4)), "overlap"),
    "the same place twice": (pack({"query": entry(), "key1": entry()}, DATA), "overlap"),
    "a stranger overlaps": (pack({"query": entry(), "x": {"dtype": "I8", "data_offsets": [95, 96]}}, DATA), "overlap"),
    "metadata is no object": (pack({"__metadata__": "scale"}), "__metadata__"),
    "scale is a number": (pack({"__metadata__": {"scale": 0.5}}), "quotes"),
    "scale is a word": (pack({"__metadata__": {"scale": "half"}}), "number"),
    "scale is empty": (pack({"__metadata__": {"scale": ""}}), "number"),
    "scale is infinite": (pack({"__metadata__": {"scale": "inf"}}), "number"),
    "scale is nan": (pack({"__metadata__": {"scale": "nan"}}), "number"),
    "nothing of use": (pack({}), "lacks query, key1, value1, key2, value2"),
}


def npy(header, data=DATA, version=1, length=None):
    header = header if isinstance(header, bytes) else header.encode()
    length = len(header) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", length) + header + data


def described(descr="'<f4'", order="False", shape="(1, 1, 2, 3, 4)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


NPY = {
    "empty": (b"", "empty"),
    "short": (b"\x93NUMPY\x01\x00", "no .npy file"),
    "wrong magic": (b"\x93NUMPX" + npy(described())[6:], "no .npy file"),
    "version 0": (npy(described(), version=0), "version 0"),
    "version 4": (npy(described(), version=4), "version 4"),
    "header beyond the file": (npy(described(), length=65535), "cut off"),
    "header of 4 GiB": (npy(described(), version=2, length=2**32 - 1), "cut off"),
    "header of 0 bytes": (npy(b"", b""), "no .npy file"),
    "empty header": (npy(b"", bytes(4)), "no dictionary"),
    "no dictionary": (npy("[1, 2]"), "no dictionary"),
    "descr is no text": (npy(described("'\x1b[2J'")), "no text"),
    "dictionary not closed": (npy(described()[:-3]), "something else where a string belongs"),
    "more behind the dictionary": (npy(described() + "x"), "goes on"),
    "string not closed": (npy("{'descr"), "ends within a string"),
    "key without quotes": (npy("{descr: 1}"), "string"),
    "no colon": (npy("{'descr' '<f4'}"), "no dictionary"),
    "key unknown": (npy("{'color': 'red'}"), "key"),
    "key twice": (npy("{'descr': '<f4', 'descr': '<f4'}"), "twice"),
    "a later key twice": (npy("{'descr': '<f4', 'fortran_order': False, 'descr': '<f4'}"), "twice"),
    "key missing": (npy("{'descr': '<f4', 'fortran_order': False}"), "lacks"),
    "structured": (npy(described("[('a', '<f4')]")), "structured"),
    "big endian": (npy(described("'>f4'")), ">f4"),
    "objects": (npy(described("'|O'")), "|O"),
    "integers of two bytes": (npy(described("'<u2'")), "<u2"),
    "order is a number": (npy(described(order="1")), "no dictionary"),
    "shape is a list": (npy(described(shape="[1]")), "no dictionary"),
    "negative size": (npy(described(shape="(1, 1, 2, -3, 4)")), "size"),
    "size beyond 63 bits": (npy(described(shape="(9223372036854775808,)")), "63 bits"),
    "product beyond 63 bits": (npy(described(shape="(4294967296, 4294967296, 1, 1, 1)")), "too large"),
    "six axes": (npy(described(shape="(1, 1, 1, 2, 3, 4)")), "five axes"),
    "four axes": (npy(described(shape="(1, 2, 3, 4)")), "4 axes"),
    "shape not closed": (npy(described(shape="(1, 2")), "no size"),
    "shape without commas": (npy(described(shape="(1 2)")), "no dictionary"),
    "data cut off": (npy(described(), DATA[:-1]), "cut off"),
    "no data": (npy(described(), b""), "cut off"),
    "bytes behind the data": (npy(described(), DATA + b"\0"), "behind"),
    "pickle": (b"\x80\x04\x95" + bytes(100), "no .npy file"),
    "zip": (b"PK\x03\x04" + bytes(100), "no .npy file"),
}


@pytest.mark.parametrize("content, words", SAFETENSORS.values(), ids=SAFETENSORS)
def test_safetensors(tmp_path, out, content, words):
    path = tmp_path / "in.safetensors"
    path.write_bytes(content)
    message = refused(1, "forward", path, "-s", "1", "-o", out).replace(str(tmp_path), "")  # which has the case's name in it
    assert words in message and message.count("\n") == 1
    assert not list(out.parent.iterdir())


def test_header_of_4_gib_that_is_there(tmp_path, out):
    path = tmp_path / "in.safetensors"
    path.write_bytes(struct.pack("<Q", 2**32) + b'{"query": ')
    os.truncate(path, 8 + 2**32 + BYTES)  # a hole: it takes no room
    assert "not a safetensors file" in refused(1, "forward", path, "-s", "1", "-o", out)


@pytest.mark.parametrize("content, words", NPY.values(), ids=NPY)
def test_npy(tmp_path, out, content, words):
    directory = tmp_path / "in"
    directory.mkdir()
    (directory / "query.npy").write_bytes(content)
    message = refused(1, "forward", directory, "-s", "1", "-o", out).replace(str(tmp_path), "")
    assert words in message and "query.npy" in message and message.count("\n") == 1
    assert not list(out.parent.iterdir())


def test_names_do_not_reach_the_terminal(tmp_path, out):
    path = tmp_path / "in.safetensors"
    path.write_bytes(pack({"\x1b]0;owned\x07\x9b2J": 1}))
    message = refused(1, "forward", path, "-o", out)
    assert "owned" in message and not any(c in message for c in "\x1b\x07\x9b")


def test_names_of_millions_of_bytes(tmp_path, out):
    path = tmp_path / "in.safetensors"
    path.write_bytes(pack({"a" * 20_000_000: 1}))
    assert len(refused(1, "forward", path, "-o", out)) < 10_000
    directory = tmp_path / "parts"
    directory.mkdir()
    (directory / "query.npy").write_bytes(npy(described("'" + "f" * 20_000_000 + "'"), version=2))
    assert len(refused(1, "forward", directory, "-s", 1, "-o", out)) < 1_000


@pytest.mark.parametrize("kind", ["missing", "directory that is empty", "pipe", "device"])
def test_no_file(tmp_path, out, kind):
    path = tmp_path / "in"
    if kind.startswith("directory"):
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    message = refused(1, "forward", "/dev/zero" if kind == "device" else path, "-s", 1, "-o", out)
    assert {"missing": "No such file", "pipe": "regular", "device": "regular"}.get(kind, "lacks query") in message
    assert not list(out.parent.iterdir())


def disagreement(name, dtype=None, shape=None):
    tensors = operands()
    old_dtype, old = tensors.get(name, ("F32", np.zeros(1, "<f4")))
    tensors[name] = (dtype or old_dtype, np.zeros(shape or old.shape, {"F16": "<f2", "F64": "<f8"}.get(dtype, "<f4")))
    return tensors


@pytest.mark.parametrize("name", ["query", "key1", "value1", "key2", "value2", "dy", "attention_in"])
@pytest.mark.parametrize("change", [{"dtype": "F64"}, {"shape": (1, 2, 9, 9, 4)}], ids=["dtype", "shape"])
def test_tensors_that_disagree(tmp_path, out, name, change):
    tensors = disagreement(name, **change)
    for other in ("softmax_max", "softmax_sum", "attention_in") if name == "attention_in" else ():
        tensors.setdefault(other, ("F32", np.ones((1, 2, 3, 5), "<f4")))
    write_safetensors(tmp_path / "in", tensors, scale="1")
    refused(1, "grad", tmp_path / "in", "-o", out)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("dtype", ["F32", "F16"])
def test_mask_of_numbers(tmp_path, out, dtype):
    write_safetensors(tmp_path / "in", disagreement("atten_mask", dtype, (1, 1, 3, 1, 7)), scale="1")
    refused(1, "forward", tmp_path / "in", "-o", out)


def test_query_of_bytes(tmp_path, out):
    tensors = operands()
    tensors["query"] = ("U8", np.zeros(tensors["query"][1].shape, np.uint8))
    write_safetensors(tmp_path / "in", tensors, scale="1")
    refused(1, "forward", tmp_path / "in", "-o", out)


def test_part_of_what_the_forward_saves(tmp_path, out):
    tensors = operands()
    tensors["softmax_sum"] = ("F32", np.ones((1, 2, 3, 5), "<f4"))
    write_safetensors(tmp_path / "in", tensors, scale="1")
    assert "softmax_max, attention_in" in refused(1, "grad", tmp_path / "in", "-o", out)


def test_no_scale(tmp_path, out):
    write_safetensors(tmp_path / "in", operands())
    assert "--scale" in refused(1, "forward", tmp_path / "in", "-o", out)


def whole_file():
    header, data = {"__metadata__": {"scale": "1"}}, b""
    for name, (dtype, stored) in operands(h=1, n=1, m=2, k=2, d=1).items():
        header[name] = {"dtype": dtype, "shape": stored.shape, "data_offsets": [len(data), len(data) + stored.nbytes]}
        data += stored.tobytes()
    return pack(json.dumps(header).encode(), data)


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.data())
def test_any_byte_may_be_wrong(tmp_path, data):
    """A file with a few bytes changed, or cut, is computed with or refused."""
    content, path = bytearray(whole_file()), tmp_path / "in.safetensors"
    for _ in range(data.draw(strategies.integers(1, 3))):
        content[data.draw(strategies.integers(0, len(content) - 1))] = data.draw(strategies.integers(0, 255))
    path.write_bytes(content[: data.draw(strategies.sampled_from([None, -1, len(content) // 2]))])
    assert floydattn("grad", path, "-o", tmp_path / "out").returncode in (0, 1)


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies.data())
def test_any_byte_of_an_npy_header_may_be_wrong(tmp_path, data):
    (tmp_path / "in").mkdir(exist_ok=True)
    content = bytearray(npy(described()))
    for _ in range(data.draw(strategies.integers(1, 3))):
        content[data.draw(strategies.integers(0, len(content) - BYTES - 1))] = data.draw(strategies.integers(0, 255))
    (tmp_path / "in" / "query.npy").write_bytes(content)
    refused(1, "forward", tmp_path / "in", "-s", 1, "-o", tmp_path / "out")
