# SPDX-License-Identifier: Apache-2.0
"""torch_npu's functions: their order of things, their eight copies, their rule in rows that are masked throughout."""

import inspect

import naive
import pytest

torch = pytest.importorskip("torch")

from tensors import DTYPES, SIZES, agree, array, formula, name_of, normal, operands, random_mask

from floydattn import npu_fused_floyd_attention, npu_fused_floyd_attention_backward

SCALE = 0.3
NAMES = ("query_ik", "key_ij", "value_ij", "key_jk", "value_jk")
STATE = ("grad_output", "attention_out", "softmax_max", "softmax_sum")


def usual_mask():
    """[B,1,N,1,K], with some rows masked throughout."""
    mask = random_mask((SIZES[0], 1, SIZES[2], 1, SIZES[4]))
    mask[:, :, 2] = True
    return mask


def forward_and_backward(x, mask=None, scale=SCALE):
    greatest, total, y = npu_fused_floyd_attention(*x, atten_mask=mask, scale_value=scale)
    dy = normal(y.shape, y.dtype, 5)
    gradients = npu_fused_floyd_attention_backward(dy, *x, y, greatest, total, atten_mask=mask, scale_value=scale)
    return greatest, total, y, dy, gradients


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", [None, usual_mask(), usual_mask().to(torch.uint8) * 7], ids=["none", "bool", "uint8"])
def test_values(dtype, mask):
    x = operands(dtype)
    greatest, total, y, dy, gradients = forward_and_backward(x, mask)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert greatest.shape == total.shape == (*SIZES[:4], 8) and greatest.dtype == total.dtype == wide
    assert all((t == t[..., :1]).all() for t in (greatest, total))
    results = {"max": greatest[..., 0], "sum": total[..., 0], "y": y, **dict(zip(naive.GRADIENTS, gradients))}
    agree(results, dtype, formula(x, mask, dy=dy, y=y, scale=SCALE, mask_rule="replace"))
    assert [t.dtype for t in (y, *gradients)] == [dtype] * 6


def test_default_scale_is_one():
    x = operands()
    assert torch.equal(npu_fused_floyd_attention(*x)[2], npu_fused_floyd_attention(*x, scale_value=1.0)[2])
    agree({"y": npu_fused_floyd_attention(*x)[2]}, torch.float64, formula(x, scale=1.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_autograd_gives_the_bits_of_the_backward_function(dtype):
    x, mask = operands(dtype), usual_mask()
    *_, dy, gradients = forward_and_backward(x, mask)
    leaves = [t.clone().requires_grad_() for t in x]
    y = npu_fused_floyd_attention(*leaves, atten_mask=mask, scale_value=SCALE)[2]
    assert all(torch.equal(one, other) for one, other in zip(torch.autograd.grad(y, leaves, dy), gradients))


def test_max_and_sum_have_no_gradient():
    greatest, total, y = npu_fused_floyd_attention(*operands(grad=True))
    assert y.requires_grad and not greatest.requires_grad and not total.requires_grad


def test_backward_takes_what_it_is_given():
    """max, sum and attention_out are not computed again: P is exp(S - max) / sum of the ones given, delta that of the y given."""
    x = operands()
    greatest, total, y, dy, plain = forward_and_backward(x)
    twice = npu_fused_floyd_attention_backward(dy, *x, y, greatest, 2 * total, scale_value=SCALE)
    assert all(torch.equal(2 * one, other) for one, other in zip(twice, plain))
    other = npu_fused_floyd_attention_backward(dy, *x, torch.zeros_like(y), greatest, total, scale_value=SCALE)
    wanted = formula(x, dy=dy, y=torch.zeros_like(y), scale=SCALE)
    agree(dict(zip(naive.GRADIENTS, other)), torch.float64, wanted)


@pytest.mark.parametrize("copies", [1, 8, 3])
def test_any_copies_of_max_and_sum(copies):
    """The first is read."""
    x = operands()
    greatest, total, y, dy, plain = forward_and_backward(x)
    rest = torch.full((*SIZES[:4], copies - 1), float("nan"), dtype=torch.float64)
    state = [torch.cat([t[..., :1], rest], dim=-1) for t in (greatest, total)]
    found = npu_fused_floyd_attention_backward(dy, *x, y, *state, scale_value=SCALE)
    assert all(torch.equal(one, other) for one, other in zip(found, plain))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_single_precision_state_beside_halves(dtype):
    """dy and y may be as sums are held."""
    x = operands(dtype)
    greatest, total, y, dy, _ = forward_and_backward(x)
    wide_y, wide_dy = torch.from_numpy(formula(x, scale=SCALE)[0]["y"]).float(), dy.float()
    found = npu_fused_floyd_attention_backward(wide_dy, *x, wide_y, greatest, total, scale_value=SCALE)
    wanted = formula(x, dy=wide_dy, y=wide_y, scale=SCALE)
    for name, got in zip(naive.GRADIENTS, found):
        naive.check(name, array(got), name_of(dtype), "float32", wanted)


def test_second_derivatives():
    x = operands(sizes=(1, 1, 3, 2, 4, 2), grad=True)
    assert torch.autograd.gradgradcheck(lambda *x: npu_fused_floyd_attention(*x)[2], x, fast_mode=True)


@pytest.mark.parametrize("sizes", [(0, 3, 5, 7, 11, 8), (2, 3, 5, 7, 0, 8), (1, 1, 24, 23, 49, 4), (1, 2, 1, 25, 48, 1)], ids=str)
def test_sizes(sizes):
    x = operands(torch.float32, sizes)
    greatest, total, y, dy, gradients = forward_and_backward(x)
    results = {"max": greatest[..., 0], "sum": total[..., 0], "y": y, **dict(zip(naive.GRADIENTS, gradients))}
    agree(results, torch.float32, formula(x, dy=dy, y=y, scale=SCALE))


def test_compiled():
    def both(*x):
        greatest, total, y = npu_fused_floyd_attention(*x, scale_value=SCALE)
        return y, npu_fused_floyd_attention_backward(y, *x, y, greatest, total, scale_value=SCALE)

    x = operands()
    compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
    for one, other in zip(torch.utils._pytree.tree_leaves(compiled(*x)), torch.utils._pytree.tree_leaves(both(*x))):
        assert torch.equal(one, other)


def test_signatures():
    keyword = inspect.Parameter.KEYWORD_ONLY
    for function, places in [(npu_fused_floyd_attention, NAMES),
                             (npu_fused_floyd_attention_backward, (STATE[0], *NAMES, *STATE[1:]))]:  # fmt: skip
        parameters = inspect.signature(function).parameters
        assert tuple(parameters) == (*places, "atten_mask", "scale_value")
        assert [name for name, p in parameters.items() if p.kind is keyword] == ["atten_mask", "scale_value"]
        assert parameters["atten_mask"].default is None and parameters["scale_value"].default == 1.0


# ---- refusals ------------------------------------------------------------------------------------------


def arguments():
    x = operands()
    greatest, total, y, dy, _ = forward_and_backward(x)
    return {STATE[0]: dy, **dict(zip(NAMES, x)), **dict(zip(STATE[1:], (y, greatest, total)))}


def refused(name, value, error, text):
    given = {**arguments(), name: value}
    functions = [npu_fused_floyd_attention_backward] + [npu_fused_floyd_attention] * (name not in STATE)
    for function in functions:
        own = inspect.signature(function).parameters
        with pytest.raises(error, match=text):
            function(**{key: one for key, one in given.items() if key in own})


@pytest.mark.parametrize("name", [*NAMES, *STATE])
def test_wrong_tensors(name):
    good = arguments()[name]
    named = "key_ij" if name == "query_ik" else name
    refused(name, None, TypeError, f"{name} is a NoneType")
    refused(name, good.tolist(), TypeError, f"{name} is a list")
    refused(name, good.half(), TypeError, f"{named} has dtype torch.float16" if name != "query_ik" else "has dtype")
    refused(name, good.to(torch.int64), TypeError, f"{name} has dtype torch.int64")
    refused(name, good[0], ValueError, f"{name} has shape")
    refused(name, good[1:], ValueError, f"{named} has shape")
    refused(name, good[..., :0], ValueError, f"{named} has shape")
    refused(name, good.to("meta"), ValueError, f"{named} is on")
    refused(name, good.to_sparse(), TypeError, f"{name} has layout")


@pytest.mark.parametrize(
    ("name", "value", "error", "text"),
    [
        ("atten_mask", True, TypeError, "atten_mask is a bool"),
        ("atten_mask", torch.zeros(SIZES[:5]), TypeError, "atten_mask has dtype torch.float32"),
        ("atten_mask", torch.zeros(2, dtype=torch.bool), ValueError, "atten_mask has shape"),
        ("scale_value", "1", TypeError, "scale_value is a str"),
        ("scale_value", [1.0], TypeError, "scale_value is a list"),
        ("scale_value", None, TypeError, "scale_value is a NoneType"),
    ],
)
def test_wrong_options(name, value, error, text):
    refused(name, value, error, text)
