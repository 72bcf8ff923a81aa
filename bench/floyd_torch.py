#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What the operator costs from PyTorch. In an environment with floydattn, torch and floydnet:

    bench/floyd_torch.py overhead    one small call; and what the layers above the C call add at FloydNet's own size
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


class Bare:
    """Forward and backward as C calls whose structures and workspaces are ready."""

    def __init__(self, tensors: list[Tensor], gradient: Tensor) -> None:
        self.keep: list[object] = []
        q, k1, v1, k2, v2 = tensors
        y, greatest, total = _operator._outputs(q, 1)
        known = {"q": q, "k1": k1, "v1": v1, "k2": k2, "v2": v2, "y": y, "max": greatest, "sum": total}
        gradients = dict(zip(_operator.GRADIENTS, _operator._gradients(tensors, None, [True] * 5 + [False])))
        scale = {"scale": (2 * q.shape[4]) ** -0.5}
        self.forward = self._ready(_native.FORWARD, known, scale)
        self.backward = self._ready(_native.BACKWARD, {**known, "dy": gradient, **gradients}, {**scale, "mask_rule": 1})

    def _ready(self, kind: object, tensors: dict[str, Tensor], fields: dict[str, float]) -> Callable[[], object]:
        frame = _native._Frame(_native.BACKWARD.total)
        given = {name: _operator._native_tensor(t) for name, t in tensors.items()}
        _native._fill(frame, kind, given, fields, torch.get_num_threads())
        base, options = frame.address, frame.address + kind.options_at
        kind.query(base, options, base + kind.bytes_at)
        size = _native._SIZE.unpack_from(frame.bytes, kind.bytes_at)[0]
        workspace = torch.empty(size, dtype=torch.uint8)
        self.keep += [frame, workspace, *tensors.values()]
        return lambda: kind.run(base, options, workspace.data_ptr(), size)


def overhead() -> None:
    small = operands(1, 1, 8, 8, 8, 8)
    with torch.inference_mode():
        inference = operands(1, 1, 8, 8, 8, 8)
        found = turns({"floyd_attention (1,1,8,8,8,8), inference": lambda: floyd_attention(*inference),
                       "the same in C": Bare(small, small[0]).forward}, 2000, 9)  # fmt: skip
        show(found)
    tensors = operands(32, 4, 20, 20, 20, 64)
    gradient, bare = torch.randn_like(tensors[0]), None
    bare = Bare(tensors, gradient)
    leaves = [t.detach().requires_grad_() for t in tensors]

    def step() -> None:
        torch.autograd.grad(floyd_attention(*leaves), leaves, gradient)

    def c_step() -> None:
        bare.forward()
        bare.backward()

    found = turns({"step at (32,4,20,20,20,64)": step, "its two C calls": c_step}, 5, 15)
    show(found)
    ours, theirs = (statistics.median(times) for times in found.values())
    print(f"the Python layer adds {100 * (ours / theirs - 1):.1f} % by medians, "
          f"{100 * (min(found['step at (32,4,20,20,20,64)']) / min(found['its two C calls']) - 1):.1f} % by minima")  # fmt: skip


# ---- mixed ---------------------------------------------------------------------------------------------------------


def mixed() -> None:
    """Two linear layers and attention, forward and backward: parts alone, then one after the other."""
    B, H, N, D = 4, 4, 48, 32
    x = torch.randn(B, N, N, H * D)
    into, out = torch.nn.Linear(H * D, 5 * H * D), torch.nn.Linear(H * D, H * D)
    heads = [t.view(B, N, N, H, D).permute(0, 3, 1, 2, 4) for t in into(x).detach().chunk(5, -1)]
    y = floyd_attention(*heads)

    def linear() -> None:
        wide = into(x)
        narrow = out(x)
        torch.autograd.backward([wide, narrow], [wide.detach(), narrow.detach()])

    leaves = [t.detach().requires_grad_() for t in heads]

    def attention() -> None:
        torch.autograd.grad(floyd_attention(*leaves), leaves, y)

    def both() -> None:
        split = [t.view(B, N, N, H, D).permute(0, 3, 1, 2, 4) for t in into(x).chunk(5, -1)]
        joined = floyd_attention(*split).permute(0, 2, 3, 1, 4).reshape(B, N, N, H * D)
        narrow = out(joined)
        narrow.backward(narrow.detach())

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
