# SPDX-License-Identifier: Apache-2.0
"""floydattn.numpy against the formula, in every layout that NumPy can make; and its errors."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import floydattn.numpy as module
from floydattn.numpy import GRADIENTS, backward, forward

B, H, N, M, K, D = 2, 3, 5, 7, 11, 8
SHAPES = {"q": (B, H, N, M, D), "k1": (B, H, N, K, D), "v1": (B, H, N, K, D), "k2": (B, H, K, M, D), "v2": (B, H, K, M, D)}
DTYPES = [np.float16, np.float32, np.float64]


def operands(dtype=np.float64, seed=0):
    random = np.random.default_rng(seed)
    return {name: random.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


def check(results, wanted):
    """Arrays, by name, against the formula's."""
    for name, got in results.items():
        naive.check(name, got, got.dtype.name, naive.sums_of(got.dtype.name), wanted)


MASKS = {
    "none": None,
    "padding": np.arange(K) >= K - 3,
    "random": np.random.default_rng(1).random((B, 1, N, 1, K)) < 0.4,
    "full": (np.random.default_rng(2).random((B, H, N, M, K)) < 0.4).astype(np.uint8),
    "whole rows": np.broadcast_to(np.arange(N)[:, None, None] == 2, (N, 1, K)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("rule", ["zero_grad", "replace"])
def test_values(dtype, mask, rule):
    x, mask = operands(dtype), MASKS[mask]
    result = forward(**x, mask=mask)
    assert result.y.dtype == dtype
    assert result.max.dtype == result.sum.dtype == (np.float64 if dtype == np.float64 else np.float32)
    dy = np.random.default_rng(3).normal(size=result.y.shape).astype(dtype)
    got = backward(dy, **x, **result._asdict(), mask=mask, mask_rule=rule)
    wanted = naive.attention(**x, mask=mask, dy=dy, y=result.y, zero_grad=rule == "zero_grad")
    check({**result._asdict(), **{name: getattr(got, name) for name in GRADIENTS}}, wanted)


def test_scale():
    x = operands()
    check(forward(**x, scale=-0.3)._asdict(), naive.attention(**x, scale=-0.3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_layout(dtype):
    """Permuted, reversed, gapped, broadcast and misaligned views give the bits that contiguous arrays give."""
    x = operands(dtype)
    plain = forward(**x, threads=1)
    views = dict(x)
    views["q"] = np.ascontiguousarray(x["q"].transpose(0, 2, 3, 1, 4)).transpose(0, 3, 1, 2, 4)
    views["k1"] = np.ascontiguousarray(x["k1"][..., ::-1])[..., ::-1]
    gapped = np.zeros((*x["v1"].shape[:4], 3 * D), dtype)
    gapped[..., ::3] = x["v1"]
    views["v1"] = gapped[..., ::3]
    block = np.zeros(x["k2"].nbytes + 1, np.uint8)
    views["k2"] = block[1:].view(dtype).reshape(x["k2"].shape)
    views["k2"][...] = x["k2"]
    record = np.zeros(x["v2"].shape, [("tag", np.uint8), ("value", dtype)])
    record["value"] = x["v2"]
    views["v2"] = record["value"]
    taken = module._Arguments()
    taken.take("k2", views["k2"])
    assert taken.tensors["k2"][0] % np.dtype(dtype).itemsize == 0  # a copy, where C may read
    moved = forward(**views, threads=2)
    for one, other in zip(plain, moved):
        assert one.tobytes() == other.tobytes()
    repeated = np.broadcast_to(x["v1"][:1, :1], x["v1"].shape)
    once = {**x, "v1": repeated}
    assert forward(**once).y.tobytes() == forward(**{**once, "v1": repeated.copy()}).y.tobytes()


def test_out():
    x = operands(np.float16)
    y = np.full((B, N, H, M, D), np.nan, np.float32).transpose(0, 2, 1, 3, 4)
    statistics = np.full((2, B, H, N, M), np.nan, np.float32)
    result = forward(**x, out=(y, statistics[0], statistics[1]))
    assert result.y is y and result.max.base is statistics
    check({"y": y}, naive.attention(**x))
    dq = np.full((B, H, N, M, D), np.nan, np.float32)
    got = backward(np.ones(y.shape, np.float16), **x, **result._asdict(), wanted=["dv2"], out={"dq": dq})
    assert got.dq is dq and np.isfinite(dq).all()
    assert got.dv2 is not None and got.dk1 is None and got.dv1 is None and got.dk2 is None


def test_carry_and_add():
    x = operands(np.float32)
    state = (np.empty((B, H, N, M, D), np.float32), np.zeros((B, H, N, M), np.float32), np.zeros((B, H, N, M), np.float32))
    total = {name: np.zeros(SHAPES[of], np.float32) for name, of in zip(GRADIENTS, SHAPES)}
    whole = forward(**x)
    for part in (slice(0, 4), slice(4, K)):
        edges = {name: x[name][:, :, :, part] for name in ("k1", "v1")} | {name: x[name][:, :, part] for name in ("k2", "v2")}
        forward(x["q"], **edges, out=state, carry=True)
        places = {"dq": total["dq"]} | {f"d{name}": total[f"d{name}"][:, :, :, part] for name in ("k1", "v1")}
        places |= {f"d{name}": total[f"d{name}"][:, :, part] for name in ("k2", "v2")}
        backward(np.ones_like(whole.y), x["q"], **edges, **whole._asdict(), out=places, add=True)
    check({"y": state[0], **total}, naive.attention(**x, dy=np.ones_like(whole.y), y=whole.y))


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = {name: value.astype(ml_dtypes.bfloat16) for name, value in operands().items()}
    y = forward(**x).y
    assert y.dtype == ml_dtypes.bfloat16
    check({"y": y}, naive.attention(**x))


def test_empty():
    x = operands(np.float32)
    none = {name: x[name][:, :, :, :0] for name in ("k1", "v1")} | {name: x[name][:, :, :0] for name in ("k2", "v2")}
    result = forward(x["q"], **none)
    assert (result.y == 0).all() and (result.sum == 0).all() and (result.max == -np.finfo(np.float32).max).all()


@pytest.mark.parametrize(
    ("change", "error", "texts"),
    [
        ({"q": None}, TypeError, ["q is a NoneType"]),
        ({"k1": [[1.0]]}, TypeError, ["k1 is a list"]),
        ({"q": np.zeros((3, 4, 5, 8))}, ValueError, ["q has shape (3, 4, 5, 8)", "5 axes"]),
        ({"v2": np.zeros((B, H, K, M, D), np.int32)}, TypeError, ["v2 has dtype int32"]),
        ({"k2": np.zeros((B, H, K, M, D), ">f8")}, TypeError, ["k2", "byte order"]),
        ({"v1": np.zeros((B, H, N, K, D), np.float32)}, TypeError, ["v1", "q's"]),
        ({"v1": np.zeros((B, H, N, K + 1, D))}, ValueError, ["v1", "axis 3"]),
        ({"mask": np.zeros((B, 1, N, 1, K))}, TypeError, ["mask has dtype float64"]),
        ({"mask": np.zeros((B, 1, N, 1, K + 1), bool)}, ValueError, ["mask has shape", "broadcasts"]),
        ({"mask": True}, TypeError, ["mask is a bool"]),
        ({"threads": -1}, ValueError, ["threads is -1"]),
        ({"out": np.zeros(3)}, TypeError, ["out", "three"]),
        ({"carry": True}, ValueError, ["carry", "out"]),
    ],
)
def test_errors(change, error, texts):
    with pytest.raises(error) as caught:
        forward(**{**operands(), **change})
    for text in texts:
        assert text in str(caught.value)


def test_output_errors():
    x = operands()
    result = forward(**x)
    locked = result.y.copy()
    locked.flags.writeable = False
    for out, text in [
        ((locked, result.max, result.sum), "y is read-only"),
        ((x["q"], result.max, result.sum), "shares bytes"),
        ((np.broadcast_to(result.y[:1], result.y.shape).view(), result.max, result.sum), "read-only"),
        ((result.y[:1], result.max, result.sum), "y has shape"),
    ]:
        with pytest.raises(ValueError, match=text):
            forward(**x, out=out)
    before = {name: value.copy() for name, value in result._asdict().items()}
    for change, text in [({"mask_rule": "none"}, "mask_rule"), ({"wanted": ["dx"]}, "'dx'"), ({"add": True}, "add is set")]:
        with pytest.raises(ValueError, match=text):
            backward(result.y, **x, **result._asdict(), **change)
    assert all((before[name] == getattr(result, name)).all() for name in before)


SIZE = st.integers(0, 4)
ANYTHING = st.one_of(st.none(), st.integers(-5, 5), st.floats(), st.text(max_size=3), st.booleans())


@st.composite
def arrays(draw):
    shape = draw(st.lists(SIZE, min_size=3, max_size=6))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.float16, np.int8, np.bool_, np.complex64, object]))
    return np.zeros(shape, dtype)


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({name: st.one_of(arrays(), ANYTHING) for name in SHAPES}), st.one_of(arrays(), ANYTHING),
       st.one_of(st.none(), st.floats()))  # fmt: skip
def test_no_argument_crashes(values, mask, scale):
    try:
        forward(**values, mask=mask, scale=scale)
    except (TypeError, ValueError):
        pass
