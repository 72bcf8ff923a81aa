# SPDX-License-Identifier: Apache-2.0
"""What floydattn.numpy can do to scores and weights: bias and its gradient, softmax_cap, mask_fill, dropout."""

import itertools
import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floydattn.numpy import GRADIENTS, backward, forward

SIZES = (2, 3, 5, 7, 11, 8)


def operands(sizes=SIZES, dtype=np.float64, seed=0):
    B, H, N, M, K, D = sizes
    random = np.random.default_rng(seed)
    shapes = {"q": (N, M), "k1": (N, K), "v1": (N, K), "k2": (K, M), "v2": (K, M)}
    return {name: random.normal(size=(B, H, *shape, D)).astype(dtype) for name, shape in shapes.items()}


def normal(shape, dtype=np.float64, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def check(x, mask=None, bias=None, rule="zero_grad", seed=0, **numbers):
    """The forward and every gradient of the library against the formula."""
    dtype = x["q"].dtype
    given = {"mask": mask, "bias": bias, "seed": seed, **numbers}
    result = forward(**x, **given)
    names = GRADIENTS if bias is None else naive.GRADIENTS
    dy = normal(result.y.shape, dtype)
    got = backward(dy, **x, **result._asdict(), **given, mask_rule=rule, wanted=names)
    keep = naive.kept_by(seed, numbers["dropout"], result.max.shape + x["k1"].shape[3:4]) if numbers.get("dropout") else None
    wanted = naive.attention(**x, mask=mask, bias=bias, **numbers, keep=keep, dy=dy, y=result.y, zero_grad=rule == "zero_grad")
    for name, found in {**result._asdict(), **got._asdict()}.items():
        if found is not None:  # dbias has five axes
            shaped = found if name != "dbias" else found.reshape(np.shape(bias))
            naive.check(name, shaped, found.dtype.name, naive.sums_of(dtype.name), wanted)
    return result, got


def masks():
    B, H, N, M, K, _ = SIZES
    random = np.random.default_rng(2).random((B, 1, N, 1, K)) < 0.4
    random[:, :, 2] = True
    return {"none": None, "random and whole rows": random}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("mask", masks().values(), ids=masks().keys())
@pytest.mark.parametrize("rule", ["zero_grad", "replace"])
def test_all_at_once(dtype, mask, rule):
    bias = normal((SIZES[0], 1, *SIZES[2:5]), dtype)
    check(operands(dtype=dtype), mask, bias, rule, softmax_cap=1.5, dropout=0.25, seed=7, scale=0.7)


@pytest.mark.parametrize("repeated", list(itertools.product([False, True], repeat=5)))
def test_bias_of_every_broadcast_form(repeated):
    shape = [1 if one else size for one, size in zip(repeated, SIZES)]
    _, got = check(operands(dtype=np.float32), bias=normal(shape, np.float32))
    assert got.dbias.shape == tuple(shape) and got.dbias.dtype == np.float32


@pytest.mark.parametrize("axes", range(5))
def test_bias_of_fewer_axes(axes):
    _, got = check(operands(), bias=normal(SIZES[5 - axes : 5]))
    assert got.dbias.shape == (1,) * (5 - axes) + SIZES[5 - axes : 5]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float32_bias_and_its_gradient_in_float32(dtype):
    _, got = check(operands(dtype=np.float16), bias=normal(SIZES[:5], dtype))
    assert got.dbias.dtype == np.float32


def test_bias_of_minus_infinity_is_a_mask():
    hidden = np.random.default_rng(4).random(SIZES[:5]) < 0.4
    x = operands()
    result, got = check(x, bias=np.where(hidden, -np.inf, 0.0))
    masked = forward(**x, mask=hidden)
    assert (got.dbias[hidden] == 0).all() and result.y.tobytes() == masked.y.tobytes()


@pytest.mark.parametrize("cap", [1e-3, 0.5, 3.0, 1e4])
def test_softmax_cap(cap):
    check(operands(), softmax_cap=cap, scale=2.0)
    result = forward(**operands(), softmax_cap=cap, scale=1e6)
    assert (np.abs(result.max) <= cap).all()


@pytest.mark.parametrize("fill", [-1e9, -4.0, 0.0, 2.0, -math.inf])
@pytest.mark.parametrize("rule", ["zero_grad", "replace"])
def test_mask_fill(fill, rule):
    mask = np.random.default_rng(5).random(SIZES[:5]) < 0.5
    mask[..., 0] = False  # with a fill of -inf a row of nothing else is NaN
    check(operands(), mask, rule=rule, mask_fill=fill)


@pytest.mark.parametrize("fill", [-1e9, -4.0, 0.0])
@pytest.mark.parametrize("rule", ["zero_grad", "replace"])
def test_mask_fill_of_whole_rows(fill, rule):
    mask = np.broadcast_to(np.arange(SIZES[2])[:, None, None] == 2, (SIZES[2], 1, SIZES[4]))
    result, _ = check(operands(), mask, rule=rule, mask_fill=fill)
    assert (np.abs(result.max[:, :, 2] - fill) <= 2.0**-1022).all()


def test_generator_of_the_reference():
    """The known answers that the generator's authors publish."""
    zeros, ones = np.zeros((4, 1), np.uint64), np.full((4, 1), naive.WORD, np.uint64)
    for counter, key, words in [(zeros, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
                                (ones, (naive.WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD))]:  # fmt: skip
        assert tuple(int(word[0]) for word in naive.philox(counter, key)) == words


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
@pytest.mark.parametrize("dropout", [0.1, 0.9, 1.0, 1e-12])
def test_dropout(seed, dropout):
    check(operands((1, 2, 5, 6, 49, 8)), seed=seed, dropout=dropout)


@pytest.mark.parametrize("n", [0, 1, 23, 24, 25])
@pytest.mark.parametrize("k", [0, 1, 47, 48, 49])
def test_sizes(n, k):
    m = (n * 5 + k) % 26
    sizes = (1, 2, n, m, k, 4)
    mask = np.random.default_rng(6).random(sizes[:5]) < 0.3
    check(operands(sizes, np.float32), mask, normal((n, 1, k), np.float32), softmax_cap=2.0, dropout=0.3)


def test_dbias_in_place_and_added():
    x, bias = operands(dtype=np.float32), normal((SIZES[3], 1), np.float32)
    result = forward(**x, bias=bias)
    arguments = {"dy": normal(result.y.shape, np.float32), **x, **result._asdict(), "bias": bias, "wanted": ["dbias"]}
    once = backward(**arguments)
    assert once.dq is once.dk1 is once.dv1 is once.dk2 is once.dv2 is None
    place = np.full((1, 1, 1, SIZES[3], 1), np.nan, np.float32)
    assert backward(**arguments, out={"dbias": place}).dbias is place
    assert place.tobytes() == once.dbias.tobytes()
    backward(**arguments, out={"dbias": place}, add=True)
    assert (np.abs(place - 2 * once.dbias) <= 2.0**-22 * np.abs(place)).all()  # one addition, and one rounding of each term


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"bias": 1.0}, TypeError, "bias is a float"),
        ({"bias": np.zeros(SIZES[:5], np.int64)}, TypeError, "bias has dtype int64"),
        ({"bias": np.zeros(SIZES[:5], np.float32)}, TypeError, "bias has dtype"),
        ({"bias": np.zeros((2, *SIZES[1:5], 1))}, ValueError, "bias has shape"),
        ({"bias": np.zeros((1, 1, 1, 1, 3))}, ValueError, "bias has shape"),
        ({"softmax_cap": -1.0}, ValueError, "softmax_cap"),
        ({"softmax_cap": math.nan}, ValueError, "softmax_cap"),
        ({"softmax_cap": "1"}, TypeError, "softmax_cap is a str"),
        ({"mask_fill": math.nan}, ValueError, "mask_fill"),
        ({"mask_fill": b""}, TypeError, "mask_fill is a bytes"),
        ({"dropout": -0.1}, ValueError, "dropout"),
        ({"dropout": 1.5}, ValueError, "dropout"),
        ({"dropout": None}, TypeError, "dropout is a NoneType"),
        ({"scale": [1.0]}, TypeError, "scale is a list"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": 2**64}, ValueError, "seed is"),
        ({"seed": 0.5}, ValueError, "seed is 0.5"),
    ],
)
def test_errors(change, error, text):
    with pytest.raises(error, match=text):
        forward(**operands(), **change)


def test_no_dbias_without_a_bias():
    x = operands()
    result = forward(**x)
    with pytest.raises(ValueError, match="dbias"):
        backward(result.y, **x, **result._asdict(), wanted=["dbias"])


ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=2), st.complex_numbers(), st.just(np.zeros(3)),
                     st.just(np.float32(0.5)))  # fmt: skip


@given(st.fixed_dictionaries({}, optional={name: ANYTHING for name in ("scale", "bias", "softmax_cap", "mask_fill", "dropout",
                                                                       "seed", "threads")}))  # fmt: skip
def test_no_argument_crashes(values):
    values["threads"] = values["threads"] % 4 if isinstance(values.get("threads"), int) else values.get("threads", 0)
    try:
        forward(**operands((1, 1, 2, 2, 3, 2)), **values)
    except (TypeError, ValueError, OverflowError):
        pass
