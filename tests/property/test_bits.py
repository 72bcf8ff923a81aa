# SPDX-License-Identifier: Apache-2.0
"""The value of every output element depends on the problem alone."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import problems


def computed(spec, outputs=problems.GRADIENTS):
    problem = problems.make(spec)
    problem.forward()
    problem.backward(outputs)
    return problem


def without_repeats(spec):
    """Strides of 0 make values repeat: another problem, not another layout."""
    kept = tuple((name, replace(layout, repeat=(False,) * 5)) for name, layout in spec.layouts)
    return replace(spec, layouts=kept)


def assert_same(one, two, names=problems.FORWARD + problems.GRADIENTS):
    for name in names:
        assert one.tensors[name].bits() == two.tensors[name].bits(), name


SIZES = st.one_of(st.integers(1, 24), st.sampled_from([32, 33, 63, 64, 65, 100, 129]))


@settings(max_examples=120)
@given(problems.specs(sizes=SIZES), st.sampled_from([1, 2, 3, 7, 16]))
def test_layout_and_threads(spec, threads):
    spec = without_repeats(spec)
    assert_same(computed(spec), computed(replace(spec, layouts=(), threads=threads)))


@settings(max_examples=60)
@given(problems.specs(), st.sets(st.sampled_from(problems.GRADIENTS)))
def test_subset(spec, wanted):
    full, some = computed(spec), computed(spec, tuple(wanted))
    assert_same(full, some, problems.FORWARD + tuple(wanted))
    for name in set(problems.GRADIENTS) - wanted:
        assert some.tensors[name].untouched(), name


@settings(max_examples=60)
@given(problems.specs())
def test_mask_in_full(spec):
    spec = replace(spec, mask="rows" if spec.mask == "none" else spec.mask)
    first, other = problems.make(spec), problems.make(spec)
    full = replace(spec, mask_axes=(True,) * 5)
    mask = np.broadcast_to(first.tensors["mask"].view != 0, full.shape("mask"))
    other.tensors["mask"] = full.tensor("mask")
    if any(dict(full.layouts).get("mask", problems.lib.Layout()).repeat):
        other.tensors["mask"] = replace(full, layouts=()).tensor("mask")
    other.tensors["mask"].set(mask)
    for problem in (first, other):
        problem.forward()
        problem.backward()
    assert_same(first, other)


@settings(max_examples=40)
@given(problems.specs())
def test_one_head(spec):
    """Every head of a batch, alone."""
    spec = without_repeats(spec)
    whole = computed(spec)
    for b in range(spec.B):
        for h in range(spec.H):
            alone = problems.make(replace(spec, B=1, H=1, layouts=()))
            for name, tensor in alone.tensors.items():
                source = np.broadcast_to(whole.tensors[name].view, spec.shape(name)) if name != "mask" else \
                    np.broadcast_to(whole.tensors[name].view, (spec.B, spec.H) + tensor.shape[2:])
                if name in problems.INPUTS + ("dy", "mask"):
                    tensor.view[...] = source[b:b + 1, h:h + 1]
            alone.forward()
            alone.backward()
            for name in problems.FORWARD + problems.GRADIENTS:
                head = np.ascontiguousarray(whole.tensors[name].view[b:b + 1, h:h + 1]).tobytes()
                assert head == alone.tensors[name].bits(), name
