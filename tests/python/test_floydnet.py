# SPDX-License-Identifier: Apache-2.0
"""pivotal_attention() and pivotal_attention3() against the installed floydnet."""

import inspect
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("floydnet")

import floydnet.functional as theirs
from tensors import SIZES, normal, operands, pattern, random_mask
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

import floydattn.floydnet as ours
from floydattn import pivotal_attention, pivotal_attention3

SIZES3 = (2, 2, 4, 3, 5, 6, 4)  # B, H, I, J, K, P, D


def pair(dtype=torch.float64, sizes=SIZES):
    """In floydnet's order: q_ik, k_ij, k_jk, v_ij, v_jk."""
    q, k1, v1, k2, v2 = operands(dtype, sizes)
    return [q, k1, k2, v1, v2]


def triple(dtype=torch.float64, sizes=SIZES3):
    B, H, I, J, K, P, D = sizes
    edges = [(P, J, K), (I, P, K), (I, J, P)] * 2
    return [normal((B, H, *shape, D), dtype, i) for i, shape in enumerate([(I, J, K), *edges])]


FUNCTIONS = {
    "pivotal_attention": (pivotal_attention, theirs.pivotal_attention, pair, SIZES[:5]),
    "pivotal_attention3": (pivotal_attention3, theirs.pivotal_attention3, triple, SIZES3[:6]),
}
both = pytest.mark.parametrize("functions", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def value_and_gradients(function, x, mask, options):
    x = [t.detach().requires_grad_() for t in x]
    leaves = list(x)
    if mask is not None and mask.is_floating_point():
        mask = mask.detach().requires_grad_()
        leaves.append(mask)
    y = function(*x, attn_mask=mask, **options)
    return [y.detach(), *torch.autograd.grad(y, leaves, normal(y.shape, y.dtype, 5))]


def agree(functions, x, mask=None, **options):
    """fp64 sums of some hundred terms, in two orders; what is not finite is so in both."""
    own, other = functions[:2]
    for got, wanted in zip(value_and_gradients(own, x, mask, options), value_and_gradients(other, x, mask, options)):
        assert got.shape == wanted.shape and got.dtype == wanted.dtype
        finite = wanted.isfinite()
        assert torch.equal(finite, got.isfinite())
        near(got[finite], wanted[finite], 2.0**-43)


def near(got, wanted, unit):
    largest = wanted.abs().max().item() if wanted.numel() else 0.0
    assert ((got - wanted).abs() <= unit * max(largest, 1.0)).all()


@both
def test_signatures(functions):
    own, other = (inspect.signature(function).parameters.values() for function in functions[:2])
    assert [(p.name, p.default, p.kind) for p in own] == [(p.name, p.default, p.kind) for p in other]


@both
@pytest.mark.parametrize("options", [{}, {"scale": -0.3}, {"scale": 0.0}, {"softmax_cap": 1.5}, {"softmax_cap": 0}], ids=str)
def test_without_a_mask(functions, options):
    agree(functions, functions[2](), **options)


@both
@pytest.mark.parametrize("inf", [1e9, 3.0, 0.0, -2.0, math.inf, 1e300, 3])
@pytest.mark.parametrize("cap", [-1, 2.0])
def test_boolean_masks(functions, inf, cap):
    own, other, make, full = functions
    mask = random_mask(full)
    mask[..., 0] = False
    agree(functions, make(), mask, inf=inf, softmax_cap=cap)


@both
@pytest.mark.parametrize("inf", [1e9, 3.0, 0.0, -2.0])
def test_fully_masked_rows(functions, inf):
    mask = random_mask(functions[3])
    mask[:, :, 1] = True
    agree(functions, functions[2](), mask, inf=inf)


@both
def test_infinite_fill_of_whole_rows_is_nan(functions):
    mask = torch.zeros(functions[3], dtype=torch.bool)
    mask[:, :, 1, 2] = True
    options = {"attn_mask": mask, "inf": math.inf}
    got, wanted = (function(*functions[2](), **options) for function in functions[:2])
    assert torch.equal(got.isnan(), wanted.isnan()) and got[:, :, 1, 2].isnan().all()
    near(got[~got.isnan()], wanted[~got.isnan()], 2.0**-43)


@both
@pytest.mark.parametrize("cap", [-1, 2.0])
def test_additive_masks_and_their_gradients(functions, cap):
    agree(functions, functions[2](), normal(functions[3], seed=7), softmax_cap=cap)
    holes = torch.zeros(functions[3], dtype=torch.float64).masked_fill(random_mask(functions[3], 0.3), -math.inf)
    holes[..., 0] = 0
    agree(functions, functions[2](), holes, softmax_cap=cap)


@both
@pytest.mark.parametrize("kept", ["bi", "hk", "last", "none", "fewer axes", "one axis"])
def test_broadcast_masks(functions, kept):
    full = functions[3]
    axes = {"bi": (0, 2), "hk": (1, 3), "last": (len(full) - 1,), "none": ()}.get(kept, range(len(full)))
    shape = [size if axis in axes else 1 for axis, size in enumerate(full)]
    shape = {"fewer axes": full[3:], "one axis": full[-1:]}.get(kept, shape)
    agree(functions, functions[2](), normal(shape, seed=7))
    mask = random_mask(shape, 0.3)
    agree(functions, functions[2](), mask)
    agree(functions, functions[2](), mask.expand(full))


@both
def test_masks_of_whole_numbers_are_added(functions):
    for dtype in (torch.uint8, torch.int64):
        mask = random_mask(functions[3]).to(dtype) * 3
        got, wanted = (function(*functions[2](), attn_mask=mask) for function in functions[:2])
        near(got, wanted, 2.0**-43)


@both
def test_single_precision(functions):
    mask = normal(functions[3], torch.float32)
    x = functions[2](torch.float32)
    results = [value_and_gradients(function, x, mask, {}) for function in functions[:2]]
    for got, wanted in zip(*results):
        assert got.dtype == torch.float32
        near(got, wanted, 2.0**-17)


def test_half_and_wide_masks_beside_single_precision():
    for dtype in (torch.bfloat16, torch.float64):
        mask = normal(SIZES[:5], torch.bfloat16).to(dtype).requires_grad_()
        got = pivotal_attention(*pair(torch.float32), attn_mask=mask)
        wanted = theirs.pivotal_attention(*pair(torch.float32), attn_mask=mask.float())
        near(got, wanted, 2.0**-17)
        gradients = [torch.autograd.grad(y, mask, torch.ones_like(y))[0] for y in (got, wanted)]
        assert gradients[0].dtype == dtype
        near(*gradients, 2.0**-8 if dtype == torch.bfloat16 else 2.0**-17)


@both
@pytest.mark.parametrize("inf", [3.0, 0.0])
def test_second_derivatives(functions, inf):
    sizes = (1, 1, 3, 2, 4, 2) if functions[2] is pair else (1, 1, 2, 2, 2, 3, 2)
    x = [t.requires_grad_() for t in functions[2](sizes=sizes)]
    mask = random_mask(sizes[:-1])
    assert torch.autograd.gradgradcheck(lambda *x: functions[0](*x, attn_mask=mask, inf=inf), x, fast_mode=True)


@both
def test_torch_func(functions):
    own, other, make, full = functions
    x, mask, q = make(), random_mask(full), torch.stack([make()[0], 2 * make()[0]])
    for mapped in (lambda f: torch.func.vmap(lambda q: f(q, *x[1:], attn_mask=mask)),
                   lambda f: torch.func.vmap(torch.func.grad(lambda q: f(q, *x[1:], attn_mask=mask).square().sum()))):  # fmt: skip
        near(mapped(own)(q), mapped(other)(q), 2.0**-43)


@both
def test_compiled(functions):
    x = functions[2]()
    compiled = torch.compile(lambda *x: functions[0](*x), backend="aot_eager", fullgraph=True)
    for got, wanted in zip(*(value_and_gradients(f, x, None, {}) for f in (lambda *x, attn_mask: compiled(*x), functions[0]))):
        assert torch.equal(got, wanted)


@both
def test_autocast(functions):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = [value_and_gradients(function, functions[2](torch.float32), None, {}) for function in functions[:2]]
    for got, wanted in zip(*results):
        assert got.dtype == wanted.dtype
        near(got.float(), wanted.float(), 2.0**-4)  # theirs has scores of 8 bits


@both
def test_sizes(functions):
    sizes = [(1, 1, 23, 25, 49, 4), (1, 2, 24, 1, 48, 8), (2, 1, 1, 24, 1, 3)]
    sizes3 = [(1, 1, 1, 1, 1, 1, 1), (1, 2, 5, 1, 3, 7, 2), (2, 1, 2, 9, 1, 1, 3)]
    for size in sizes if functions[2] is pair else sizes3:
        agree(functions, functions[2](sizes=size), random_mask(size[:-1], 0.2))


@both
def test_without_any_pivot_or_row(functions):
    full = [*SIZES] if functions[2] is pair else [*SIZES3]
    for axis in range(len(full)):
        sizes = [0 if i == axis else size for i, size in enumerate(full)]
        x = [t.requires_grad_() for t in functions[2](sizes=sizes)]
        y = functions[0](*x)
        assert y.shape == x[0].shape and (y == 0).all()
        y.sum().backward()
        assert all(t.grad is None or (t.grad == 0).all() for t in x)


# ---- dropout -------------------------------------------------------------------------------------------


def test_dropout_drops_weights_whole():
    """As floydnet does: with probability p a weight becomes 0, else 1/(1-p) of itself."""
    sizes = (2, 2, 10, 12, 30, 1)
    for function in (pivotal_attention, theirs.pivotal_attention):
        keep = pattern(lambda q, k1, v1, k2, v2: function(q, k1, k2, v1, v2, dropout=0.3), sizes).double()
        assert abs(keep.mean() - 0.7) <= 6 * math.sqrt(0.21 / keep.numel())
        values = function(*[torch.zeros_like(t) if i < 3 else torch.ones_like(t) / 2 for i, t in enumerate(pair(sizes=sizes))],
                          dropout=0.3)  # fmt: skip
        # Rows are the share that was kept, of 30 weights.
        assert abs(values.mean() - 1) <= 6 * math.sqrt(0.3 / 0.7 / 30 / values.numel())
        assert abs(values.var() * 30 / (0.3 / 0.7) - 1) <= 6 * math.sqrt(2 / values.numel()) * 1.2


@both
def test_dropout_follows_the_seed(functions):
    results = []
    for _ in range(2):
        torch.manual_seed(4)
        results.append(value_and_gradients(functions[0], functions[2](), None, {"dropout": 0.4}))
    assert all(torch.equal(one, other) for one, other in zip(*results))
    assert not torch.equal(results[0][0], functions[0](*functions[2](), dropout=0.4))


@both
@pytest.mark.parametrize("scores", [1, 1 << 24])
def test_dropout_of_the_backward_is_that_of_the_forward(functions, scores, monkeypatch):
    """y is linear in the values, so that dy.y = sum of v.dv for one pattern."""
    monkeypatch.setattr(ours, "_SCORES", scores)
    x = [t.requires_grad_() for t in functions[2]()]
    values = x[3:] if len(x) == 5 else x[4:]
    y = functions[0](*x, dropout=0.4)
    dy = normal(y.shape, seed=5)
    gradients = torch.autograd.grad(y, values, dy)
    near(sum((t * g).sum() for t, g in zip(values, gradients)).detach(), (y * dy).sum().detach(), 2.0**-43)


# ---- pivotal_attention3 in steps -----------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("mask", [None, random_mask(SIZES3[:6]), normal(SIZES3[3:6], seed=7), random_mask((4, 1, 1, 6))], ids=str)
def test_steps(rows, mask, monkeypatch):
    B, H, _, J, K, P, _ = SIZES3
    monkeypatch.setattr(ours, "_SCORES", rows * B * H * J * K * P)
    agree(FUNCTIONS["pivotal_attention3"], triple(), mask)


class Peak(TorchDispatchMode):
    """The most bytes that results of operations held at once."""

    def __init__(self):
        super().__init__()
        self.alive, self.most = {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for t in torch.utils._pytree.tree_leaves(result):
            if isinstance(t, torch.Tensor):
                storage = t.untyped_storage()
                self.alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.alive = {key: one for key, one in self.alive.items() if not one[0].expired()}
        self.most = max(self.most, sum(size for _, size in self.alive.values()))
        return result


def test_memory_of_steps(monkeypatch):
    """Scores of one i at a time, forward and backward; theirs are of all."""
    rows, scores, operand = 32, 8 * 12**3, 8 * 32 * 12**2
    monkeypatch.setattr(ours, "_SCORES", 1)
    peaks = []
    for function in (pivotal_attention3, theirs.pivotal_attention3):
        x = [t.requires_grad_() for t in triple(sizes=(1, 1, rows, 12, 12, 12, 1))]
        with Peak() as peak:
            function(*x).sum().backward()
        peaks.append(peak.most)
    # Gradients of seven operands, sums of them, the result and its gradient; a dozen buffers of one i's scores.
    assert peaks[0] <= 12 * operand + 12 * scores < 4 * rows * scores < peaks[1]


# ---- refusals ------------------------------------------------------------------------------------------

NAMES = {"pivotal_attention": ("q_ik", "k_ij", "k_jk", "v_ij", "v_jk"),
         "pivotal_attention3": ("q_ijk", "k_pjk", "k_ipk", "k_ijp", "v_pjk", "v_ipk", "v_ijp")}  # fmt: skip


@pytest.mark.parametrize("function", NAMES)
def test_wrong_operands(function):
    own, _, make, _ = FUNCTIONS[function]
    for place, name in enumerate(NAMES[function]):
        for value, error, text in [(None, TypeError, f"{name} is a NoneType"), (make()[place][0], ValueError, f"{name} has shape")]:
            with pytest.raises(error, match=text):
                own(*[value if i == place else t for i, t in enumerate(make())])
        with pytest.raises(ValueError, match="has shape" if place < 2 else f"{name} has shape"):
            own(*[t[..., :-1] if i == place else t for i, t in enumerate(make())])


@both
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"attn_mask": 3}, TypeError, "attn_mask is a int"),
        ({"attn_mask": torch.zeros(9)}, ValueError, "attn_mask has shape"),
        ({"attn_mask": torch.zeros(9, dtype=torch.bool)}, ValueError, "attn_mask has shape"),
        ({"attn_mask": torch.zeros(1, 1, 1, 1, 1, 1, 1)}, ValueError, "attn_mask has shape"),
        ({"inf": None}, TypeError, "inf is a NoneType"),
        ({"inf": math.nan}, ValueError, "inf is nan"),
        ({"softmax_cap": "1"}, TypeError, "softmax_cap is a str"),
        ({"softmax_cap": math.nan}, ValueError, "softmax_cap is nan"),
        ({"dropout": 2.0}, ValueError, "dropout is 2"),
        ({"dropout": None}, TypeError, "dropout is a NoneType"),
        ({"scale": "1"}, TypeError, "scale is a str"),
    ],
)
def test_wrong_options(functions, options, error, text):
    with pytest.raises(error, match=text):
        functions[0](*functions[2](), **options)


def test_complex_masks():
    with pytest.raises(TypeError, match="attn_mask has dtype torch.complex"):
        pivotal_attention(*pair(), attn_mask=torch.zeros(SIZES[:5], dtype=torch.complex64))


def test_fill_of_0_where_denormals_are_flushed():
    """As PyTorch's compiled code leaves a process: 0 must not be taken for no fill at all."""
    mask = random_mask(SIZES[:5])
    mask[:, :, 1] = True
    wanted = pivotal_attention(*pair(), attn_mask=mask, inf=0.0)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        got = pivotal_attention(*pair(), attn_mask=mask, inf=0.0)
    finally:
        torch.set_flush_denormal(False)
    assert torch.equal(got, wanted)
