# SPDX-License-Identifier: Apache-2.0
"""Contestants take turns: in each repetition every one runs once, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import math
import time
from statistics import median
from typing import Any, Protocol

LONG_ENOUGH = 3e-3  # seconds that one sample lasts at least: shorter calls are repeated and averaged
PAUSE = 0.1  # seconds for the threads of the one before to go to sleep: those of OpenBLAS spin for 2^26 ticks


class Contestant(Protocol):
    def run(self, calls: int = 1) -> dict[str, float]: ...


class Ceiling(Protocol):
    name: str
    threads: int

    def rate(self) -> float: ...


class Turns:
    """One contestant, how often it may run within its budget of seconds, and what it took."""

    def __init__(self, contestant: Contestant, repeat: int, budget: float) -> None:
        self.contestant = contestant
        once = contestant.run()
        self.calls = max(1, math.ceil(LONG_ENOUGH / max(1e-9, min(once.values()))))
        if self.calls > 1:  # the first run of a short call says little
            self.calls = max(1, math.ceil(LONG_ENOUGH / max(1e-9, min(contestant.run(self.calls).values()))))
        # The slow ones take fewer turns, but a third of them at least.
        self.left = max(math.ceil(repeat / 3), min(repeat, int(budget / (once["step"] * self.calls))))
        self.samples: dict[str, list[float]] = {kind: [] for kind in once}

    def take(self) -> None:
        if self.left == 0:
            return
        self.left -= 1
        for kind, seconds in self.contestant.run(self.calls).items():
            self.samples[kind].append(seconds)

    def to_json(self) -> dict[str, Any]:
        kinds = {kind: {"min": min(all), "median": median(all), "samples": all} for kind, all in self.samples.items()}
        return {"calls_per_sample": self.calls, "seconds": kinds}


def round_robin(turns: list[Turns], ceilings: list[Ceiling], repeat: int, pause: float) -> list[dict]:
    """Gives everyone their turns; returns the ceilings' rates. Who begins changes from repetition to repetition."""
    rates: list[list[float]] = [[] for _ in ceilings]
    for repetition in range(repeat):
        for ceiling, found in zip(ceilings, rates):
            time.sleep(pause)
            found.append(ceiling.rate())
        first = repetition % len(turns) if turns else 0
        for turn in turns[first:] + turns[:first]:
            time.sleep(pause)
            turn.take()
    return [{"name": ceiling.name, "threads": ceiling.threads, "max": max(found), "median": median(found), "samples": found}
            for ceiling, found in zip(ceilings, rates)]
