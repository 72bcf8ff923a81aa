# SPDX-License-Identifier: Apache-2.0
"""What floyd_attention() refuses, by the argument's name; and that nothing else happens, whatever it is given."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import NAMES, SIZES, normal, operands, random_mask, shapes

from floydattn import floyd_attention

ERRORS = (TypeError, ValueError, RuntimeError, NotImplementedError, OverflowError)
OPS = torch.ops.floydattn
SMALL = (2, 1, 3, 2, 4, 2)


def refused(error, start, *arguments, **options):
    with pytest.raises(error) as caught:
        floyd_attention(*arguments, **options)
    assert str(caught.value).startswith(start), str(caught.value)


def with_changed(place, value, values=None):
    values = operands() if values is None else list(values)
    values[place] = value
    return values


@pytest.mark.parametrize("place", range(5))
def test_no_tensors(place):
    for value in (None, 3, 0.5, "q", [1.0], np.zeros(SIZES[:5])):
        refused(TypeError, f"{NAMES[place]} is a {type(value).__name__}", *with_changed(place, value))


@pytest.mark.parametrize("place", range(5))
def test_shapes(place):
    """Sizes are those of q, and K is k1's: what disagrees with them is named, be it they that are wrong."""
    shape, name = operands()[place].shape, NAMES[place]
    for wrong in (shape[1:], (1, *shape), ()):
        refused(ValueError, f"{name} has shape {tuple(wrong)}; it needs 5 axes", *with_changed(place, torch.zeros(wrong).double()))
    for axis in range(5):
        for size in (shape[axis] + 1, 1, 0):
            wrong = [*shape[:axis], size, *shape[axis + 1 :]]
            named = "" if name == "q" or (name == "k1" and axis == 3) else f"{name} has shape {tuple(wrong)}"
            refused(ValueError, named, *with_changed(place, torch.zeros(wrong).double()))


@pytest.mark.parametrize("place", range(5))
def test_types(place):
    x = operands()
    for dtype in (torch.int32, torch.bool, torch.complex128, torch.float8_e4m3fn):
        refused(TypeError, f"{NAMES[place]} has dtype {dtype}", *with_changed(place, torch.zeros(x[place].shape).to(dtype)))
    for dtype in (torch.float32, torch.bfloat16):
        named = NAMES[place] if place else "k1"
        refused(TypeError, f"{named} has dtype", *with_changed(place, x[place].to(dtype)))


@pytest.mark.parametrize("place", range(5))
def test_places(place):
    x = operands()
    named = NAMES[place] if place else "k1"
    refused(ValueError, f"{named} is on", *with_changed(place, x[place].to("meta")))
    refused(TypeError, f"{NAMES[place]} has layout torch.sparse_coo", *with_changed(place, x[place].to_sparse()))


@pytest.mark.parametrize("name", ["mask", "bias"])
def test_masks_and_biases(name):
    x, full = operands(), SIZES[:5]
    good = random_mask() if name == "mask" else normal(full)
    for value in (1, 0.5, [True], np.zeros(full, bool), "m"):
        refused(TypeError, f"{name} is a {type(value).__name__}", *x, **{name: value})
    for dtype in (torch.int64, torch.float32 if name == "bias" else torch.float64, torch.float16, torch.complex64):
        refused(TypeError, f"{name} has dtype {dtype}", *x, **{name: torch.zeros(full).to(dtype)})
    for axis in range(5):
        for size in (0, 2 if full[axis] != 2 else 3, full[axis] + 1):
            wrong = good.new_zeros([*full[:axis], size, *full[axis + 1 :]])
            refused(ValueError, f"{name} has shape {tuple(wrong.shape)}", *x, **{name: wrong})
    refused(ValueError, f"{name} has shape", *x, **{name: good[None]})
    refused(ValueError, f"{name} has shape", *x, **{name: good.new_zeros(SIZES[4] - 1)})
    refused(ValueError, f"{name} is on meta", *x, **{name: good.to("meta")})
    refused(TypeError, f"{name} has layout", *x, **{name: good.to_sparse()})


def test_bias_types():
    for dtype, others in [(torch.float16, [torch.bfloat16, torch.float64]), (torch.float32, [torch.bfloat16, torch.float64])]:
        for other in others:
            refused(TypeError, f"bias has dtype {other}", *operands(dtype), bias=normal(SIZES[:5], other))


@pytest.mark.parametrize("name", ["softmax_cap", "dropout", "scale"])
def test_no_numbers(name):
    for value in ("1", b"1", [1.0], 1j) + (() if name == "scale" else (None,)):
        refused(TypeError, f"{name} is a {type(value).__name__}", *operands(), **{name: value})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("softmax_cap", [-1.0, -1e-300, math.nan, math.inf]),
        ("dropout", [-0.1, 1.0001, math.nan, math.inf]),
        ("mask_rule", ["", "ZERO_GRAD", None, 1, [], ("replace",)]),
    ],
)
def test_numbers_and_rules(name, values):
    for value in values:
        refused(ValueError, f"{name} is {value!r}", *operands(), **{name: value})


def test_sizes_beyond_memory():
    q, k1, v1, k2, v2 = (torch.zeros(1, 1, 1, 1, 1) for _ in range(5))
    huge = [t.expand(2**31, 2**31, *t.shape[2:]) for t in (q, k1, v1, k2, v2)]
    with pytest.raises((RuntimeError, OverflowError)):
        floyd_attention(*huge)
    with pytest.raises((RuntimeError, OverflowError, MemoryError)):
        floyd_attention(*[t.expand(2**50, *t.shape[1:]) for t in (q, k1, v1, k2, v2)])


def test_refusals_leave_no_trace():
    x = operands(grad=True)
    wanted = floyd_attention(*x)
    for place in range(5):
        with pytest.raises(ValueError):
            floyd_attention(*with_changed(place, x[place][..., 1:], x))
    assert torch.equal(floyd_attention(*x), wanted)


# ---- anything at all -----------------------------------------------------------------------------------

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
        if isinstance(values[place], torch.Tensor):
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


@given(st.fixed_dictionaries({}, optional={name: ANYTHING for name in ("mask", "scale", "bias", "softmax_cap", "dropout",
                                                                       "mask_rule")}))  # fmt: skip
def test_any_option(options):
    x = operands(sizes=SMALL)
    try:
        y = floyd_attention(*x, **options)
    except ERRORS:
        return
    assert y.shape == x[0].shape
