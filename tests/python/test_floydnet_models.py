# SPDX-License-Identifier: Apache-2.0
"""patch_floydnet(): the blocks of the installed floydnet before, during and after."""

import pytest

torch = pytest.importorskip("torch")
floydnet = pytest.importorskip("floydnet")

import floydnet.functional
import floydnet.transformer
from floydnet import PivotalAttentionBlock
from tensors import normal, random_mask

import floydattn.floydnet as ours
from floydattn import patch_floydnet, pivotal_attention


def block(**options):
    torch.manual_seed(0)
    made = PivotalAttentionBlock(32, 4, **options)
    for parameter in made.parameters():  # some of which start as 0
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def run_block(made, x, mask):
    x = x.clone().requires_grad_()
    made.zero_grad()
    y = made(x, mask)
    y.square().sum().backward()
    return [y.detach(), x.grad, *(parameter.grad for parameter in made.parameters())]


@pytest.mark.parametrize("options", [{}, {"norm_position": "post", "bias": True}, {"enable_symmetric_mix": False}], ids=str)
@pytest.mark.parametrize("mask", [None, random_mask((2, 1, 7, 1, 7), 0.3), normal((7, 7), torch.float32)])
def test_patched_block(options, mask):
    made, x = block(**options), normal((2, 7, 7, 32), torch.float32)
    wanted = run_block(made, x, mask)
    with patch_floydnet():
        assert floydnet.transformer.pivotal_attention is pivotal_attention
        got = run_block(made, x, mask)
    for one, other in zip(got, wanted):
        assert ((one - other).abs() <= 1e-5 * other.abs().max()).all()
    assert not all(torch.equal(one, other) for one, other in zip(got, wanted))  # others' sums, in another order


def test_patched_block_compiles():
    made, x = block(), normal((2, 7, 7, 32), torch.float32)
    with patch_floydnet():
        wanted = run_block(made, x, None)
        compiled = torch.compile(made, backend="aot_eager", fullgraph=True)
        assert all(torch.equal(one, other) for one, other in zip(run_block(compiled, x, None), wanted))


def test_patched_block_trains_with_dropout():
    made, x = block(dropout=0.3), normal((2, 7, 7, 32), torch.float32)
    with patch_floydnet():
        torch.manual_seed(1)
        first = run_block(made.train(), x, None)
        torch.manual_seed(1)
        assert torch.equal(first[0], run_block(made, x, None)[0])
        assert not torch.equal(first[0], run_block(made, x, None)[0])
        assert torch.equal(run_block(made.eval(), x, None)[0], run_block(made, x, None)[0])


PLACES = [(floydnet, "pivotal_attention"), (floydnet, "pivotal_attention3"), (floydnet.functional, "pivotal_attention"),
          (floydnet.functional, "pivotal_attention3"), (floydnet.transformer, "pivotal_attention")]  # fmt: skip


def in_place():
    return [getattr(module, name) for module, name in PLACES]


def test_patch_and_undo():
    before = in_place()
    patch = patch_floydnet()
    assert in_place() == [getattr(ours, name) for _, name in PLACES]
    inner = patch_floydnet()
    inner.undo()
    assert in_place() == [getattr(ours, name) for _, name in PLACES]
    patch.undo()
    patch.undo()
    assert in_place() == before
    with pytest.raises(KeyError), patch_floydnet():
        raise KeyError
    assert in_place() == before
