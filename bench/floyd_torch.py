#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What the operator costs from PyTorch. In an environment with floydattn, torch and floydnet:

    bench/floyd_torch.py overhead    one small call; and what the layers above the library add at FloydNet's size, beside the least
    bench/floyd_torch.py mixed       a training loop of linear layers and attention, beside the sum of its parts alone
    bench/floyd_torch.py limit       the largest N at which a FloydNet block trains in 4 GiB, with its own einsums and with ours

Times are minimum and median of several turns.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import floydattn
from floydattn import _native
from floydattn.torch import _operator, floyd_attention


def machine() -> str:
    with open("/proc/cpuinfo") as lines:
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {torch.get_num_threads()} threads, torch {torch.__version__}, floydattn {floydattn.__version__}"


def seconds_of(step: Callable[[], object], repeat: int) -> float:
    start = time.perf_counter()
    for _ in range(repeat):
        step()
    return (time.perf_counter() - start) / repeat


def turns(steps: dict[str, Callable[[], object]], repeat: int, count: int) -> dict[str, list[float]]:
    """Everyone in turn, so that a noisy neighbour troubles all alike."""
    for step in steps.values():
        seconds_of(step, max(1, repeat // 10))
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            found[name].append(seconds_of(step, repeat))
    return found


def show(found: dict[str, list[float]]) -> None:
    for name, times in found.items():
        print(f"{name:>44}: {min(times) * 1e6:10.1f} us  median {statistics.median(times) * 1e6:10.1f} us")


def operands(B: int, H: int, N: int, M: int, K: int, D: int) -> list[Tensor]:
    shapes = ((B, H, N, M, D), (B, H, N, K, D), (B, H, N, K, D), (B, H, K, M, D), (B, H, K, M, D))
    return [torch.randn(shape) for shape in shapes]


# ---- overhead ------------------------------------------------------------------------------------------------------


class Inside:
    """Measures how long the library's own functions run, workspace queries apart; and keeps each one's last arguments."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.last: dict[str, Callable[[], int]] = {}
        for name, kind in (("forward", _native.FORWARD), ("backward", _native.BACKWARD)):
            kind.run = self._timed(name, kind.run)

    def _timed(self, name: str, function: Callable[..., int]) -> Callable[..., int]:
        def run(*arguments: int) -> int:
            self.last[name] = lambda: run(*arguments)
            start = time.perf_counter()
            status = function(*arguments)
            self.seconds += time.perf_counter() - start
            return status

        return run


def recorded(step: Callable[[], object], inside: Inside) -> tuple[dict[str, Callable[[], int]], list[object]]:
    """The library's calls that a step makes, to make them again on the same memory, and what keeps that memory."""
    workspace, outputs, gradients, kept = _operator._workspace, _operator._outputs, _operator._gradients, []

    def keeping(function: Callable[..., object]) -> Callable[..., object]:
        def keep(*arguments: object) -> object:
            kept.extend([function(*arguments), _native._frames.free[:]])
            _native._frames.free.clear()  # the next call takes a frame of its own
            return kept[-2]

        return keep

    _operator._workspace, _operator._outputs, _operator._gradients = map(keeping, (workspace, outputs, gradients))
    _native._frames.free.clear()
    kept.append(step())
    kept.append(_native._frames.free[:])
    _native._frames.free.clear()
    _operator._workspace, _operator._outputs, _operator._gradients = workspace, outputs, gradients
    return dict(inside.last), kept


def bare(calls: dict[str, Callable[[], int]]) -> Callable[..., Tensor]:
    """As little as a function with a gradient can do in PyTorch: make the outputs, save what there is, make a prepared call."""

    class Bare(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *operands: Tensor) -> Tensor:
            y, *rows = torch.empty_like(operands[0]), *(operands[0].new_empty((*operands[0].shape[:4], 1)) for _ in range(2))
            ctx.save_for_backward(*operands, y, *rows)
            calls["forward"]()
            return y

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
            gradients = tuple(torch.empty_like(t) for t in ctx.saved_tensors[:5])
            calls["backward"]()
            return gradients

    return Bare.apply


def overhead() -> None:
    with torch.inference_mode():
        small = operands(1, 1, 8, 8, 8, 8)
        show(turns({"floyd_attention (1,1,8,8,8,8), inference": lambda: floyd_attention(*small)}, 2000, 15))
    tensors = [t.requires_grad_() for t in operands(32, 4, 20, 20, 20, 64)]
    gradient = torch.randn_like(tensors[0])

    def step(attention: Callable[..., Tensor]) -> object:
        return torch.autograd.grad(attention(*tensors), tensors, gradient)

    inside = Inside()
    calls, kept = recorded(lambda: step(floyd_attention), inside)
    functions = {"ours": floyd_attention, "a bare function's": bare(calls)}
    outside: dict[str, list[float]] = {name: [] for name in functions}
    library: list[float] = []
    for _ in range(100):
        for name, attention in functions.items():
            inside.seconds, start = 0.0, time.perf_counter()
            step(attention)
            outside[name].append(time.perf_counter() - start - inside.seconds)
            library.append(inside.seconds)
    print("step at (32,4,20,20,20,64):")
    show({"in the library": library, **{f"outside of it, {name}": times for name, times in outside.items()}})
    ours, least = (100 * statistics.median(times) / statistics.median(library) for times in outside.values())
    print(f"by the medians {ours:.1f} % of the library's time are spent outside of it, {least:.1f} % by any function of PyTorch's, "
          f"{ours - least:.1f} % more by the package")  # fmt: skip
    del kept


# ---- mixed ---------------------------------------------------------------------------------------------------------


def mixed() -> None:
    """Linear layers round attention, forward and backward; the parts alone have the same views, copies and sums of gradients."""
    B, H, N, D = 4, 4, 48, 32
    x = torch.randn(B, N, N, H * D)
    into, out = torch.nn.Linear(H * D, 5 * H * D), torch.nn.Linear(H * D, H * D)

    def heads() -> list[Tensor]:
        return [t.view(B, N, N, H, D).permute(0, 3, 1, 2, 4) for t in into(x).chunk(5, -1)]

    def narrow(y: Tensor) -> Tensor:
        return out(y.permute(0, 2, 3, 1, 4).reshape(B, N, N, H * D))

    leaves = [t.detach().requires_grad_() for t in heads()]
    y = floyd_attention(*leaves).detach().requires_grad_()
    gradients = torch.autograd.grad(floyd_attention(*leaves), leaves, y)

    def linear() -> None:
        z = narrow(y)
        z.backward(z.detach())
        torch.autograd.backward(heads(), gradients)

    def attention() -> None:
        torch.autograd.grad(floyd_attention(*leaves), leaves, y.detach())

    def both() -> None:
        z = narrow(floyd_attention(*heads()))
        z.backward(z.detach())

    found = turns({"linear layers alone": linear, "attention alone": attention, "both": both}, 3, 25)
    show(found)
    for name, of in (("medians", statistics.median), ("minima", min)):
        parts = of(found["linear layers alone"]) + of(found["attention alone"])
        print(f"both take {100 * of(found['both']) / parts:.1f} % of the sum of the parts, by {name}")


# ---- limit ---------------------------------------------------------------------------------------------------------


def train_once(attention: str, N: int) -> None:
    """One step of one block; prints the peak of the process and the seconds."""
    from floydnet import PivotalAttentionBlock

    if attention == "floydattn":
        floydattn.patch_floydnet()
    torch.manual_seed(0)
    block = PivotalAttentionBlock(64, 4)
    x = torch.randn(1, N, N, 64)
    start = time.perf_counter()
    block(x).square().mean().backward()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump({"bytes": peak, "seconds": time.perf_counter() - start}, sys.stdout)


def measured(attention: str, N: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, "limit", "--attention", attention, "--n", str(N)],
                          stdout=subprocess.PIPE, check=True)  # fmt: skip
    result: dict[str, float] = json.loads(done.stdout)
    print(f"{attention:>9} N = {N:4}: {result['bytes'] / 2**30:6.2f} GiB  {result['seconds']:7.2f} s", flush=True)
    return result


def limit(bytes_allowed: int) -> None:
    """By bisection to a multiple of 8."""
    for attention in ("floydnet", "floydattn"):
        fits, fails = 8, 16
        while measured(attention, 8 * fails)["bytes"] <= bytes_allowed:
            fits, fails = fails, 2 * fails
        while fails - fits > 1:
            middle = (fits + fails) // 2
            if measured(attention, 8 * middle)["bytes"] <= bytes_allowed:
                fits = middle
            else:
                fails = middle
        print(f"{attention}: N = {8 * fits} is the largest multiple of 8 that trains in {bytes_allowed / 2**30:g} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "mixed", "limit"))
    parser.add_argument("--gib", type=float, default=4.0, help="memory for limit")
    parser.add_argument("--attention", choices=("floydnet", "floydattn"), help=argparse.SUPPRESS)
    parser.add_argument("--n", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attention:
        train_once(options.attention, options.n)
        return
    print(machine())
    {"overhead": overhead, "mixed": mixed, "limit": lambda: limit(int(options.gib * 2**30))}[options.what]()


if __name__ == "__main__":
    main()
