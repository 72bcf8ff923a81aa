# SPDX-License-Identifier: Apache-2.0
"""What floyd_attention() refuses, by the argument's name."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensors import NAMES, SIZES, normal, operands, random_mask

from floydattn import floyd_attention


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
def test_numbers_that_want_a_gradient(name):
    """They would get none; where nothing gets one they are numbers as any."""
    learned = torch.tensor(0.5, requires_grad=True)
    refused(TypeError, f"{name} requires a gradient", *operands(), **{name: learned})
    with torch.no_grad():
        floyd_attention(*operands(), **{name: learned})


@pytest.mark.parametrize("name", ["softmax_cap", "dropout", "scale"])
def test_no_numbers(name):
    for value in ("1", b"1", [1.0], 1j, np.ones(8), torch.ones(8)) + (() if name == "scale" else (None,)):
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
