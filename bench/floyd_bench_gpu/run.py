# SPDX-License-Identifier: Apache-2.0
"""The process that measures: one case after another, each written down before the next begins. Goes on from what the
file of results already has."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from . import store
from .arguments import PARTS
from .cases import PEERS, Setting, settings
from .table import line

BROKEN = 75  # exit status: the device answers no more in this process


@dataclass(frozen=True)
class Case:
    part: str
    name: str
    facts: dict
    measure: Callable[[Tools], dict]


class Tools:
    """What cases need, made when first asked for."""

    def __init__(self, options: argparse.Namespace, contest: Any) -> None:
        self.options, self.contest = options, contest
        self.loaded: Any = None

    def library(self) -> Any:
        from .native import Library

        self.loaded = self.loaded or Library(self.options.library, self.options.device)
        return self.loaded

    def free(self) -> int | None:
        import torch

        return torch.cuda.mem_get_info()[0] if self.options.device == "cuda" else None


def _checks(setting: Setting) -> Callable[[Tools], dict]:
    def run(tools: Tools) -> dict:
        from .check import check

        return check(tools.library(), setting)

    return run


def _speed(setting: Setting, how: str, share: float = 1) -> Callable[[Tools], dict]:
    def run(tools: Tools) -> dict:
        from . import speed

        if how == "memory":
            return speed.memory(tools.library(), setting)
        return getattr(speed, how)(tools.library(), setting, tools.options.budget * share)

    return run


def _peer(setting: Setting, who: str) -> Callable[[Tools], dict]:
    def run(tools: Tools) -> dict:
        return tools.contest.measure(who, setting, tools.options.budget / 2, tools.free())

    return run


def _ceiling(name: str) -> Callable[[Tools], dict]:
    def run(tools: Tools) -> dict:
        from .ceilings import CEILINGS

        return CEILINGS[name](tools.options.device, tools.options.budget / 2, tools.options.device == "cpu")

    return run


def _of_part(part: str, tiny: bool) -> Iterator[Case]:
    if part == "ceilings":
        for name in ("copy", "bf16 product", "fp32 product", "second cache, reading"):
            yield Case(part, f"{part}/{name}", {}, _ceiling(name))
        return
    for setting in settings(part, tiny):
        name = f"{part}/{setting.name()}"
        if part == "peers":
            yield Case(part, f"{name}/floydattn", setting.facts() | {"who": "floydattn"}, _speed(setting, "step", 0.5))
            for who in PEERS:
                yield Case(part, f"{name}/{who}", setting.facts() | {"who": who}, _peer(setting, who))
        elif part == "check":
            yield Case(part, name, setting.facts() | {"rule": setting.rule}, _checks(setting))
        else:
            how, share = ("memory", 1) if part == "memory" else ("measure", 0.3 if part == "small" else 1)
            yield Case(part, name, setting.facts(), _speed(setting, how, share))


def cases(options: argparse.Namespace) -> list[Case]:
    """The chosen ones, in the order of PARTS; of peers, each framework's together."""
    found = [case for part in PARTS[1:] if part in options.cases for case in _of_part(part, options.device == "cpu")]
    found = [case for case in found if fnmatch(case.name, options.only)]
    order = ("floydattn", *PEERS)
    return sorted(found, key=lambda case: (PARTS.index(case.part), order.index(case.facts["who"]) if "who" in case.facts else 0))


def healthy(device: str) -> bool:
    import torch

    try:
        return device == "cpu" or torch.ones(8, device=device).sum().item() == 8
    except Exception:  # whatever the device's last fault has become
        return False


def attempt(case: Case, tools: Tools) -> dict:
    try:
        return case.measure(tools)
    except Exception as error:  # a case that fails is a result; the next one still runs
        words = str(error).strip().splitlines()
        text = f"{type(error).__name__}: {words[0] if words else ''}"[:300]
        return {"skipped" if "OutOfMemory" in type(error).__name__ else "failed": text}


class Run:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.results = options, store.read(options.output)
        done = {case["name"] for case in self.results["cases"]}
        self.left = [case for case in cases(options) if case.name not in done]

    def write(self, running: str | None = None) -> None:
        self.results["running"] = running
        store.write(self.options.output, self.results)

    def contest(self) -> Any:
        from .contest import Contest

        wanted = [case for case in self.left if case.facts.get("who") in PEERS]
        if not wanted:
            return None
        shapes = {str(setting.shape): setting for setting in settings("peers", self.options.device == "cpu")
                  if any(case.facts["shape"] == setting.shape.facts() for case in wanted)}  # fmt: skip
        return Contest(self.options.device, list(shapes.values()), min(self.options.compile, self.options.child - time.time()))

    def machine(self) -> None:
        from .machine import machine

        self.write("machine")
        try:
            self.results["machine"] = machine(self.options.device)
        except Exception as error:  # the measurements are worth having without
            self.results["machine"] = {"failed": str(error)[:300]}

    def one(self, case: Case, tools: Tools) -> dict:
        self.write(case.name)
        start = time.time()
        found = attempt(case, tools) if start < self.options.child else {"skipped": "no time left"}
        result = {"name": case.name, "part": case.part, **case.facts, **found, "took": round(time.time() - start, 2)}
        self.results["cases"].append(result)
        self.write()
        print(line(result), flush=True)
        return result

    def drop(self) -> None:
        """Gives back what the last case took, for the frameworks in other processes."""
        gc.collect()
        if self.options.device == "cuda":
            import torch

            torch.cuda.empty_cache()

    def all(self) -> int:
        contest, waiting = self.contest(), True
        tools = Tools(self.options, contest)
        try:
            if not self.results["machine"]:
                self.machine()
            for case in self.left:
                if contest and waiting and case.part != "check":
                    self.write("waiting for the peers")
                    contest.wait_ready()
                    waiting = False
                if "failed" in self.one(case, tools) and not healthy(self.options.device):
                    return BROKEN
                self.drop()
        finally:
            if contest:
                contest.end()
        self.results["complete"] = True
        self.write()
        return 0
