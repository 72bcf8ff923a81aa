# SPDX-License-Identifier: Apache-2.0
"""Operands of floyd_attention() as PyTorch tensors, and its results against the formula."""

import naive
import torch

from floydattn import floyd_attention

SIZES = (2, 3, 5, 7, 11, 8)  # B, H, N, M, K, D
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
NAMES = ("q", "k1", "v1", "k2", "v2")


def shapes(sizes=SIZES):
    B, H, N, M, K, D = sizes
    return [(B, H, N, M, D), (B, H, N, K, D), (B, H, N, K, D), (B, H, K, M, D), (B, H, K, M, D)]


def normal(shape, dtype=torch.float64, seed=1):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def operands(dtype=torch.float64, sizes=SIZES, seed=0, grad=False):
    return [normal(shape, dtype, 10 * seed + i).requires_grad_(grad) for i, shape in enumerate(shapes(sizes))]


def random_mask(shape=SIZES[:5], share=0.4, seed=2):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


def array(t):
    return t if t is None else t.detach().double().numpy()


def name_of(dtype):
    return str(dtype).split(".")[1]


def formula(x, mask=None, bias=None, *, keep=None, dy=None, y=None, mask_rule="zero_grad", **numbers):
    arrays = [array(t) for t in (*x, mask, bias)]
    return naive.attention(*arrays, keep=array(keep), dy=array(dy), y=array(y), zero_grad=mask_rule == "zero_grad", **numbers)


def agree(results, dtype, wanted):
    """Tensors, by name, of operands of this type, with the formula's."""
    for name, got in results.items():
        naive.check(name, array(got), name_of(got.dtype), naive.sums_of(name_of(dtype)), wanted)


def check(x, mask=None, bias=None, *, keep=None, **options):
    """The value and every gradient of floyd_attention() against the formula. Returns them."""
    x = [t.detach().requires_grad_() for t in x]
    bias = bias if bias is None else bias.detach().requires_grad_()
    y = floyd_attention(*x, mask, bias=bias, **options)
    dy = normal(y.shape, y.dtype)
    sources = dict(zip(naive.GRADIENTS, x if bias is None else [*x, bias]))
    results = {"y": y, **dict(zip(sources, torch.autograd.grad(y, list(sources.values()), dy)))}
    dtype = x[0].dtype
    assert y.dtype == dtype and all(results[name].dtype == t.dtype for name, t in sources.items())
    agree(results, dtype, formula(x, mask, bias, keep=keep, dy=dy, y=y, **options))
    return results


def pattern(draw, sizes=SIZES):
    """
    What dropout keeps, [B,H,N,M,K]: where q is 0 every weight is 1/K, and v1[n,k] of 1 at d = k hands weight k to y[n,m,k].
    draw(*operands) is a call of that dropout.
    """
    B, H, N, M, K, _ = sizes
    q, k1, v1, k2, v2 = (torch.zeros(shape, dtype=torch.float64) for shape in shapes((B, H, N, M, K, K)))
    return draw(q, k1, v1 + torch.eye(K), k2, v2) > 0
