# SPDX-License-Identifier: Apache-2.0
"""Which gradients floyd_attention() computes; derivatives against finite differences, the second ones, too."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from tensors import SIZES, normal, operands, random_mask
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from floydattn import floyd_attention

SMALL = (2, 1, 3, 2, 4, 2)


class Wanted(TorchDispatchMode):
    """Notes which gradients each call of the operator backward is asked for."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.floydattn.backward.default:
            self.calls.append(list(args[-1]))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("wanted", [w for w in itertools.product([False, True], repeat=6) if any(w)])
def test_gradients_only_where_asked(wanted):
    tensors = [*operands(torch.float32), normal(SIZES[2:5], torch.float32)]
    whole = [t.clone().requires_grad_() for t in tensors]
    some = [t.clone().requires_grad_(is_wanted) for t, is_wanted in zip(tensors, wanted)]
    mask = random_mask()
    with Wanted() as seen:
        for x in (whole, some):
            floyd_attention(*x[:5], mask, bias=x[5]).backward(normal(x[0].shape, torch.float32))
    assert seen.calls == [[True] * 6, list(wanted)]
    for one, other in zip(some, whole):
        assert one.grad is None if not one.requires_grad else torch.equal(one.grad, other.grad)


def test_gradients_accumulate():
    x = operands(grad=True)
    dy = normal(x[0].shape)
    for _ in range(2):
        y = floyd_attention(*x)
        y.backward(dy, retain_graph=True)
    y.backward(dy)
    once = torch.autograd.grad(floyd_attention(*x), x, dy)
    assert all(torch.equal(t.grad, one + one + one) for t, one in zip(x, once))


def test_a_tensor_in_several_places():
    t = normal((2, 2, 4, 4, 4)).requires_grad_()
    apart = [t.detach().clone().requires_grad_() for _ in range(5)]
    dy = normal(t.shape, seed=2)
    together = torch.autograd.grad(floyd_attention(t, t, t, t, t), t, dy)[0]
    wanted = sum(torch.autograd.grad(floyd_attention(*apart), apart, dy))
    # Five terms added in one order or another.
    assert ((together - wanted).abs() <= 8 * 2.0**-53 * wanted.abs().max()).all()


# ---- finite differences --------------------------------------------------------------------------------


def whole_rows():
    mask = random_mask((SMALL[0], 1, SMALL[2], 1, SMALL[4]))
    mask[:, :, 1] = True
    return mask


CASES = {
    "plain": {},
    "mask": {"mask": random_mask(SMALL[:5])},
    "fully masked rows": {"mask": whole_rows()},
    "bias": {"bias": SMALL[:5]},
    "bias of fewer axes": {"bias": (SMALL[3], 1)},
    "bias of no axes": {"bias": ()},
    "bias of one batch": {"bias": (1, 1, *SMALL[2:5])},
    "cap": {"softmax_cap": 0.7},
    "everything": {"mask": whole_rows(), "bias": (SMALL[2], 1, SMALL[4]), "softmax_cap": 1.5, "scale": -0.4},
}


def differentiated(mask=None, bias=None, **options):
    """A function of tensors, and the tensors."""
    tensors = operands(sizes=SMALL, grad=True)
    if bias is None:
        return lambda *t: floyd_attention(*t, mask, **options), tensors
    return lambda *t: floyd_attention(*t[:5], mask, bias=t[5], **options), [*tensors, normal(bias, seed=9).requires_grad_()]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_gradcheck(case):
    function, tensors = differentiated(**case)
    assert gradcheck(function, tensors)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_gradgradcheck(case):
    function, tensors = differentiated(**case)
    assert gradgradcheck(function, tensors, fast_mode=True)


@pytest.mark.parametrize("wanted", range(6))
def test_second_derivatives_of_some(wanted):
    function, tensors = differentiated(bias=SMALL[:5])
    for i, t in enumerate(tensors):
        t.requires_grad_(i == wanted or i == (wanted + 2) % 6)
    assert gradgradcheck(function, tensors, fast_mode=True)


def test_second_derivatives_of_replaced_scores():
    """Where all are replaced and hand their gradient on, it is as if a constant had made them all alike."""
    q, k1, v1, k2, v2 = x = operands(sizes=SMALL, grad=True)
    scores = torch.einsum("bhnmd,bhnkd->bhnmk", q, k1) + torch.einsum("bhnmd,bhkmd->bhnmk", q, k2)
    constant = -(scores / (2 * SMALL[5]) ** 0.5).detach()
    all_masked = torch.ones(SMALL[4], dtype=torch.bool)

    def derivatives(y):
        first = torch.autograd.grad(y, x, normal(y.shape), create_graph=True)
        return [*first, *torch.autograd.grad(first, x, [normal(t.shape, seed=3) for t in first])]

    replaced = derivatives(floyd_attention(*x, all_masked, mask_rule="replace"))
    alike = derivatives(floyd_attention(*x, bias=constant))
    assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in zip(replaced, alike))
    assert all(t.abs().max() > 1e-3 for t in replaced)


def test_second_derivatives_where_there_is_nothing():
    for sizes in [(0, 1, 3, 2, 4, 2), (1, 1, 3, 2, 0, 2), (1, 1, 0, 2, 4, 2)]:
        x = operands(sizes=sizes, grad=True)
        first = torch.autograd.grad(floyd_attention(*x).sum(), x, create_graph=True)
        second = torch.autograd.grad(sum(t.sum() for t in first), x, allow_unused=True)
        assert all(s is None or s.shape == t.shape for s, t in zip(second, x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_second_derivatives_of_other_types(dtype):
    """Against those of fp64, which finite differences confirm."""

    def second(x):
        x = [t.detach().requires_grad_() for t in x]
        first = torch.autograd.grad(floyd_attention(*x), x, normal(x[0].shape, dtype).to(x[0].dtype), create_graph=True)
        return torch.autograd.grad(first, x, [normal(t.shape, dtype).to(t.dtype) for t in first])

    x = operands(dtype, SMALL)
    for got, wanted, t in zip(second(x), second([t.double() for t in x]), x):
        assert got.dtype == dtype and got.shape == t.shape
        # Inner results and dy's sums are rounded to dtype some times over; terms do not exceed ten times the largest sum here.
        assert ((got.double() - wanted).abs() <= 20 * torch.finfo(dtype).eps * wanted.abs().max()).all()


def test_a_penalty_on_gradients_trains():
    """The usual need for second derivatives: fp32, through other operations."""
    x = operands(torch.float32, grad=True)
    y = floyd_attention(*[t * 1.0 for t in x], random_mask())
    first = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    sum(t.square().sum() for t in first).backward()
    assert all(t.grad.isfinite().all() and (t.grad != 0).any() for t in x)


def test_no_second_derivatives_of_dropout():
    x = operands(grad=True)
    first = torch.autograd.grad(floyd_attention(*x, dropout=0.5).sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="dropout"):
        torch.autograd.grad(first[0].sum(), x)


def test_forward_mode_is_refused():
    """Rather than giving derivatives of 0."""
    x = operands()
    forward_ad = torch.autograd.forward_ad
    with forward_ad.dual_level():
        for i in range(5):
            duals = [forward_ad.make_dual(t, torch.ones_like(t)) if i == j else t for j, t in enumerate(x)]
            with pytest.raises(NotImplementedError, match="forward-mode"):
                floyd_attention(*duals)
        assert torch.equal(floyd_attention(*x), floyd_attention(*x))
    with pytest.raises((NotImplementedError, RuntimeError)):
        torch.func.jvp(lambda q: floyd_attention(q, *x[1:]), (x[0],), (x[0],))
