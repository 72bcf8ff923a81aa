# SPDX-License-Identifier: Apache-2.0
"""floyd_attention() under torch.compile: one graph, for any sizes, with the bits that it has without."""

import shutil

import pytest

torch = pytest.importorskip("torch")

from tensors import SIZES, normal, operands, random_mask
from torch._dynamo.eval_frame import _debug_get_cache_entry_list
from torch._dynamo.testing import CompileCounterWithBackend

from floydattn import floyd_attention

# torch 2.13 does not quote the paths in what it has a compiler do.
inductor = pytest.mark.skipif(" " in torch.__file__, reason="Inductor cannot link in a directory with a space in its name")

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="Inductor needs a C++ compiler")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("inductor"))


@pytest.fixture(autouse=True)
def fresh(cache, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", cache)
    torch._dynamo.reset()


def step(x, mask, bias, **options):
    """Value and gradients of what a layer does."""
    x, bias = [t.detach().requires_grad_() for t in x], bias.detach().requires_grad_()
    y = options.pop("function", layer)(x, mask, bias, **options)
    return [y.detach(), *torch.autograd.grad(y, [*x, bias], normal(y.shape, y.dtype))]


def layer(x, mask, bias, **options):
    q = x[0] * 2.0
    heads_inside = floyd_attention(q, *x[1:], mask, bias=bias, **options).permute(0, 2, 3, 1, 4)
    return heads_inside.reshape(*heads_inside.shape[:3], -1)


def same(some, others):
    return all(torch.equal(one, other) for one, other in zip(some, others))


def given(sizes, dtype=torch.float32):
    return operands(dtype, sizes), random_mask((sizes[0], 1, sizes[2], 1, sizes[4])), normal(sizes[2:5], dtype)


# The head size is a constant of a graph, by way of the scale: PyTorch compiles for each number that an operator is given.
MANY = [SIZES, (2, 3, 6, 7, 11, 8), (3, 3, 24, 25, 12, 8), (4, 3, 10, 9, 48, 8), (5, 3, 23, 24, 49, 8)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_static(dtype):
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(layer, backend=counter, fullgraph=True, dynamic=False)
    for _ in range(3):
        assert same(step(*given(SIZES, dtype), function=compiled), step(*given(SIZES, dtype)))
    assert counter.frame_count == 1
    called = [node.target for node in counter.graphs[0].graph.nodes if node.op == "call_function"]
    assert called.count(torch.ops.floydattn.forward.default) == 1


@pytest.mark.parametrize("dynamic", [True, None])
def test_one_graph_for_many_sizes(dynamic):
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=dynamic)
    for sizes in MANY:
        assert same(step(*given(sizes), function=compiled), step(*given(sizes)))
    # Without dynamic=True sizes become dynamic once they are seen to change: first N, then the others.
    assert 1 <= len(_debug_get_cache_entry_list(layer.__code__)) <= (1 if dynamic else 3)


def test_other_numbers_and_head_sizes_are_noticed():
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=True)
    for i, D in enumerate([8, 8, 4]):
        options, x = {"scale": 0.1 + 0.2 * i, "softmax_cap": 1.0 + i}, given((*SIZES[:5], D))
        assert same(step(*x, function=compiled, **options), step(*x, **options))


def test_permuted_operands():
    compiled = torch.compile(lambda *x: floyd_attention(*x), backend="aot_eager", fullgraph=True)
    x = [t.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4) for t in operands()]
    assert compiled(*x).stride() == floyd_attention(*x).stride() and torch.equal(compiled(*x), floyd_attention(*x))


def test_errors_are_those_of_eager():
    compiled = torch.compile(lambda *x: floyd_attention(*x), backend="eager")
    x = operands()
    with pytest.raises(ValueError, match="v2 has shape"):
        compiled(*x[:4], x[4][..., :2])


def test_autocast():
    def cast(x, mask, bias):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(x, mask, bias)

    compiled = torch.compile(cast, backend="aot_eager", fullgraph=True)
    x, mask, bias = given(SIZES)
    results = step(x, mask, bias, function=compiled)
    assert results[0].dtype == torch.bfloat16 and same(results, step(x, mask, bias, function=cast))


def test_torch_func_within():
    def gradients(x):
        return torch.func.vmap(torch.func.grad(lambda q: floyd_attention(q, *x[1:]).sum()))(torch.stack([x[0]] * 2))

    # Dynamo leaves it to eager.
    compiled = torch.compile(gradients, backend="aot_eager")
    assert torch.equal(compiled(operands()), gradients(operands()))


# ---- with Inductor -------------------------------------------------------------------------------------


@needs_compiler
@inductor
def test_inductor_trains_any_sizes():
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for sizes in MANY[1:]:
        assert same(step(*given(sizes), function=compiled), step(*given(sizes)))


@needs_compiler
@inductor
def test_inductor_drops_what_eager_drops():
    def two(x, mask, bias):
        return layer(x, mask, bias, dropout=0.5) + 2 * layer(x, mask, bias, dropout=0.5)

    compiled = torch.compile(two, fullgraph=True)
    results = []
    for function in (compiled, two, compiled):
        torch.manual_seed(11)
        results.append(step(*given(SIZES), function=function))
    assert same(results[0], results[1]) and same(results[0], results[2])
    # The two layers drop different weights: the sum of their outputs is not three of one.
    torch.manual_seed(11)
    once = layer(*given(SIZES), dropout=0.5)
    assert not torch.equal(results[0][0], once + 2 * once)


@needs_compiler
@inductor
def test_inductor_keeps_layouts():
    """The backward gets operands as the forward had them, and permuted results stay where they are."""
    def heads(x):
        x = [t.view(*t.shape[:3], 3, 8).permute(0, 3, 1, 2, 4) for t in x.chunk(5, dim=-1)]
        return floyd_attention(*x).permute(0, 2, 3, 1, 4).flatten(3)

    x = normal((2, 6, 6, 5 * 3 * 8), torch.float32).requires_grad_()
    compiled = torch.compile(heads, fullgraph=True)
    for _ in range(2):
        got, wanted = (torch.autograd.grad(function(x).square().sum(), x)[0] for function in (compiled, heads))
        # Squares and their sum may be in another order; the operator's bits are not.
        assert ((got - wanted).abs() <= 2.0**-20 * wanted.abs().max()).all()
