# SPDX-License-Identifier: Apache-2.0
"""Problems: drawn by hypothesis or written down, made from a seed, run through the library, and judged."""

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

import formula
import library as lib
import rules

KINDS = ("normal", "uniform", "wide", "small", "ones")
MASKS = ("none", "zeros", "ones", "random", "padding", "rows")
INPUTS = ("q", "k1", "v1", "k2", "v2")
GRADIENTS = ("dq", "dk1", "dv1", "dk2", "dv2")
FORWARD = ("y", "max", "sum")
MAY_BE_WIDE = ("y", "dy") + GRADIENTS


@dataclass(frozen=True)
class Spec:
    B: int = 1
    H: int = 1
    N: int = 5
    M: int = 6
    K: int = 7
    D: int = 8
    R: int = 1
    dtype: int = lib.F32
    wide: tuple = ()  # half types: what is stored in fp32 instead
    kind: str = "normal"
    mask: str = "none"
    mask_axes: tuple = (True, False, True, False, True)
    scale: float = None  # None: 1/sqrt(2D)
    zero_grad: bool = False
    threads: int = 1
    layouts: tuple = ()  # pairs (name, Layout)
    seed: int = 0

    def shape(self, name):
        s = self
        last = {"q": (s.N, s.M, s.D), "1": (s.N, s.K, s.D), "2": (s.K, s.M, s.D), "max": (s.N, s.M, s.R),
                "mask": (s.N, s.M, s.K)}
        key = {"max": "max", "sum": "max", "mask": "mask"}.get(name) or (name[-1] if name[-1] in "12" else "q")
        full = (s.B, s.H) + last[key]
        return tuple(z if used else 1 for z, used in zip(full, s.mask_axes)) if name == "mask" else full

    def stored(self, name):
        if name == "mask":
            return lib.U8
        if name in ("max", "sum") or (name in self.wide and self.dtype in lib.HALVES):
            return lib.F64 if self.dtype == lib.F64 else lib.F32
        return self.dtype

    def tensor(self, name):
        return lib.Tensor(self.stored(name), self.shape(name), dict(self.layouts).get(name, lib.Layout()))

    def scale_value(self):
        scale = (2 * max(self.D, 1)) ** -0.5 if self.scale is None else self.scale
        return scale if self.dtype == lib.F64 else float(np.float32(scale))


def draw_values(kind, shape, rng):
    if kind == "uniform":
        return rng.uniform(-2, 2, shape)
    if kind == "wide":
        return rng.normal(rng.uniform(-100, 100), rng.uniform(1, 25), shape)
    if kind == "small":
        return 1e-3 * rng.normal(size=shape)
    if kind == "ones":
        return np.ones(shape)
    return rng.normal(size=shape)


def draw_mask(kind, shape, rng):
    if kind in ("zeros", "ones"):
        return np.full(shape, kind == "ones")
    if kind == "padding":
        return np.broadcast_to(np.arange(shape[4]) >= shape[4] - shape[4] // 3, shape)
    mask = rng.random(shape) < 0.3
    if kind == "rows":
        mask |= rng.random(shape[:4] + (1,)) < 0.4
    return mask


@dataclass
class Problem:
    spec: Spec
    tensors: dict = field(default_factory=dict)

    def inputs(self):
        """As the library reads them: element 0 of max and sum, the mask in full, the scale as rounded."""
        s, t = self.spec, self.tensors
        mask = np.zeros((s.B, s.H, s.N, s.M, s.K), bool)
        if "mask" in t:
            mask |= t["mask"].view != 0
        own = {name: t[name].values() for name in INPUTS + ("y", "dy")}
        return formula.Inputs(**own, mask=mask, scale=s.scale_value(), zero_grad=s.zero_grad,
                              max=t["max"].values()[..., 0], sum=t["sum"].values()[..., 0])

    def fields(self, names):
        return {name: self.tensors[name] for name in names if name in self.tensors}

    def run(self, kind, outputs, **more):
        inputs = INPUTS + ("mask",) + (FORWARD + ("dy",) if kind == "backward" else ())
        scale = self.spec.scale_value() if self.spec.scale is None else self.spec.scale
        extra = {"mask_rule": int(self.spec.zero_grad)} if kind == "backward" else {}
        status = lib.run(kind, {**self.fields(inputs + tuple(outputs)), "scale": scale, **extra, **more},
                         self.spec.threads)
        assert status == lib.OK, (status, lib.message())
        for name in outputs:
            assert self.tensors[name].gaps_untouched(), f"bytes between the elements of {name}"

    def forward(self):
        self.run("forward", FORWARD)

    def backward(self, outputs=GRADIENTS):
        self.run("backward", outputs)


def make(spec):
    problem = Problem(spec)
    for number, name in enumerate(INPUTS + ("dy", "mask") + FORWARD + GRADIENTS):
        if name == "mask" and spec.mask == "none":
            continue
        tensor = problem.tensors[name] = spec.tensor(name)
        rng = np.random.default_rng([spec.seed, number])
        if name == "mask":
            tensor.set(draw_mask(spec.mask, tensor.shape, rng) * rng.integers(1, 256, tensor.shape))
        elif name in INPUTS or name == "dy":
            tensor.set(draw_values(spec.kind, tensor.shape, rng))
    return problem


def store_forward(problem, results):
    """The backward's given y, max and sum: the golden's, rounded as they are stored."""
    problem.tensors["y"].set(results["y"])
    for name in ("max", "sum"):
        problem.tensors[name].set(results[name][..., None])


def judge(problem, outputs, golden, peer, terms, scores_hold):
    """golden, peer, terms: by output. peer: None where rule 1 has no say."""
    spec = problem.spec
    for name in outputs:
        stored, got, best, bound = spec.stored(name), problem.tensors[name].values(), golden[name], terms[name]
        if name in ("max", "sum"):  # every copy
            best, bound = (np.broadcast_to(a[..., None], got.shape) for a in (best, bound))
        if scores_hold:
            rules.rule_3(name, stored, spec.dtype, got, best, bound, spec.N + spec.M + spec.K + spec.D)
        if peer and name not in ("max", "sum"):
            rules.rule_1(name, stored, got, best, peer[name].astype(np.float64), rules.unit(spec.dtype) * bound)


def half_peer(function, inputs, dtype):
    return formula.peer(function, inputs, dtype) if dtype in lib.HALVES else None


def all_scores_hold(problem, inputs):
    reach = formula.reach(inputs)
    return problem.spec.dtype == lib.F64 or not reach.size or reach.max() <= rules.HOLDS_SCORES


def check_forward(problem):
    """The golden's y, max and sum; judges what the library made of it."""
    spec = problem.spec
    inputs = problem.inputs()
    golden = formula.golden(formula.forward, inputs, spec.dtype)
    problem.forward()
    terms = formula.quietly(formula.forward_terms, inputs.cast(np.float64), golden, rules.tiny(spec.dtype))
    hold = all_scores_hold(problem, inputs)
    judge(problem, FORWARD, golden, half_peer(formula.forward, inputs, spec.dtype), terms, hold)
    return golden


def check_backward(problem):
    spec = problem.spec
    inputs = problem.inputs()
    golden = formula.golden(formula.backward, inputs, spec.dtype)
    problem.backward()
    terms = formula.quietly(formula.backward_terms, inputs, rules.tiny(spec.dtype))
    hold = all_scores_hold(problem, inputs)
    judge(problem, GRADIENTS, golden, half_peer(formula.backward, inputs, spec.dtype), terms, hold)
    return golden


# Drawing.


@st.composite
def layouts(draw, output=False):
    flags = st.tuples(*[st.booleans()] * 5)
    return lib.Layout(order=tuple(draw(st.permutations(range(5)))),
                      gap=draw(st.tuples(*[st.integers(0, 3)] * 5)), reverse=draw(flags),
                      repeat=(False,) * 5 if output else draw(st.sampled_from(
                          [(False,) * 5, (True, False, False, False, False), (False, True, False, True, False),
                           (False, False, False, False, True)])), offset=draw(st.integers(0, 9)))


SIZES = st.one_of(st.integers(1, 20), st.sampled_from([16, 31, 32, 33, 40, 47]))
SCALES = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, -0.2]), st.floats(-1, 1))


@st.composite
def specs(draw, sizes=SIZES, kinds=KINDS):
    spec = Spec(B=draw(st.integers(1, 3)), H=draw(st.integers(1, 3)), N=draw(sizes), M=draw(sizes), K=draw(sizes),
                D=draw(st.sampled_from([1, 2, 7, 8, 16, 20, 33, 64])), R=draw(st.sampled_from([1, 3, 8])),
                dtype=draw(st.integers(0, 3)), kind=draw(st.sampled_from(kinds)), mask=draw(st.sampled_from(MASKS)),
                mask_axes=draw(st.tuples(*[st.booleans()] * 5)), scale=draw(SCALES), zero_grad=draw(st.booleans()),
                threads=draw(st.sampled_from([1, 2, 3, 7])), seed=draw(st.integers(0, 2 ** 32 - 1)))
    wide = tuple(draw(st.lists(st.sampled_from(MAY_BE_WIDE), unique=True, max_size=3)))
    names = draw(st.lists(st.sampled_from(INPUTS + ("dy", "mask") + FORWARD + GRADIENTS), unique=True))
    pairs = tuple((name, draw(layouts(output=name in FORWARD + GRADIENTS))) for name in names)
    return replace(spec, wide=wide, layouts=pairs)
