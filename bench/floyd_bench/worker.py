# SPDX-License-Identifier: Apache-2.0
"""The process that one case, or one contestant's memory, is measured in: reads a request (JSON) from its input and
writes the answer as one line of JSON. Started anew each time, so that nobody inherits another's threads or heap."""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from pathlib import Path

from .cases import Case, Variant, from_json

# A step of a peer holds about eight buffers of B x H x N x M x K at its peak; half precision counts as fp32, because
# some of them are widened.
PEER_BUFFERS = 8
CONTESTANT_MODULES = {"torch": ("torch", "floydnet.functional"), "torch.compile": ("torch", "floydnet.functional"),
                      "jax": ("jax",)}  # fmt: skip


def absent(who: str) -> str:
    """Why a contestant cannot take part here, or nothing."""
    for module in CONTESTANT_MODULES.get(who, ()):
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{module.split('.')[0]} is not here ({error})"
    return ""


def too_big(case: Case, who: str) -> str:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    need = PEER_BUFFERS * case.shape.positions * 4
    if who == "floydattn" or need <= 0.8 * free:
        return ""
    return f"{case.name} would need about {need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"


def begin(variant: Variant) -> dict:
    return {"who": variant.who, "threads": variant.threads, "mask": variant.mask}


def why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]


class Timing:
    """One case: make, verify, then let everyone who is right take turns."""

    def __init__(self, request: dict) -> None:
        from .native import Library
        from .problem import Problem

        self.case = from_json(request["case"])
        self.repeat, self.budget = request["repeat"], request["budget"]
        self.library, self.peak_library = Library(Path(request["library"])), Path(request["peak_library"])
        self.problem = Problem(self.case.shape, self.case.dtype, self.case.layout)
        self.turns: list = []
        self.running: list[dict] = []
        self.first = None  # whom the peers are compared with

    def enter(self, variant: Variant) -> dict:
        """Admits a contestant if it is here, fits and is right; says what was found."""
        entry = begin(variant)
        skipped = absent(variant.who) or too_big(self.case, variant.who)
        if skipped:
            return {**entry, "skipped": skipped}
        try:
            contestant = self.enter_ours(variant, entry) if variant.who == "floydattn" else self.enter_peer(variant, entry)
        except Exception as error:  # a peer may fail in ways of its own, which is not our failure
            return {**entry, "failed" if variant.who == "floydattn" else "skipped": why(error)}
        error = entry["error_of_tolerance"]
        if error <= 1:
            self.admit(contestant, entry)
        else:
            entry["failed"] = f"wrong result: the error is {error:.3g} times the tolerance"
            entry["error_of_tolerance"] = error if math.isfinite(error) else None  # JSON has no NaN
        return entry

    def enter_ours(self, variant: Variant, entry: dict):
        from .ours import Floydattn
        from .verify import error_of

        contestant = Floydattn(self.library, self.problem, variant)
        contestant.poison()
        contestant.run()
        entry["error_of_tolerance"] = error_of(contestant)
        entry["workspace_bytes"] = contestant.workspace()
        self.first = self.first or contestant
        return contestant

    def enter_peer(self, variant: Variant, entry: dict):
        from .peers import make_peer
        from .verify import peer_error

        contestant = make_peer(variant.who, self.problem, variant.threads)
        entry["error_of_tolerance"] = peer_error(self.first, contestant.results())
        return contestant

    def admit(self, contestant, entry: dict) -> None:
        from .measure import Turns

        self.turns.append(Turns(contestant, self.repeat, self.budget))
        self.running.append(entry)

    def answer(self) -> dict:
        from .ceilings import make_ceilings
        from .measure import PAUSE, round_robin

        entries = [self.enter(variant) for variant in self.case.variants]
        counts = sorted({variant.threads for variant in self.case.variants})
        isa = self.library.chosen_isa()
        ceilings, notes = make_ceilings(self.peak_library, isa, self.case.dtype == "f64", counts)
        rates = round_robin(self.turns, ceilings, self.repeat, PAUSE if self.case.threads > 1 else 0)
        for entry, turn in zip(self.running, self.turns):
            entry.update(turn.to_json())
        return {"flops": self.case.shape.flops(), "ceilings": rates, "notes": notes, "contestants": entries}


def answer_memory(request: dict) -> dict:
    from .memory import extra

    case = from_json(request["case"])
    variant = Variant(**request["variant"])
    skipped = absent(variant.who) or too_big(case, variant.who)
    return {"skipped": skipped} if skipped else {"extra_bytes": extra(case, variant, Path(request["library"]))}


def answer_machine(request: dict) -> dict:
    from .machine import software

    return software(Path(request["library"]))


def main() -> None:
    # Whatever a library prints goes to the error output: the answer has the output to itself.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    os.sched_setaffinity(0, request["processors"])  # before libraries count processors and start threads
    jobs = {"time": lambda: Timing(request).answer(), "memory": lambda: answer_memory(request),
            "machine": lambda: answer_machine(request)}  # fmt: skip
    out.write(json.dumps(jobs[request["job"]]()) + "\n")
    out.flush()
    # Peers' threads may not end by themselves, and nothing is left to do.
    os._exit(0)


if __name__ == "__main__":
    main()
