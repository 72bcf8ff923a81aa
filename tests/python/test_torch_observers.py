# SPDX-License-Identifier: Apache-2.0
"""Whoever watches or changes PyTorch's operators sees these, too, though a plain call goes to the library directly."""

import pytest

torch = pytest.importorskip("torch")

from tensors import operands
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from floydattn import floyd_attention

FORWARD, BACKWARD = torch.ops.floydattn.forward.default, torch.ops.floydattn.backward.default


def both_passes(x):
    y = floyd_attention(*x)
    return y, torch.autograd.grad(y, x, torch.ones_like(y))


def test_dispatch_mode():
    class Watch(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.seen = []

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.seen.append(function)
            return function(*args, **(kwargs or {}))

    with Watch() as watch:
        both_passes(operands(grad=True))
    assert watch.seen.count(FORWARD) == 1 and watch.seen.count(BACKWARD) == 1
    with Watch() as watch, torch.no_grad():
        floyd_attention(*operands())
    assert watch.seen.count(FORWARD) == 1


def test_function_mode():
    class Watch(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.seen = []

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.seen.append(function)
            return function(*args, **(kwargs or {}))

    with Watch() as watch:
        floyd_attention(*operands())
    assert FORWARD in watch.seen


@pytest.mark.parametrize("grad", (False, True))
def test_profiler(grad):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        both_passes(operands(grad=True)) if grad else floyd_attention(*operands())
    names = [event.name for event in profile.events()]
    assert names.count("floydattn::forward") == 1
    assert names.count("floydattn::backward") == (1 if grad else 0)


def test_tensors_of_a_subclass():
    class Watched(torch.Tensor):
        seen = []

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            cls.seen.append(function)
            return super().__torch_function__(function, types, args, kwargs or {})

    x = operands()
    y = floyd_attention(x[0].as_subclass(Watched), *x[1:])
    assert FORWARD in Watched.seen
    assert torch.equal(torch.Tensor(y), floyd_attention(*x))


def test_saved_tensors_hooks():
    packed = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t) or t, lambda t: t):
        both_passes(operands(grad=True))
    assert len(packed) >= 8  # the operands, y, max and sum
