# SPDX-License-Identifier: Apache-2.0
"""Dropout of floyd_attention(): which weights, from which seeds, in the backward as in the forward."""

import math

import naive
import pytest

torch = pytest.importorskip("torch")

from tensors import DTYPES, SIZES, array, check, normal, operands, pattern, random_mask
from torch.utils.checkpoint import checkpoint

from floydattn import floyd_attention

SEED = 1234


def seeded(*x, **options):
    torch.manual_seed(SEED)
    return floyd_attention(*x, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dropout", [0.1, 0.5, 1.0])
def test_values_and_gradients_of_one_pattern(dtype, dropout):
    keep = pattern(lambda *x: seeded(*x, dropout=dropout))
    torch.manual_seed(SEED)
    check(operands(dtype), random_mask(), normal(SIZES[2:5], dtype), keep=keep, dropout=dropout, softmax_cap=2.0)


EDGES = [(1, 1, 23, 25, 47, 4), (2, 1, 24, 1, 48, 4), (1, 2, 1, 24, 49, 4), (1, 1, 25, 23, 1, 4)]


@pytest.mark.parametrize("sizes", EDGES, ids=str)
def test_sizes(sizes):
    keep = pattern(lambda *x: seeded(*x, dropout=0.3), sizes)
    torch.manual_seed(SEED)
    check(operands(torch.float32, sizes), keep=keep, dropout=0.3)


@pytest.mark.parametrize("dropout", [0.02, 0.5, 0.9])
def test_as_many_are_dropped_as_asked_for(dropout):
    keep = pattern(lambda *x: seeded(*x, dropout=dropout), (2, 3, 20, 30, 40, 1))
    assert abs(keep.double().mean() - (1 - dropout)) <= 6 * math.sqrt(dropout * (1 - dropout) / keep.numel())


def test_same_seed_same_pattern():
    x = operands()
    first, second, third = seeded(*x, dropout=0.5), floyd_attention(*x, dropout=0.5), floyd_attention(*x, dropout=0.5)
    assert torch.equal(first, seeded(*x, dropout=0.5)) and torch.equal(second, floyd_attention(*x, dropout=0.5))
    assert not torch.equal(first, second) and not torch.equal(second, third)


def test_default_device_is_not_looked_at():
    """The seed and the workspace are the CPU's, where the operands are."""
    x = operands()
    plain = seeded(*x, dropout=0.5)
    with torch.device("meta"):
        assert torch.equal(plain, seeded(*x, dropout=0.5))


def test_patterns_of_seeds_differ():
    """Two calls agree about a weight as often as chance has it."""
    patterns = [pattern(lambda *x: floyd_attention(*x, dropout=0.5), (2, 2, 10, 10, 50, 1)) for _ in range(4)]
    for i in range(4):
        for j in range(i):
            same = (patterns[i] == patterns[j]).double()
            assert abs(same.mean() - 0.5) <= 6 * 0.5 / math.sqrt(same.numel())


def test_many_seeds():
    """Of 200 calls no two drop the same of 660 weights: there are more than some 20000 patterns."""
    torch.manual_seed(SEED)
    sizes = (1, 1, 5, 12, 11, 1)
    seen = {pattern(lambda *x: floyd_attention(*x, dropout=0.5), sizes).numpy().tobytes() for _ in range(200)}
    assert len(seen) == 200


def test_generator_is_left_alone_without_dropout():
    before = torch.get_rng_state()
    floyd_attention(*operands())
    assert torch.equal(before, torch.get_rng_state())
    floyd_attention(*operands(), dropout=0.1)
    assert not torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("options", [{}, {"softmax_cap": 1.0}, {"mask": random_mask((2, 1, 3, 2, 4))}])
def test_finite_differences(options):
    x = operands(sizes=(2, 1, 3, 2, 4, 2), grad=True)
    bias = normal((3, 2, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda bias, *x: seeded(*x, bias=bias, dropout=0.4, **options), (bias, *x))


def test_mean_of_many_is_what_there_is_without():
    samples, dropout, (_, H, N, M, K, D) = 4000, 0.3, SIZES
    x = operands(sizes=(1, *SIZES[1:]))
    mean = seeded(*[t.expand(samples, *t.shape[1:]) for t in x], dropout=dropout).mean(0)
    s = (x[0].unsqueeze(4) * (x[1].unsqueeze(3) + x[3].transpose(2, 3).unsqueeze(2))).sum(-1) / math.sqrt(2 * D)
    terms = s.softmax(-1).unsqueeze(-1) * (x[2].unsqueeze(3) + x[4].transpose(2, 3).unsqueeze(2))
    # Each term is multiplied by 0 or 1 / (1 - p), of variance p / (1 - p): six standard deviations.
    deviation = (terms.square().sum(-2) * dropout / (1 - dropout) / samples).sqrt()[0]
    wanted = torch.from_numpy(naive.attention(*map(array, x))[0]["y"])[0]
    assert ((mean - wanted).abs() <= 6 * deviation).all()


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_repeats_the_pattern(use_reentrant):
    x, dy = operands(grad=True), normal(operands()[0].shape)

    def layers(*x):
        return floyd_attention(floyd_attention(*x, dropout=0.5), *x[1:], dropout=0.5)

    torch.manual_seed(SEED)
    y = layers(*x)
    wanted = torch.autograd.grad(y, x, dy)
    torch.manual_seed(SEED)
    again = checkpoint(layers, *x, use_reentrant=use_reentrant)
    torch.rand(100)  # other random numbers between forward and backward
    again.backward(dy)
    assert torch.equal(y, again)
    assert all(torch.equal(t.grad, gradient) for t, gradient in zip(x, wanted))


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint_without_dropout(use_reentrant):
    x, mask = operands(torch.bfloat16, grad=True), random_mask()
    y = floyd_attention(*x, mask)
    wanted = torch.autograd.grad(y, x, torch.ones_like(y))
    checkpoint(floyd_attention, *x, mask, use_reentrant=use_reentrant).backward(torch.ones_like(y))
    assert all(torch.equal(t.grad, gradient) for t, gradient in zip(x, wanted))
