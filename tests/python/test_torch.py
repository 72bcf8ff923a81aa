# SPDX-License-Identifier: Apache-2.0
"""floyd_attention() against the formula: types, masks, bias, cap, sizes, layouts; and what it keeps for the backward."""

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

from tensors import DTYPES, SIZES, check, normal, operands, random_mask

from floydattn import floyd_attention

SUBSETS = list(itertools.product([False, True], repeat=5))
RULES = ["zero_grad", "replace"]


def whole_rows(kind=torch.bool):
    """All pivots of some rows, some of the others."""
    mask = random_mask((SIZES[0], 1, SIZES[2], 1, SIZES[4]))
    mask[:, :, 1::2] = True
    return mask.to(kind)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", [None, random_mask(), whole_rows(), whole_rows(torch.uint8) * 130], ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_values(dtype, mask, rule):
    check(operands(dtype), mask, mask_rule=rule)


@pytest.mark.parametrize("rule", RULES)
def test_fully_masked_rows_average(rule):
    x, mask = operands(), whole_rows()
    y = check(x, mask, mask_rule=rule)["y"]
    values = x[2].unsqueeze(3) + x[4].transpose(2, 3).unsqueeze(2)  # [B,H,N,M,K,D]
    wanted = values.mean(4)[:, :, 1::2]
    # Sums of 11 values of at most 8, and their average.
    assert ((y[:, :, 1::2] - wanted).abs() <= 128 * 2.0**-53).all()


def test_rules_differ_in_fully_masked_rows_alone():
    x, mask = operands(), whole_rows()
    zero, replaced = (check(x, mask, mask_rule=rule) for rule in RULES)
    assert (zero["dq"][:, :, 1::2] == 0).all() and (replaced["dq"][:, :, 1::2] != 0).any(dim=-1).all()
    assert torch.equal(zero["dq"][:, :, ::2], replaced["dq"][:, :, ::2])
    assert torch.equal(zero["y"], replaced["y"]) and torch.equal(zero["dv1"], replaced["dv1"])


def repeated_shape(subset):
    return [1 if one else size for one, size in zip(subset, SIZES)]


@pytest.mark.parametrize("subset", SUBSETS)
def test_mask_of_every_broadcast_form(subset):
    mask, x = random_mask(repeated_shape(subset)), operands(torch.float32)
    results = check(x, mask)
    for same in (mask.expand(SIZES[:5]), mask.to(torch.uint8) * 2, mask.expand(SIZES[:5]).clone()):
        assert torch.equal(floyd_attention(*x, same), results["y"])


@pytest.mark.parametrize("axes", range(5))
def test_mask_and_bias_of_fewer_axes(axes):
    shape = SIZES[5 - axes : 5]
    check(operands(), random_mask(shape), normal(shape))
    check(operands(torch.float16), random_mask((1,) * axes), normal((1,) * axes, torch.float32))


@pytest.mark.parametrize("subset", SUBSETS)
def test_bias_of_every_broadcast_form(subset):
    dtype = DTYPES[sum(subset) % 4]
    check(operands(dtype), random_mask(), normal(repeated_shape(subset), dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_float32_bias_beside_halves(dtype):
    results = check(operands(dtype), None, normal(SIZES[:5], torch.float32))
    assert results["dbias"].dtype == torch.float32
    # Not rounded to halves on the way.
    assert not torch.equal(results["dbias"].to(dtype).float(), results["dbias"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_of_minus_infinity(dtype):
    mask = random_mask()
    bias = torch.zeros(SIZES[:5], dtype=dtype).masked_fill(mask, -math.inf)
    results = check(operands(dtype), None, bias)
    assert torch.equal(results["y"], floyd_attention(*operands(dtype), mask)) and (results["dbias"][mask] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cap", [0.01, 1.0, 30.0])
def test_softmax_cap(dtype, cap):
    check(operands(dtype), random_mask(), normal(SIZES[2:5], dtype), softmax_cap=cap, scale=1.5)


@pytest.mark.parametrize("scale", [0.0, -0.7, 3, 1e-30])
def test_scale(scale):
    check(operands(), scale=scale)


def test_scale_that_makes_no_sense_is_computed_with():
    assert floyd_attention(*operands(), scale=math.nan).isnan().all()


def sizes_about_tile_edges():
    pairs, pivots = [0, 1, 23, 24, 25], [0, 1, 47, 48, 49]
    for i, (n, k) in enumerate(itertools.product(pairs, pivots)):
        yield (1, 2, n, pairs[(i * 2 + 3) % 5], k, (4, 1, 9)[i % 3])
    for axis in range(6):
        yield tuple(0 if i == axis else size for i, size in enumerate(SIZES))


@pytest.mark.parametrize("sizes", list(sizes_about_tile_edges()), ids=str)
def test_sizes(sizes):
    mask = random_mask((sizes[0], 1, sizes[2], 1, sizes[4]))
    dtype = DTYPES[sum(sizes) % 4]
    check(operands(dtype, sizes), mask, normal((1, *sizes[1:5]), dtype), mask_rule=RULES[sizes[4] % 2])
    check(operands(torch.float32, sizes))


def test_no_pivots():
    results = check(operands(torch.float32, (2, 3, 5, 7, 0, 8)))
    assert (results["y"] == 0).all() and (results["dq"] == 0).all()


# ---- layouts -------------------------------------------------------------------------------------------


def heads_inside(t):
    """As models have them: a buffer [B,N,M,H,D] seen as [B,H,N,M,D]."""
    return t.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4)


def every_other(t):
    return torch.stack([t, torch.full_like(t, math.nan)], dim=-1).flatten(-2)[..., ::2]


def axes_turned(t):
    return t.permute(4, 3, 2, 1, 0).contiguous().permute(4, 3, 2, 1, 0)


def one_of_five(t):
    """A part of a buffer that several share."""
    return torch.cat([torch.full_like(t, math.nan), t, t], dim=-1)[..., t.shape[-1] : 2 * t.shape[-1]]


def unaligned(t):
    return torch.cat([t.flatten()[:1], t.flatten()])[1:].view(t.shape)


LAYOUTS = [heads_inside, every_other, axes_turned, one_of_five, unaligned]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_give_the_same_bits(layout, dtype):
    x, bias, mask, dy = operands(dtype), normal(SIZES[:5], dtype), random_mask(), normal(operands()[0].shape, dtype, 5)
    plain, moved = (gradients_of([f(t) for t in x], f(mask), f(bias), f(dy)) for f in (lambda t: t, layout))
    assert all(torch.equal(one, other) for one, other in zip(plain, moved))


def gradients_of(x, mask, bias, dy):
    x, bias = [t.detach().requires_grad_() for t in x], bias.detach().requires_grad_()
    y = floyd_attention(*x, mask, bias=bias)
    return [y.detach(), *torch.autograd.grad(y, [*x, bias], dy)]


def test_repeated_operands_give_the_same_bits():
    x, bias, dy = operands(torch.float32), normal((1, 1, 1, 1, SIZES[4]), torch.float32), normal((1,) * 5, torch.float32)
    x = [t[:1, :, :1].expand_as(t) for t in x]
    bias, dy, mask = bias.expand(SIZES[:5]), dy.expand_as(x[0]), random_mask((1, 1, SIZES[2], 1, 1)).expand(SIZES[:5])
    once = gradients_of(x, mask, bias, dy)
    copied = gradients_of([t.clone() for t in x], mask.clone(), bias.clone(), dy.clone())
    assert all(torch.equal(one, other) for one, other in zip(once, copied))


def test_negated_views():
    """Tensors that PyTorch negates when they are read."""
    x = operands()
    negated = torch.complex(x[0], -x[0]).conj().imag
    assert negated.is_neg() and torch.equal(floyd_attention(negated, *x[1:]), floyd_attention(*x))


def test_results_lie_as_operands_do():
    x = [heads_inside(t).detach().requires_grad_() for t in operands()]
    y = floyd_attention(*x)
    results = [y, *torch.autograd.grad(y, x, torch.ones_like(y))]
    for result in results:
        assert result.permute(0, 2, 3, 1, 4).is_contiguous()
    for result in gradients_of([t.detach() for t in operands()], None, normal(SIZES[:5]), normal(y.shape)):
        assert result.is_contiguous()


def test_results_of_repeated_operands_are_dense():
    q = heads_inside(operands()[0][:1]).expand(*operands()[0].shape)
    y = floyd_attention(q, *operands()[1:])
    assert y.permute(0, 2, 3, 1, 4).is_contiguous()


@pytest.mark.parametrize("layout", [heads_inside, every_other, one_of_five])
def test_nothing_is_copied(layout):
    x = [layout(t).detach().requires_grad_() for t in operands(torch.float32)]
    mask, bias = random_mask().expand(SIZES[:5]), normal((1, 1, 1, 1, SIZES[4]), torch.float32).expand(SIZES[:5])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        y = floyd_attention(*x, mask, bias=bias)
        torch.autograd.grad(y, x, torch.ones_like(y))
    names = {event.key for event in profile.key_averages()}
    assert {"floydattn::forward", "floydattn::backward"} <= names
    assert not names & {"aten::copy_", "aten::clone", "aten::contiguous", "aten::to", "aten::expand"}


# ---- what is kept --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_backward_keeps_inputs_output_and_two_numbers_per_row(dropout):
    B, H, N, M, K, D = SIZES
    x, mask = operands(torch.bfloat16, grad=True), random_mask((B, 1, N, 1, K))
    bias = normal((1, 1, 1, 1, K), torch.float32).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = floyd_attention(*x, mask, bias=bias, dropout=dropout)
    size = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in kept}
    own = {t.untyped_storage().data_ptr() for t in (*x, mask, bias, y)}
    assert own <= set(size)
    rest = sum(size[at] for at in set(size) - own) - 2 * 4 * B * H * N * M
    assert 0 < rest <= 256 if dropout else rest == 0  # the seed


def test_no_gradients_keep_nothing():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = floyd_attention(*operands())
        with torch.no_grad():
            floyd_attention(*operands(grad=True))
    assert not kept and not y.requires_grad


def test_inference_mode():
    with torch.inference_mode():
        y = floyd_attention(*operands())
    assert torch.equal(y, floyd_attention(*operands()))


def test_changed_operands_are_noticed():
    x = operands(grad=True)
    held = x[1].clone()
    y = floyd_attention(x[0], held, *x[2:])
    held.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        y.sum().backward()


def test_parameters():
    x = [torch.nn.Parameter(t) for t in operands()]
    floyd_attention(*x).sum().backward()
    assert all(t.grad.shape == t.shape for t in x)


def test_meta_tensors():
    y = floyd_attention(*[t.to("meta") for t in operands(torch.float16)], random_mask().to("meta"))
    assert y.device.type == "meta" and y.shape == operands()[0].shape and y.dtype == torch.float16
