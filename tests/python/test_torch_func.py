# SPDX-License-Identifier: Apache-2.0
"""torch.func of floyd_attention(): grad, vjp, jacrev, and vmap over any argument along any axis."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import SIZES, normal, operands, pattern, random_mask
from torch.func import grad, grad_and_value, jacrev, vjp, vmap

from floydattn import floyd_attention

SMALL = (2, 1, 3, 2, 4, 2)
SAMPLES = 3


def attend(q, k1, v1, k2, v2, mask, bias, **options):
    return floyd_attention(q, k1, v1, k2, v2, mask, bias=bias, **options)


def arguments(sizes=SIZES, dtype=torch.float64, seed=0):
    return [*operands(dtype, sizes, seed), random_mask(sizes[:5], seed=seed), normal(sizes[2:5], dtype, 7 + seed)]


def eager_gradients(of, *tensors):
    tensors = [t.detach().requires_grad_() for t in tensors]
    return torch.autograd.grad(of(*tensors), tensors)


def test_grad_and_vjp():
    *x, mask, bias = arguments()

    def total(q, k1, v1, k2, v2, bias):
        return attend(q, k1, v1, k2, v2, mask, bias).square().sum()

    wanted = eager_gradients(total, *x, bias)
    got = grad(total, argnums=tuple(range(6)))(*x, bias)
    assert all(torch.equal(one, other) for one, other in zip(got, wanted))
    value, pull = vjp(total, *x, bias)
    assert torch.equal(value, total(*x, bias))
    assert all(torch.equal(one, other) for one, other in zip(pull(torch.ones_like(value)), wanted))


def test_grad_of_some():
    x = operands()
    got = grad(lambda v1: floyd_attention(x[0], x[1], v1, x[3], x[4]).sum())(x[2])
    assert torch.equal(got, eager_gradients(lambda *t: floyd_attention(*t).sum(), *x)[2])


def test_jacrev():
    x = operands(sizes=SMALL)
    jacobian = jacrev(lambda k1: floyd_attention(x[0], k1, *x[2:]))(x[1])
    wanted = torch.autograd.functional.jacobian(lambda k1: floyd_attention(x[0], k1, *x[2:]), x[1])
    # One sum in another order: a few of its roundings.
    assert ((jacobian - wanted).abs() <= 2.0**-50 * wanted.abs().max()).all()


@pytest.mark.parametrize("options", [{}, {"softmax_cap": 1.0, "bias": normal(SMALL[3:5])}])
def test_jacrev_of_jacrev(options):
    x, mask = operands(sizes=SMALL), random_mask(SMALL[:5])

    def total(k2):
        return floyd_attention(*x[:3], k2, x[4], mask, **options).square().sum()

    hessian = jacrev(jacrev(total))(x[3])
    wanted = torch.autograd.functional.hessian(total, x[3])
    # That is the same formula, whose second derivative finite differences confirm.
    assert hessian.shape == (*x[3].shape, *x[3].shape)
    assert ((hessian - wanted).abs() <= 2.0**-46 * wanted.abs().max()).all()
    assert ((hessian - hessian.permute(5, 6, 7, 8, 9, 0, 1, 2, 3, 4)).abs() <= 2.0**-46 * wanted.abs().max()).all()


def test_second_derivatives_of_dropout_are_refused():
    x = operands(sizes=SMALL)
    with pytest.raises(NotImplementedError, match="dropout"):
        grad(lambda q: grad(lambda q: floyd_attention(q, *x[1:], dropout=0.5).sum())(q).sum())(x[0])


# ---- vmap ----------------------------------------------------------------------------------------------


def samples_of(argument, axis):
    """SAMPLES of every argument, and the argument at this place stacked along axis."""
    own = [arguments(seed=i)[argument] for i in range(SAMPLES)]
    return own, torch.stack(own, dim=axis)


def one_by_one(function, stacked, in_dims):
    results = []
    for i in range(SAMPLES):
        results.append(function(*[t if axis is None else t.select(axis, i) for t, axis in zip(stacked, in_dims)]))
    return [torch.stack(parts) for parts in zip(*results)]


@pytest.mark.parametrize("argument", range(7))
@pytest.mark.parametrize("axis", [0, 2, -1])
def test_vmap_over_each_argument(argument, axis):
    stacked, in_dims = arguments(), [None] * 7
    own, stacked[argument] = samples_of(argument, axis)
    in_dims[argument] = axis if axis >= 0 else stacked[argument].dim() + axis
    got = vmap(attend, in_dims=tuple(in_dims))(*stacked)
    for i, sample in enumerate(own):
        alone = [sample if j == argument else t for j, t in enumerate(stacked)]
        assert torch.equal(got[i], attend(*alone))


IN_DIMS = st.tuples(*[st.one_of(st.none(), st.integers(0, axes)) for axes in (5, 5, 5, 5, 5, 5, 3)])


@settings(max_examples=25)
@given(IN_DIMS.filter(lambda dims: any(axis is not None for axis in dims)), st.integers(0, 5))
def test_vmap_over_any_arguments_and_vmap_of_grad(in_dims, out_axis):
    stacked = [t if axis is None else samples_of(i, axis)[1] for i, (t, axis) in enumerate(zip(arguments(), in_dims))]
    got = vmap(attend, in_dims=in_dims, out_dims=out_axis)(*stacked)
    assert torch.equal(got.movedim(out_axis, 0), one_by_one(lambda *t: [attend(*t)], stacked, in_dims)[0])
    gradient = grad(lambda *t: attend(*t).square().sum(), argnums=(0, 1, 2, 3, 4, 6))
    found = vmap(gradient, in_dims=in_dims)(*stacked)
    wanted = one_by_one(gradient, stacked, in_dims)
    assert all(torch.equal(one, other) for one, other in zip(found[:5], wanted[:5]))
    # The bias is the same for the batches of a sample, whose gradients are summed in another order.
    assert ((found[5] - wanted[5]).abs() <= 2.0**-48 * wanted[5].abs().max()).all()


def test_vmap_within_vmap():
    x = operands()
    q = torch.stack([torch.stack([normal(x[0].shape, seed=3 * i + j) for i in range(2)]) for j in range(3)])
    got = vmap(vmap(lambda q: floyd_attention(q, *x[1:])))(q)
    for j in range(3):
        for i in range(2):
            assert torch.equal(got[j, i], floyd_attention(q[j, i], *x[1:]))


def test_vmap_of_lower_rank_masks_and_one_batch():
    x = operands()
    masks = random_mask((SAMPLES, SIZES[4]))
    got = vmap(lambda mask: floyd_attention(*x, mask))(masks)
    assert all(torch.equal(got[i], floyd_attention(*x, masks[i])) for i in range(SAMPLES))
    biases = normal((SAMPLES, 1, 1, *SIZES[2:5]))
    got = vmap(lambda bias: floyd_attention(*x, bias=bias))(biases)
    assert all(torch.equal(got[i], floyd_attention(*x, bias=biases[i])) for i in range(SAMPLES))


@pytest.mark.parametrize("batch", [0, 1])
def test_vmap_over_none_and_one(batch):
    x = operands()
    for bias in (None, normal(SIZES[2:5])):
        q = x[0].expand(batch, *x[0].shape)
        assert vmap(lambda q: floyd_attention(q, *x[1:], bias=bias))(q).shape == q.shape
        gradients = vmap(grad(lambda q: floyd_attention(q, *x[1:], bias=bias).sum()))(q)
        assert gradients.shape == q.shape


def test_vmap_of_gradients_of_nothing():
    x, bias = operands(sizes=(2, 3, 5, 7, 0, 8)), normal((5, 1, 0))
    q = torch.stack([x[0]] * SAMPLES)
    gradients = vmap(grad(lambda q, bias: floyd_attention(q, *x[1:], bias=bias).sum(), argnums=(0, 1)), in_dims=(0, None))(q, bias)
    assert (gradients[0] == 0).all() and gradients[0].shape == q.shape and gradients[1].shape == (SAMPLES, *bias.shape)


def test_gradients_for_each_sample_of_a_model():
    """As differential privacy needs them."""
    x, inputs = operands(), torch.stack([normal(operands()[0].shape, seed=i) for i in range(SAMPLES)])
    weight = normal((SIZES[5], SIZES[5]))

    def loss(weight, q):
        return floyd_attention(q @ weight, *x[1:]).square().mean()

    got = vmap(grad(loss), in_dims=(None, 0))(weight, inputs)
    for i in range(SAMPLES):
        wanted = grad(loss)(weight, inputs[i])
        # The matrix product is another one for a batch: sums of 210 terms.
        assert ((got[i] - wanted).abs() <= 2.0**-46 * wanted.abs().max()).all()


# ---- vmap and dropout ----------------------------------------------------------------------------------


def repeated(samples=SAMPLES):
    return [torch.stack([t] * samples) for t in operands()]


def test_random_vmap_must_be_asked_for():
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(lambda *x: floyd_attention(*x, dropout=0.5))(*repeated())


@pytest.mark.parametrize("batched", [range(5), [2]], ids=["all operands", "v1"])
def test_different_patterns(batched):
    x = operands()
    stacked = [torch.stack([t] * SAMPLES) if i in batched else t for i, t in enumerate(x)]
    in_dims = tuple(0 if i in batched else None for i in range(5))
    y = vmap(lambda *x: floyd_attention(*x, dropout=0.5), in_dims=in_dims, randomness="different")(*stacked)
    assert not torch.equal(y[0], y[1]) and not torch.equal(y[1], y[2]) and not torch.equal(y[0], y[2])


@pytest.mark.parametrize("batched", [range(5), [2]], ids=["all operands", "v1"])
def test_same_pattern(batched):
    x = operands()
    stacked = [torch.stack([t] * SAMPLES) if i in batched else t for i, t in enumerate(x)]
    in_dims = tuple(0 if i in batched else None for i in range(5))
    torch.manual_seed(3)
    y = vmap(lambda *x: floyd_attention(*x, dropout=0.5), in_dims=in_dims, randomness="same")(*stacked)
    torch.manual_seed(3)
    alone = floyd_attention(*x, dropout=0.5)
    assert all(torch.equal(y[i], alone) for i in range(SAMPLES))


def test_patterns_of_samples_are_independent():
    """Two samples agree about a weight as often as chance has it."""
    def draw(*x):
        stacked = [torch.stack([t] * 2) for t in x]
        return vmap(lambda *x: floyd_attention(*x, dropout=0.5), randomness="different")(*stacked)

    keep = pattern(draw, (2, 2, 10, 10, 50, 1))
    same = (keep[0] == keep[1]).double()
    assert abs(same.mean() - 0.5) <= 6 * 0.5 / same.numel() ** 0.5


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_backward_of_a_random_vmap_has_the_forwards_patterns(randomness):
    """y is linear in v1 and v2 together, so that dy.y = v1.dv1 + v2.dv2 for one pattern, and for no two."""
    x, weights = repeated(), normal(operands()[0].shape, seed=8)

    def total(v1, v2, q, k1, k2):
        return (floyd_attention(q, k1, v1, k2, v2, dropout=0.5) * weights).sum()

    gradients, value = vmap(grad_and_value(total, argnums=(0, 1)), randomness=randomness)(x[2], x[4], x[0], x[1], x[3])
    again = sum((t * g).flatten(1).sum(1) for t, g in zip((x[2], x[4]), gradients))
    # Sums of some 3000 terms of about 1, of either sign.
    assert ((value - again).abs() <= 2.0**-53 * 3000).all()
    assert (len(set(value.tolist())) == 1) == (randomness == "same")
