# SPDX-License-Identifier: Apache-2.0
"""Seconds of one call: by events on the device, or, where frameworks are compared, by the host's clock alike for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

Call = Callable[[], Any]
SAMPLE = 0.01  # seconds: shorter calls are repeated within one sample of the host's clock
AHEAD = 1_000_000  # cycles that the device waits first, so that the host's launches are ahead of it
SHORT, MANY = 5e-4, 16  # seconds: shorter calls share a pair of events, so many at most


def summary(samples: list[float], calls: int = 1) -> dict:
    return {"median": median(samples), "min": min(samples), "max": max(samples), "runs": len(samples),
            "calls_per_run": calls}  # fmt: skip


def how_many(budget: float, one: float, least: int, most: int) -> int:
    """Runs that the budget holds; two if a single one takes most of it."""
    return max(2, int(budget / one)) if one * least > budget else min(most, int(budget / one))


def by_host(calls: Sequence[Call], wait: Callable[[Any], None], budget: float, most: int = 30) -> dict:
    """calls: the same call on different input sets, in turns. wait(what a call gave) until it is there."""
    for call in (*calls, *calls):
        wait(call())
    start = perf_counter()
    wait(calls[0]())
    one = max(perf_counter() - start, 1e-7)
    inner = max(1, min(1000, int(SAMPLE / one)))
    samples = []
    for _ in range(how_many(budget, one * inner, 5, most)):
        start, last = perf_counter(), None
        for turn in range(inner):
            last = calls[turn % len(calls) if inner > 1 else len(samples) % len(calls)]()
        wait(last)
        samples.append((perf_counter() - start) / inner)
    return summary(samples, inner)


def _events(calls: Sequence[Call], count: int, inner: int) -> list[float]:
    import torch

    pairs = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(count)]
    for turn, (before, after) in enumerate(pairs):
        torch.cuda._sleep(AHEAD)
        before.record()
        for number in range(inner):
            calls[(turn + number) % len(calls)]()
        after.record()
    torch.cuda.synchronize()
    return [before.elapsed_time(after) / 1e3 / inner for before, after in pairs]


def by_events(calls: Sequence[Call], budget: float, most: int = 50) -> dict:
    """The same by the device's own clock."""
    for call in calls:
        call()
    one = max(_events(calls, 1, 1)[0], 1e-7)
    inner = max(1, min(MANY, int(SHORT / one)))
    return summary(_events(calls, how_many(budget, one * inner, 5, most), inner), inner)


def on_device(device: str, calls: Sequence[Call], budget: float) -> dict:
    return by_events(calls, budget) if device == "cuda" else by_host(calls, lambda _: None, budget)
