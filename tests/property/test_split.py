# SPDX-License-Identifier: Apache-2.0
"""The running forms: parts of the pivots carried on, parts of the pairs added up, give the whole's result."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import formula
import library as lib
import problems

AXES = {"n": {"2": None, "1": 2, "pair": 2, "mask": 2}, "m": {"1": None, "2": 3, "pair": 3, "mask": 3},
        "k": {"1": 3, "2": 2, "pair": None, "mask": 4}}


def part(tensor, name, axis, begin, end):
    """A view of [begin, end) of the axis n, m or k, where the tensor has it."""
    group = name if name == "mask" else name[-1] if name[-1] in "12" else "pair"
    at = AXES[axis][group]
    if at is None or (name == "mask" and tensor.shape[at] == 1):
        return tensor
    cut = object.__new__(lib.Tensor)
    cut.dtype, cut.strides = tensor.dtype, tensor.strides
    cut.view = tensor.view[(slice(None),) * at + (slice(begin, end),)]
    cut.shape = cut.view.shape
    return cut


def ends(size, cuts):
    return [0] + sorted({c % size for c in cuts} - {0}) + [size]


def run_parts(problem, kind, axis, size, cuts, outputs, **more):
    stops = ends(size, cuts)
    for begin, end in zip(stops, stops[1:]):
        cut = problems.Problem(problem.spec, {name: part(tensor, name, axis, begin, end)
                                              for name, tensor in problem.tensors.items()})
        inputs = problems.INPUTS + ("mask",) + (problems.FORWARD + ("dy",) if kind == "backward" else ())
        status = lib.run(kind, {**cut.fields(inputs + outputs), "scale": problem.spec.scale_value(), **more},
                         problem.spec.threads)
        assert status == lib.OK, lib.message()


def in_accumulators(spec):
    return replace(spec, wide=problems.MAY_BE_WIDE)


CUTS = st.lists(st.integers(0, 1000), max_size=5)


def judge(problem, outputs, golden, terms):
    problems.judge(problem, outputs, golden, None, terms, True)


KINDS = ("normal", "uniform", "small")


@settings(max_examples=120)
@given(problems.specs(kinds=KINDS), CUTS)
def test_carry(spec, cuts):
    spec = in_accumulators(spec)
    problem = problems.make(spec)
    inputs = problem.inputs()
    golden = formula.golden(formula.forward, inputs, spec.dtype)
    terms = formula.quietly(formula.forward_terms, inputs, golden, problems.rules.tiny(spec.dtype))
    problem.tensors["sum"].set(np.zeros(1))  # the empty state: y and max still hold poison
    run_parts(problem, "forward", "k", spec.K, cuts, problems.FORWARD, carry=1)
    judge(problem, problems.FORWARD, golden, terms)


@settings(max_examples=120)
@given(problems.specs(kinds=KINDS), st.sampled_from("nmk"), CUTS)
def test_add(spec, axis, cuts):
    spec = in_accumulators(spec)
    problem = problems.make(spec)
    problems.store_forward(problem, formula.golden(formula.forward, problem.inputs(), spec.dtype))
    inputs = problem.inputs()
    golden = formula.golden(formula.backward, inputs, spec.dtype)
    terms = formula.quietly(formula.backward_terms, inputs, problems.rules.tiny(spec.dtype))
    for name in problems.GRADIENTS:
        problem.tensors[name].set(np.zeros(1))
    size = {"n": spec.N, "m": spec.M, "k": spec.K}[axis]
    run_parts(problem, "backward", axis, size, cuts, problems.GRADIENTS, add=1, mask_rule=int(spec.zero_grad))
    judge(problem, problems.GRADIENTS, golden, terms)
