# SPDX-License-Identifier: Apache-2.0
"""Accuracy over all kinds of inputs, shapes, layouts, types, masks, scales and numbers of threads."""

import numpy as np
import pytest
from hypothesis import given, settings

import formula
import library as lib
import problems
import rules


@settings(max_examples=250)
@given(problems.specs())
def test_any_problem(spec):
    problem = problems.make(spec)
    golden = problems.check_forward(problem)
    problems.store_forward(problem, golden)
    problems.check_backward(problem)


def pooled(kind, dtype, **more):
    """Every output has more than 4096 elements."""
    return problems.Spec(B=2, H=2, N=17, M=24, K=33, D=16, kind=kind, dtype=dtype, seed=11, threads=2, **more)


CASES = [(kind, {}) for kind in problems.KINDS]
CASES += [("normal", {"mask": mask}) for mask in problems.MASKS]
CASES += [("normal", {"scale": scale}) for scale in (0.0, -0.3)]
CASES += [("wide", {"mask": "random"}), ("uniform", {"mask": "rows", "zero_grad": True})]


@pytest.mark.parametrize("dtype", lib.HALVES)
@pytest.mark.parametrize("kind,more", CASES)
def test_no_worse_than_the_peer(kind, more, dtype):
    problem = problems.make(pooled(kind, dtype, **more))
    golden = problems.check_forward(problem)
    forward_peer = formula.peer(formula.forward, problem.inputs(), dtype)
    rules.rule_2("y", problem.tensors["y"].values(), golden["y"], forward_peer["y"].astype(np.float64))
    problems.store_forward(problem, golden)
    golden = problems.check_backward(problem)
    peer = formula.peer(formula.backward, problem.inputs(), dtype)
    for name in problems.GRADIENTS:
        rules.rule_2(name, problem.tensors[name].values(), golden[name], peer[name].astype(np.float64))


@pytest.mark.parametrize("dtype", (lib.F32, lib.F64))
@pytest.mark.parametrize("kind,more", CASES)
def test_full_types(kind, more, dtype):
    problem = problems.make(pooled(kind, dtype, **more))
    problems.store_forward(problem, problems.check_forward(problem))
    problems.check_backward(problem)


@pytest.mark.parametrize("D", (128, 256))
@pytest.mark.parametrize("seed", range(30))
def test_long_dot_products(seed, D):
    """Terms of one sign over a long head: where rounding errors of a score grow fastest. Summed as one chain through
    both products they exceed rule 3's bound (20 of 16); in chains of 64 terms they keep well below it."""
    problem = problems.make(problems.Spec(N=9, M=10, K=17, D=D, kind="wide", seed=seed, threads=2))
    problems.store_forward(problem, problems.check_forward(problem))
    problems.check_backward(problem)


def test_data_is_not_trivial():
    """Gradients of the drawn data are neither zero nor all alike, and the softmax is neither flat nor one-hot."""
    problem = problems.make(pooled("normal", lib.F32))
    golden = problems.check_forward(problem)
    assert 2 < np.median(golden["sum"]) < 30
    problems.store_forward(problem, golden)
    for name, values in problems.check_backward(problem).items():
        assert values.std() > 0.01, name


def spoilt_outputs():
    """A problem computed right, and each way in which an output could be wrong."""
    problem = problems.make(pooled("normal", lib.F16))
    golden = problems.check_forward(problem)
    problems.store_forward(problem, golden)
    golden = problems.check_backward(problem)
    peer = formula.peer(formula.backward, problem.inputs(), lib.F16)["dq"].astype(np.float64)
    terms = formula.backward_terms(problem.inputs(), rules.tiny(lib.F16))["dq"]
    return problem.tensors["dq"].values(), golden["dq"], peer, terms


def test_the_rules_can_fail():
    """A NaN, a wrong sign, a constant factor, and the peer's own half-precision arithmetic are caught."""
    got, golden, peer, terms = spoilt_outputs()
    nan = got.copy()
    nan[0, 0, 0, 0, 0] = np.nan
    for bad in (nan, -got, got * 1.01):
        with pytest.raises(AssertionError):
            rules.rule_3("dq", lib.F16, lib.F16, bad, golden, terms)
    for bad in (nan, -got, got * 1.05):
        with pytest.raises(AssertionError):
            rules.rule_1("dq", lib.F16, bad, golden, peer)
    with pytest.raises(AssertionError):
        rules.rule_2("dq", got * 1.002, golden, peer)
    with pytest.raises(AssertionError):
        rules.rule_3("dq", lib.F16, lib.F16, peer, golden, terms)
