# SPDX-License-Identifier: Apache-2.0
"""Whatever functions and operators are given: they compute what fits, raise what does not, and the process goes on."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import normal, operands, random_mask, shapes

from floydattn import (floyd_attention, npu_fused_floyd_attention, npu_fused_floyd_attention_backward, pivotal_attention,
                       pivotal_attention3)  # fmt: skip

ERRORS = (TypeError, ValueError, RuntimeError, NotImplementedError, OverflowError)
OPS = torch.ops.floydattn
SMALL = (2, 1, 3, 2, 4, 2)

CHANGES = [
    lambda t: None,
    lambda t: 3,
    lambda t: [0.0],
    lambda t: t.numpy() if t.dtype != torch.bfloat16 else "bf16",
    lambda t: t.to(torch.int64),
    lambda t: t.to(torch.float16),
    lambda t: t.to(torch.float64),
    lambda t: t.to(torch.complex64),
    lambda t: t != 0,
    lambda t: t.to_sparse(),
    lambda t: t[None],
    lambda t: t.flatten(),
    lambda t: t.sum(),
    lambda t: t.transpose(0, -1) if t.dim() else t,
    lambda t: t.flatten()[:1].expand(3, 2, 1, 4, 5) if t.numel() else t,
    lambda t: torch.cat([t, t]) if t.dim() else t,
    lambda t: t[..., :1] if t.dim() else t,
    lambda t: t.as_strided(t.shape, (0,) * t.dim()) if t.numel() else t,
    lambda t: torch.nn.Parameter(t) if t.is_floating_point() else t,
]
SIZE = st.integers(0, 3)


@st.composite
def problems(draw):
    """Seven arguments that fit, but for up to two that were changed."""
    sizes, dtype = draw(st.tuples(*[SIZE] * 6)), draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    axes = st.lists(st.booleans(), min_size=0, max_size=5)
    scores = [[1 if one else n for one, n in zip(a, sizes[5 - len(a) : 5])] for a in (draw(axes), draw(axes))]
    values = [*operands(dtype, sizes), random_mask(scores[0]), normal(scores[1], dtype)]
    values[5:] = [t if draw(st.booleans()) else None for t in values[5:]]
    for _ in range(draw(st.integers(0, 2))):
        place, change = draw(st.integers(0, 6)), draw(st.sampled_from(CHANGES))
        if type(values[place]) is torch.Tensor and values[place].layout is torch.strided:
            values[place] = change(values[place])
    return values


def fit_together(values):
    """Whether seven arguments make a problem, said again."""
    q, k1, v1, k2, v2, mask, bias = values
    if not all(isinstance(t, torch.Tensor) and t.dim() == 5 and t.layout == torch.strided for t in values[:5]):
        return False
    sizes = (*q.shape[:4], k1.shape[3], q.shape[4])
    types = {t.dtype for t in values[:5]}
    if [t.shape for t in values[:5]] != [torch.Size(shape) for shape in shapes(sizes)] or len(types) > 1:
        return False
    if not types <= {torch.float16, torch.bfloat16, torch.float32, torch.float64}:
        return False
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    return scores_fit(mask, (torch.bool, torch.uint8), sizes) and scores_fit(bias, (q.dtype, wide), sizes)


def scores_fit(t, dtypes, sizes):
    if t is None:
        return True
    if not isinstance(t, torch.Tensor) or t.layout != torch.strided or t.dtype not in dtypes or t.dim() > 5:
        return False
    return all(one in (1, full) for one, full in zip(t.shape, sizes[5 - t.dim() : 5]))


@settings(max_examples=400)
@given(problems())
def test_what_fits_is_computed_and_nothing_else(values):
    *x, bias = values
    if not fit_together(values):
        with pytest.raises(ERRORS):
            floyd_attention(*x, bias=bias)
        return
    y = floyd_attention(*x, bias=bias)
    assert y.shape == x[0].shape and y.dtype == x[0].dtype
    assert y.isfinite().all()


@settings(max_examples=300)
@given(problems(), st.integers(-1, 2), st.sampled_from([0.0, 0.5, -1.0, math.nan]), st.integers(-1, 3))
def test_operator_forward(values, copies, number, rule):
    try:
        y, greatest, total = OPS.forward(*values, torch.tensor(3), 1.0, number, 0.0, number, rule, copies)
    except ERRORS:
        return
    assert fit_together(values) and y.shape == values[0].shape and copies > 0
    assert greatest.shape == total.shape == (*y.shape[:4], copies)


@st.composite
def backwards(draw):
    values = draw(problems())
    like = values[0] if isinstance(values[0], torch.Tensor) and values[0].layout == torch.strided else torch.zeros(SMALL[:5])
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    copies = [draw(st.sampled_from([1, 1, 2, 8, 0])) for _ in range(2)]
    state = [like, like, *(torch.ones((*like.shape[:4], n), dtype=dtype) for n in copies)]
    if draw(st.integers(0, 2)) == 0:
        place, change = draw(st.integers(0, 3)), draw(st.sampled_from(CHANGES))
        state[place] = change(state[place].detach())
    return values, state, draw(st.lists(st.booleans(), min_size=6, max_size=6))


@settings(max_examples=300)
@given(backwards())
def test_operator_backward(case):
    values, (dy, y, greatest, total), wanted = case
    try:
        found = OPS.backward(dy, *values, None, y, greatest, total, 1.0, 0.0, 0.0, 0.0, 1, wanted)
    except ERRORS:
        return
    assert fit_together(values) and dy.shape == y.shape == values[0].shape
    assert greatest.shape[:4] == total.shape[:4] == y.shape[:4] and min(greatest.shape[4], total.shape[4]) > 0
    sources = [t for t, is_wanted in zip([*values[:5], values[6]], wanted) if is_wanted]
    assert [t.shape for t in found] == [t.shape for t in sources]


ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=2), st.booleans(), st.just(np.zeros(2)),
                     st.just(torch.ones(2)), st.just(torch.tensor(0.5)), st.complex_numbers())  # fmt: skip
OPTIONS = {floyd_attention: ("mask", "scale", "bias", "softmax_cap", "dropout", "mask_rule"),
           pivotal_attention: ("attn_mask", "dropout", "scale", "inf", "softmax_cap"),
           pivotal_attention3: ("attn_mask", "dropout", "scale", "inf", "softmax_cap"),
           npu_fused_floyd_attention: ("atten_mask", "scale_value")}  # fmt: skip
functions = pytest.mark.parametrize("function", OPTIONS, ids=lambda function: function.__name__)


def fitting(function, sizes=SMALL):
    """Its operands."""
    if function is pivotal_attention3:
        B, H, I, J, K, D = sizes
        return [normal((B, H, *edge, D)) for edge in [(I, J, K), *[(K, J, K), (I, K, K), (I, J, K)] * 2]]
    q, k1, v1, k2, v2 = operands(sizes=sizes)
    return [q, k1, k2, v1, v2] if function is pivotal_attention else [q, k1, v1, k2, v2]


def attended(function, *arguments, **options):
    """y, or None where it is refused."""
    try:
        found = function(*arguments, **options)
    except ERRORS:
        return None
    return found[2] if function is npu_fused_floyd_attention else found


@functions
@given(st.data())
def test_any_option(function, data):
    options = data.draw(st.fixed_dictionaries({}, optional={name: ANYTHING for name in OPTIONS[function]}))
    x = fitting(function)
    y = attended(function, *x, **options)
    assert y is None or y.shape == x[0].shape


@st.composite
def any_tensor(draw, axes):
    t = normal(draw(st.lists(SIZE, min_size=axes - 1, max_size=axes + 1)), torch.float32)
    return draw(st.sampled_from(CHANGES))(t) if draw(st.integers(0, 3)) == 0 else t


@functions
@settings(max_examples=100)
@given(st.data())
def test_any_operands(function, data):
    """One or two of them may be anything; what comes out is of q's shape, and only where shapes agree."""
    sizes = data.draw(st.tuples(*[SIZE] * 6))
    x = fitting(function, sizes)
    good = [t.shape for t in x]
    for _ in range(data.draw(st.integers(1, 2))):
        x[data.draw(st.integers(0, len(x) - 1))] = data.draw(st.one_of(any_tensor(len(good[0])), ANYTHING))
    y = attended(function, *x)
    if y is not None:
        assert y.shape == x[0].shape and [t.dim() for t in x] == [len(shape) for shape in good]
        assert all(t.shape[:2] == y.shape[:2] and t.shape[-1] == y.shape[-1] for t in x)


@settings(max_examples=200)
@given(backwards())
def test_any_operands_of_npu_backward(case):
    values, state, _ = case
    try:
        found = npu_fused_floyd_attention_backward(state[0], *values[:5], *state[1:], atten_mask=values[5])
    except ERRORS:
        return
    assert fit_together([*values[:6], None]) and [t.shape for t in found] == [t.shape for t in values[:5]]
