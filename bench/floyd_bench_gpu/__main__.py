# SPDX-License-Identifier: Apache-2.0
"""`python -m floyd_bench_gpu`, with this package's parent in PYTHONPATH: see arguments.py for what it takes. This process
only watches the one that measures: it ends a case that hangs, goes on after one that broke the device's context, and
prints the tables last."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from floyd_bench.store import NotResults

from . import store
from .arguments import label, parse
from .table import render

STARTS = 4  # of the measuring process
GRACE = 10.0  # seconds for a case that was begun in time


class Watched:
    """The measuring process, and how long it has been at the same case."""

    def __init__(self, words: list[str], until: float) -> None:
        command = [sys.executable, "-m", "floyd_bench_gpu", *words, "--child", str(until)]
        self.process = subprocess.Popen(command, start_new_session=True)
        self.seen, self.since = (None, 0), time.time()

    def stuck(self, results: dict, limit: float) -> bool:
        now = (results["running"], len(results["cases"]))
        if now != self.seen:
            self.seen, self.since = now, time.time()
        return time.time() - self.since > limit

    def end(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def note_failure(path: Path, text: str) -> None:
    """What was running has failed; so the next start goes on behind it."""
    results = store.read(path)
    name = results["running"]
    if name:
        results["cases"].append({"name": name, "part": name.split("/")[0], "failed": text})
        print(f"{name}: FAILED: {text}", flush=True)
    results["running"] = None
    store.write(path, results)


def watch(options: argparse.Namespace, words: list[str], until: float) -> str:
    """One start: "" when all is done, else why it is not."""
    watched = Watched(words, until)
    try:
        while watched.process.poll() is None:
            time.sleep(0.1)
            compiling = options.compile + 40 if "peers" in options.cases else 0
            results = store.read(options.output)
            limit = max(options.limit, compiling if str(results["running"]).startswith("waiting") else 0)
            if watched.stuck(results, limit):
                return f"given up after {limit:.0f} s"
            if time.time() > until + GRACE:
                return "no time left"
    finally:
        watched.end()
    status = watched.process.returncode
    return "" if status == 0 else f"the process ended with status {status}"


def measure(options: argparse.Namespace, words: list[str]) -> int:
    until = time.time() + options.seconds
    options.output.parent.mkdir(parents=True, exist_ok=True)
    store.write(options.output, store.fresh(label(options), options.commit))
    for _ in range(STARTS):
        wrong = watch(options, words, until)
        if wrong:
            note_failure(options.output, wrong)
        if not wrong or time.time() > until:
            break
        print(f"starting again: {wrong}", flush=True)
    results = store.read(options.output)
    print("\n" + render(results), flush=True)
    print(f"the results: {options.output}")
    return 1 if any("failed" in case or case.get("right") is False for case in results["cases"]) else 0


def main(words: list[str]) -> int:
    if words[:1] == ["table"]:
        try:
            print(render(store.read(Path(words[1] if words[1:] else "build/bench/gpu.json"))), end="")
        except NotResults as error:
            print(f"bench: {error}", file=sys.stderr)
            return 3
        return 0
    options = parse(words)
    if options.list:
        from .run import cases

        print("\n".join(case.name for case in cases(options)))
        return 0
    if options.child:
        from .run import Run

        return Run(options).all()
    if not options.library.exists():
        print(f"bench: {options.library} is not there: build it first", file=sys.stderr)
        return 3
    return measure(options, words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
