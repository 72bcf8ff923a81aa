# SPDX-License-Identifier: Apache-2.0
"""How much memory a training step takes beyond its inputs, its output and its gradients: one contestant in a process of
its own, by the peak of its resident set."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

from .cases import Case, Shape, Variant
from .native import Library
from .ours import Floydattn
from .peers import make_peer
from .problem import Problem

WARM_UP = Shape(1, 2, 32, 32, 32, 32)  # starts threads and imports what is imported late


def resident(field: str) -> int:
    """Bytes of VmRSS or VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def settle() -> None:
    """Gives back what is free, so that it is not taken for room that was there before."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def peak_beyond(step) -> int:
    settle()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    kept = step()
    peak = resident("VmHWM")
    del kept
    return peak - before


def of_ours(library: Library, problem: Problem, threads: int) -> int:
    """Outputs are touched before; the workspace and the statistics, untouched until the call, count as extra."""
    Floydattn(library, Problem(WARM_UP, problem.dtype), Variant(threads=threads)).run()
    contestant = Floydattn(library, problem, Variant(threads=threads))
    for array in contestant.outputs().values():
        array[...] = 0
    return peak_beyond(contestant.run)


def of_peer(who: str, problem: Problem, threads: int) -> int:
    peer = make_peer(who, problem, threads)
    # What torch.compile makes is for one shape, so that shape is its warm-up.
    warm = peer if who == "torch.compile" else make_peer(who, Problem(WARM_UP, problem.dtype), threads)
    warm.step()
    return peak_beyond(peer.step) - peer.fresh_bytes()


def extra(case: Case, variant: Variant, library: Path) -> int:
    problem = Problem(case.shape, case.dtype, case.layout)
    if variant.who == "floydattn":
        return of_ours(Library(library), problem, variant.threads)
    return of_peer(variant.who, problem, variant.threads)
