# SPDX-License-Identifier: Apache-2.0
"""What is refused and what is accepted, where the rule is arithmetic: strides of outputs, shared bytes, sizes."""

import itertools

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import library as lib
import problems


def accepted_by_rule(shape, strides):
    """Without its axes of size 1 and sorted by |stride|, each |stride| exceeds the extent of the smaller ones."""
    extent = 0
    for stride, size in sorted((abs(st), size) for st, size in zip(strides, shape) if size != 1):
        if stride <= extent:
            return False
        extent += stride * (size - 1)
    return True


def addresses(shape, strides):
    return [sum(i * s for i, s in zip(index, strides)) for index in itertools.product(*map(range, shape))]


@settings(max_examples=300)
@given(st.tuples(*[st.integers(1, 3)] * 5), st.tuples(*[st.integers(-30, 30)] * 5))
def test_strides_of_an_output(sizes, strides):
    B, H, N, M, D = sizes
    problem = problems.make(problems.Spec(B=B, H=H, N=N, M=M, K=2, D=D))
    places = addresses(sizes, strides)
    room = np.full((max(places) - min(places) + 1) * 4, lib.POISON, np.uint8)
    output = problem.tensors["y"]
    output.block, output.strides = room, strides
    output.view = np.lib.stride_tricks.as_strided(room.view(np.float32)[-min(places):], sizes,
                                                  [4 * s for s in strides])
    fields = problem.fields(problems.INPUTS + ("y",))
    status = lib.run("forward", {**fields, "scale": 1.0})
    if accepted_by_rule(sizes, strides):
        assert status == lib.OK, lib.message()
        assert len(set(places)) == len(places)
        written = set(np.flatnonzero(room.view(np.uint32) != 0xFFFFFFFF) + min(places))
        assert written == set(places)
    else:
        assert status == lib.STRIDE
        assert "y" in lib.message()
        assert output.untouched()


@settings(max_examples=200)
@given(problems.specs(sizes=st.integers(1, 6)), st.sampled_from(problems.FORWARD),
       st.sampled_from(problems.INPUTS + problems.FORWARD), st.integers(-400, 400))
def test_shared_bytes(spec, output, other, shift):
    """An output near another tensor's bytes is refused exactly when their ranges meet."""
    assume(output != other)
    problem = problems.make(problems.replace(spec, layouts=(), mask="none"))
    mine, its = problem.tensors[output], problem.tensors[other]
    arena = np.full(mine.block.size * 2 + its.block.size + 2000, lib.POISON, np.uint8)
    base = mine.block.size + 1000
    item = mine.view.itemsize
    begin = base + its.block.size // 2 + shift // item * item
    assume(0 <= begin and begin + mine.block.size <= arena.size)
    base -= base % 8
    begin -= (arena.ctypes.data + begin) % item
    kept = its.view.copy()
    its.view = arena[base:base + its.block.size].view(kept.dtype).reshape(kept.shape)
    if other in problems.INPUTS:
        its.view[...] = kept
    mine.view = arena[begin:begin + mine.block.size].view(mine.view.dtype).reshape(mine.shape)
    before = arena.copy()
    meet = begin < base + its.block.size and base < begin + mine.block.size
    fields = problem.fields(problems.INPUTS + problems.FORWARD)
    status = lib.run("forward", {**fields, "scale": 1.0})
    assert status == (lib.OVERLAP if meet else lib.OK), lib.message()
    if meet:
        assert (arena == before).all()


@settings(max_examples=200)
@given(problems.specs(sizes=st.integers(1, 6)), st.sampled_from(problems.INPUTS + problems.FORWARD + ("dy",)
                                                                 + problems.GRADIENTS),
       st.integers(0, 4), st.integers(-2, 3))
def test_sizes_that_disagree(spec, name, axis, change):
    problem = problems.make(problems.replace(spec, layouts=(), mask="none"))
    tensor = problem.tensors[name]
    size = tensor.shape[axis] + change
    copies = name in ("max", "sum") and axis == 4
    assume(change != 0 and not (copies and change > -tensor.shape[axis]))
    tensor.shape = tensor.shape[:axis] + (size,) + tensor.shape[axis + 1:]
    backward = name in ("dy",) + problems.GRADIENTS
    names = problems.INPUTS + problems.FORWARD + (("dy",) + problems.GRADIENTS if backward else ())
    status = lib.run("backward" if backward else "forward", {**problem.fields(names), "scale": 1.0})
    assert status == lib.SHAPE, lib.message()
    outputs = problems.GRADIENTS if backward else problems.FORWARD
    assert all(problem.tensors[output].untouched() for output in outputs)
