# SPDX-License-Identifier: Apache-2.0
"""What the card can do: copying, matrix products, reading its second cache."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .machine import smi
from .timing import on_device

EDGE, TINY_EDGE = 8192, 128
COPIED = 2**31


def copy(device: str, budget: float, tiny: bool) -> dict:
    """Bytes read and written, each counted."""
    source = torch.empty(2**20 if tiny else COPIED, dtype=torch.uint8, device=device).random_()
    target = torch.empty_like(source)
    times = on_device(device, [lambda: target.copy_(source)], budget)
    return {"seconds": {"call": times}, "value": 2 * source.numel() / times["min"] / 1e9, "unit": "GB/s"}


def product(dtype: torch.dtype) -> Callable[[str, float, bool], dict]:
    def measure(device: str, budget: float, tiny: bool) -> dict:
        torch.backends.cuda.matmul.allow_tf32 = False
        edge = TINY_EDGE if tiny else EDGE
        a, b = (torch.randn(edge, edge, device=device).to(dtype) for _ in range(2))
        into = torch.empty_like(a)

        def call() -> torch.Tensor:
            return torch.mm(a, b, out=into)

        times = on_device(device, [call], budget)
        found = {"seconds": {"call": times}, "value": 2 * edge**3 / times["median"] / 1e12, "unit": "TFLOP/s"}
        return found | ({"clocks_under_load": loaded(call)} if device == "cuda" else {})

    return measure


def loaded(call: Callable[[], torch.Tensor]) -> dict[str, str]:
    """The clocks while products run."""
    one = on_device("cuda", [call], 0)["median"]
    for _ in range(min(400, int(0.4 / one))):
        call()
    found = smi("clocks.sm", "clocks.mem", "power.draw")
    torch.cuda.synchronize()
    return found


def second_cache(device: str, budget: float, _: bool) -> dict:
    from .l2 import Reader

    call = Reader(8 * torch.cuda.get_device_properties(0).multi_processor_count, device)
    times = on_device(device, [call], budget)
    return {"seconds": {"call": times}, "value": call.bytes / times["min"] / 1e9, "unit": "GB/s"}


CEILINGS = {"copy": copy, "bf16 product": product(torch.bfloat16), "fp32 product": product(torch.float32),
            "second cache, reading": second_cache}  # fmt: skip
