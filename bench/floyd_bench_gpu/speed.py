# SPDX-License-Identifier: Apache-2.0
"""How fast the library is: both calls at one size, and what they take of memory."""

from __future__ import annotations

from functools import partial

import torch

from .cases import Setting
from .native import TORCH, Call, Library
from .ours import KINDS, READ, Ours, make_inputs
from .shapes import ITEM
from .timing import by_host, on_device

SETS = 2  # of inputs, in turns


def with_rates(setting: Setting, seconds: dict[str, dict]) -> dict:
    rates = {kind: setting.shape.flops(kind) / times["median"] / 1e12 for kind, times in seconds.items()}
    found: dict = {"seconds": seconds, "tflops": rates}
    if setting.published and "forward" in seconds:
        found["times_published"] = setting.published / seconds["forward"]["median"]
    return found


def ours_at(library: Library, setting: Setting) -> Ours:
    return Ours(library, setting, [make_inputs(setting, library.device, seed) for seed in range(SETS)])


def bad(outputs: dict[str, torch.Tensor]) -> list[str]:
    """What holds a value that is not a number: a call that wrote nothing is not worth timing."""
    return [name for name, tensor in outputs.items() if not tensor.sum(dtype=torch.float32).isfinite().item()]


def measure(library: Library, setting: Setting, budget: float) -> dict:
    """Forward and backward by themselves."""
    ours = ours_at(library, setting)
    seconds = {kind: on_device(library.device, ours.calls[kind], budget / 2) for kind in KINDS}
    found = with_rates(setting, seconds) | {"workspace_bytes": ours.workspace_bytes}
    wrong = bad(ours.outputs)
    return found | ({"failed": f"not a number in {', '.join(wrong)}"} if wrong else {})


def step(library: Library, setting: Setting, budget: float) -> dict:
    """A training step as the peers are measured: by the host's clock."""
    ours = ours_at(library, setting)
    wait = (lambda _: torch.cuda.synchronize()) if library.device == "cuda" else (lambda _: None)
    calls = [partial(ours.step, which) for which in range(SETS)]
    times = by_host(calls, wait, budget)
    return with_rates(setting, {"step": times}) | {"memory_bytes": ours.beyond_inputs()}


def memory(library: Library, setting: Setting) -> dict:
    """What the queries say; nothing is allocated."""
    shape, small = setting.shape, (setting.shape.B, setting.shape.H, setting.shape.N, setting.shape.M, 1)
    names = set(READ["backward"]) - {"mask", "max", "sum"}
    tensors = {name: torch.empty(shape.sizes(name), dtype=TORCH[setting.dtype], device="meta") for name in names}
    tensors |= {name: torch.empty(small, device="meta") for name in ("max", "sum")}
    found = {}
    for kind in KINDS:
        given = {name: tensors[name] for name in READ[kind] if name in tensors}
        found[kind] = Call(library, kind, given, shape.scale()).bytes
    scores = 2 * shape.scores() * ITEM[setting.dtype]
    return {"workspace_bytes": found, "output_bytes": shape.output_bytes(setting.dtype), "scores_and_weights_bytes": scores}
