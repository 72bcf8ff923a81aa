# SPDX-License-Identifier: Apache-2.0
"""One run: each case in a process of its own, results kept after every case, one line of report for each."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import machine, report, store
from .arguments import ROOT, chosen_cases
from .cases import Case, Variant

DROPPED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "FLOYDATTN_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "XLA_FLAGS")


class WorkerFailed(Exception):
    pass


def environment(threads: int, cache: Path) -> dict[str, str]:
    """Every library gets as many threads as the case has, and no one else's tuning."""
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    counts = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "OPENBLAS")}
    return {**kept, **counts, "JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT / "bench"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip


# The heap would hand out memory that is resident from earlier use, as if it cost nothing: with this, whatever is larger
# than 64 KiB is mapped when it is asked for, and unmapped when it is freed.
WEIGHED = {"MALLOC_MMAP_THRESHOLD_": "65536"}


def stop(process: subprocess.Popen) -> None:
    """Ends a worker and what it started, compilers for instance."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


class Run:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.path: Path = options.output / "results.json"
        self.library = (Path.cwd() / options.library).resolve()
        self.peak_library = (Path.cwd() / options.build / "lib" / "libfloyd_fma_peak.so").resolve()
        self.cases = chosen_cases(options)
        self.noted: set[str] = set()
        self.results: dict[str, Any] = {}

    def ask(self, job: str, threads: int, **more: Any) -> dict:
        request = {"job": job, "library": str(self.library), "peak_library": str(self.peak_library),
                   "processors": machine.processors_for(threads), **more}  # fmt: skip
        env = environment(threads, (self.options.output / "compiled").resolve())
        if job == "memory":
            env.update(WEIGHED)
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "floyd_bench.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                text=True, env=env, start_new_session=True)  # fmt: skip
            try:
                answer, _ = process.communicate(json.dumps(request))
            finally:
                stop(process)
            if process.returncode == 0:
                return json.loads(answer)
            errors.seek(0)
            how = f"signal {-process.returncode}" if process.returncode < 0 else f"status {process.returncode}"
            raise WorkerFailed(f"the {job} process ended with {how}: {last_words(errors.read())}")

    def begin(self) -> None:
        software = self.ask("machine", 1)
        self.results = {
            "schema": store.SCHEMA, "kind": store.KIND, "complete": False, "about": store.ABOUT,
            "machine": machine.machine(), "build": machine.build(ROOT, self.options.build, software["isa"]),
            "software": software, "settings": self.settings(), "notes": [], "cases": [],
        }  # fmt: skip
        store.write(self.path, self.results)

    def settings(self) -> dict:
        options = self.options
        return {"quick": options.quick, "peers": not options.no_peers, "repeat": options.repeat, "threads": options.threads,
                "only": options.only.pattern if options.only else None, "isa_forced": os.environ.get("FLOYDATTN_ISA"),
                "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}  # fmt: skip

    def note(self, text: str) -> None:
        if text not in self.noted:
            self.noted.add(text)
            self.results["notes"].append(text)
            report.note(text)

    def time_case(self, case: Case) -> dict:
        try:
            answer = self.ask("time", case.threads, case=case.to_json(), repeat=self.options.repeat, budget=self.options.budget)
        except WorkerFailed as error:
            return {**case.to_json(), "failed": str(error), "contestants": [], "ceilings": []}
        for text in answer.pop("notes"):
            self.note(text)
        add_shares(answer)
        return {**case.to_json(), "threads": case.threads, **answer}

    def weigh(self, case: Case, entry: dict) -> None:
        """Adds a contestant's memory to its entry."""
        variant = Variant(entry["who"], entry["threads"], entry["mask"])
        try:
            answer = self.ask("memory", case.threads, case=case.to_json(), variant=asdict(variant))
        except WorkerFailed as error:
            self.note(f"{case.name}: no memory figure for {entry['who']}: {error}")
            return
        entry.update({name: value for name, value in answer.items() if value})

    def measure(self, case: Case) -> dict:
        result = self.time_case(case)
        for entry in result["contestants"]:
            if "skipped" in entry:
                self.note(f"without {entry['who']}: {entry['skipped']}")
            elif case.memory and "failed" not in entry:
                self.weigh(case, entry)
        return result

    def all(self) -> None:
        for number, case in enumerate(self.cases, 1):
            report.begin(number, len(self.cases), case)
            start = time.monotonic()
            result = self.measure(case)
            self.results["cases"].append(result)
            store.write(self.path, self.results)
            report.end(result, time.monotonic() - start)
        self.results["complete"] = True
        store.write(self.path, self.results)

    def wrong(self) -> list[str]:
        """What failed, one line each."""
        found = []
        for case in self.results["cases"]:
            if "failed" in case:
                found.append(f"{case['name']}: {case['failed']}")
            found += [f"{case['name']}: {e['who']}: {e['failed']}" for e in case["contestants"] if "failed" in e]
        return found


def add_shares(answer: dict) -> None:
    peaks = {c["threads"]: c["max"] for c in answer["ceilings"] if c["name"] == "fma_peak"}
    for entry in answer["contestants"]:
        peak = peaks.get(entry["threads"])
        if peak and "seconds" in entry and entry["mask"] == "none":
            entry["share_of_peak"] = {
                kind: {"best": answer["flops"][kind] / s["min"] / peak, "median": answer["flops"][kind] / s["median"] / peak}
                for kind, s in entry["seconds"].items()}  # fmt: skip
