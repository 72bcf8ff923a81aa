# SPDX-License-Identifier: Apache-2.0
"""The operators as PyTorch's machinery wants them, and floyd_attention() under autocast, make_fx, export, deepcopy and pickle."""

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

from tensors import SIZES, array, formula, name_of, normal, operands, random_mask
from torch.fx.experimental.proxy_tensor import make_fx

from floydattn import floyd_attention

SMALL = (2, 2, 3, 4, 5, 4)
OPS = torch.ops.floydattn
SEED = torch.tensor(5)


class Attention(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.options = options
        self.bias = torch.nn.Parameter(normal(SIZES[4:5], torch.float32, 3))

    def forward(self, q, k1, v1, k2, v2, mask=None):
        return floyd_attention(q, k1, v1, k2, v2, mask, bias=self.bias, **self.options)


def heads_inside(t):
    return t.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4)


# ---- the operators -------------------------------------------------------------------------------------

CONFIGURATIONS = {
    "plain": ({}, torch.float32, None, None, None, (0.5, 0.0, 0.0, 0.0, 1)),
    "mask": ({"grad": True}, torch.bfloat16, random_mask(SMALL[2:5]), None, None, (1.0, 0.0, -9.0, 0.0, 0)),
    "bias and cap": ({"grad": True}, torch.float64, None, normal((2, 1, 1, 4, 1)).requires_grad_(), None, (1.0, 2.0, 0.0, 0.0, 1)),
    "dropout": ({"grad": True}, torch.float32, None, None, SEED, (1.0, 0.0, 0.0, 0.5, 1)),
    "dropout of several numbers": ({}, torch.float16, None, normal((5,), torch.float32), torch.arange(9), (1.0, 0.0, 0.0, 0.5, 1)),
    "permuted": ({"layout": heads_inside}, torch.float32, random_mask(SMALL[:5]), None, None, (1.0, 0.0, 0.0, 0.0, 1)),
    "no pivots": ({"sizes": (2, 2, 3, 4, 0, 4), "grad": True}, torch.float32, None, None, None, (1.0, 0.0, 0.0, 0.0, 1)),
}


def configured(how, dtype):
    x = operands(dtype, how.get("sizes", SMALL))
    return [how.get("layout", lambda t: t)(t).requires_grad_(how.get("grad", False)) for t in x]


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_opcheck_of_forward(configuration):
    how, dtype, *rest, numbers = configuration
    torch.library.opcheck(OPS.forward.default, (*configured(how, dtype), *rest, *numbers, 3))


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_opcheck_of_backward(configuration):
    how, dtype, mask, bias, seed, numbers = configuration
    x = configured(how, dtype)
    with torch.no_grad():
        state = OPS.forward(*x, mask, bias, seed, *numbers, 1)
    wanted = [True, False, True, True, True, bias is not None]
    arguments = (normal(x[0].shape, dtype), *x, mask, bias, seed, *state, *numbers, wanted)
    # Second derivatives of dropout are refused; those of low precision would be compared with themselves, rounded elsewhere.
    differentiable = how.get("grad", False) and dtype == torch.float64
    utils = ["test_schema", "test_autograd_registration", "test_faketensor"]
    utils += ["test_aot_dispatch_dynamic"] if differentiable else []
    torch.library.opcheck(OPS.backward.default, arguments, test_utils=utils)


@pytest.mark.parametrize("wanted", [[i == j for j in range(6)] for i in range(6)] + [[False] * 6])
def test_backward_returns_what_is_wanted(wanted):
    x, bias = operands(), normal(SIZES[2:5])
    numbers = (0.3, 0.0, 0.0, 0.0, 1)
    state = OPS.forward(*x, None, bias, None, *numbers, 1)
    dy = normal(x[0].shape)
    whole = OPS.backward(dy, *x, None, bias, None, *state, *numbers, [True] * 6)
    some = OPS.backward(dy, *x, None, bias, None, *state, *numbers, wanted)
    assert len(some) == sum(wanted)
    assert all(torch.equal(one, other) for one, other in zip(some, [t for t, w in zip(whole, wanted) if w]))


def test_make_fx():
    def step(mask, *x):
        x = [t.detach().requires_grad_() for t in x]
        return torch.autograd.grad(floyd_attention(*x, mask).sum(), x)

    x = [random_mask(), *operands()]

    for mode in ("real", "fake", "symbolic"):
        traced = make_fx(step, tracing_mode=mode)(*x)
        called = [node.target for node in traced.graph.nodes if node.op == "call_function"]
        assert called.count(OPS.forward.default) == called.count(OPS.backward.default) == 1
        assert all(torch.equal(one, other) for one, other in zip(traced(*x), step(*x)))


# ---- export --------------------------------------------------------------------------------------------


def test_export():
    x, mask = operands(torch.float32), random_mask()
    exported = torch.export.export(Attention(softmax_cap=2.0), (*x, mask))
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    assert torch.equal(loaded(*x, mask), Attention(softmax_cap=2.0)(*x, mask))


def test_export_with_dynamic_sizes():
    B, H, N, M = (torch.export.Dim(name, min=2, max=100) for name in "BHNM")
    K, D = SIZES[4:]  # of the bias; and of the scale, which is a number of the graph
    shapes = ({0: B, 1: H, 2: N, 3: M}, {0: B, 1: H, 2: N}, {0: B, 1: H, 2: N}, {0: B, 1: H, 3: M}, {0: B, 1: H, 3: M})
    module = Attention()
    exported = torch.export.export(module, tuple(operands(torch.float32)), dynamic_shapes=shapes).module()
    for sizes in [SIZES, (3, 2, 25, 4, K, D), (2, 5, 3, 49, K, D)]:
        x = operands(torch.float32, sizes)
        assert torch.equal(exported(*x), module(*x))


def test_export_of_dropout():
    x = operands(torch.float32)
    exported = torch.export.export(Attention(dropout=0.5), tuple(x)).module()
    torch.manual_seed(1)
    first, second = exported(*x), exported(*x)
    torch.manual_seed(1)
    assert torch.equal(first, Attention(dropout=0.5)(*x)) and not torch.equal(first, second)


# ---- autocast ------------------------------------------------------------------------------------------


def autocast(dtype=torch.bfloat16):
    return torch.autocast("cpu", dtype=dtype)


def run_and_grad(x, mask, bias, given):
    x, bias = [t.detach().requires_grad_() for t in x], bias.detach().requires_grad_()
    y = floyd_attention(*[t.to(given) for t in x], mask, bias=bias)
    return [y, *torch.autograd.grad(y, [*x, bias], normal(y.shape, y.dtype))]


@pytest.mark.parametrize("to", [torch.bfloat16, torch.float16])
def test_autocast(to):
    x, mask, bias = operands(torch.float32), random_mask(), normal(SIZES[2:5], torch.float32)
    with autocast(to):
        results = run_and_grad(x, mask, bias, torch.float32)
    assert results[0].dtype == to and all(t.dtype == torch.float32 for t in results[1:])
    assert all(torch.equal(one, other) for one, other in zip(results, run_and_grad(x, mask, bias, to)))


def test_autocast_leaves_fp64_alone():
    x, mask, bias = operands(), random_mask(), normal(SIZES[2:5])
    with autocast():
        results = run_and_grad(x, mask, bias, torch.float64)
    assert all(t.dtype == torch.float64 for t in results)
    assert all(torch.equal(one, other) for one, other in zip(results, run_and_grad(x, mask, bias, torch.float64)))


def test_autocast_of_mixed_operands():
    """As they come from layers of which autocast runs some in fp32."""
    x = operands(torch.float32)
    mixed = [x[0].half(), x[1].bfloat16(), *x[2:]]
    with autocast():
        y = floyd_attention(*mixed)
        with pytest.raises(TypeError, match="k1 has dtype torch.float64"):
            floyd_attention(mixed[0], x[1].double(), *mixed[2:])
    assert torch.equal(y, floyd_attention(*[t.bfloat16() for t in mixed]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_autocast_of_biases(dtype):
    x, bias = operands(torch.float32), normal(SIZES[2:5], dtype).requires_grad_()
    with autocast():
        y = floyd_attention(*x, bias=bias)
    y.sum().backward()
    kept = bias.detach() if dtype == torch.float32 else bias.detach().bfloat16()
    assert bias.grad.dtype == dtype and torch.equal(y, floyd_attention(*[t.bfloat16() for t in x], bias=kept))


def test_autocast_below_torch_func():
    x = operands(torch.float32)

    def total(*x):
        return floyd_attention(*x).float().sum()

    wanted = torch.func.grad(lambda *x: total(*[t.bfloat16() for t in x]), argnums=tuple(range(5)))(*x)
    with autocast():
        got = torch.func.grad(total, argnums=tuple(range(5)))(*x)
        samples = torch.func.vmap(torch.func.grad(total), in_dims=(0, None, None, None, None))(x[0][None], *x[1:])
    assert all(torch.equal(one, other) for one, other in zip(got, wanted)) and torch.equal(samples[0], wanted[0])


def test_second_derivatives_under_autocast():
    """fp64 tensors beside fp32 ones are not rounded on the way."""
    x = operands(sizes=SMALL, grad=True)
    with autocast():
        assert torch.autograd.gradgradcheck(floyd_attention, x, fast_mode=True)


def test_second_derivatives_of_fp32_under_autocast():
    """What is differentiated a second time is not rounded to half types."""
    found = []
    for enabled in (False, True):
        x = operands(torch.float32, SMALL, grad=True)
        with torch.autocast("cpu", enabled=False):
            first = torch.autograd.grad(floyd_attention(*x).sum(), x, create_graph=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            found.append(torch.autograd.grad(sum(t.square().sum() for t in first), x))
    for plain, under in zip(*found):
        assert torch.equal(plain, under)


def test_autocast_and_back():
    """A model's layers: autocast outside, an fp32 island inside."""
    x = operands(torch.float32)
    with autocast():
        with torch.autocast("cpu", enabled=False):
            y = floyd_attention(*x)
    naive_y = formula(x)[0]["y"]
    assert name_of(y.dtype) == "float32" and (abs(array(y) - naive_y) <= 2.0**-17 * abs(naive_y).max()).all()


# ---- modules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["deepcopy", "pickle"])
def test_copies_of_a_module(copied):
    module, x = Attention(), operands(torch.float32)
    assert torch.equal(copied(module)(*x), module(*x))


def test_training_a_module():
    """Gradient steps bring the output to where another bias has it."""
    x, mask, wanted, module = operands(torch.float32), random_mask(SIZES[2:5]), Attention(), Attention()
    module.bias.data.zero_()
    target = wanted(*x, mask).detach()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (module(*x, mask) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 100
