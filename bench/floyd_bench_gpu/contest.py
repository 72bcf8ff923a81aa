# SPDX-License-Identifier: Apache-2.0
"""The workers from the other side: started early, so that they compile while something else is done; asked later."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from time import monotonic

from .cases import Setting
from .worker import MARK

ASKED = 30.0  # seconds for one answer
PROCESSES = {"torch": 3, "jax": 2}


class WorkerFailed(Exception):
    pass


class Worker:
    def __init__(self, framework: str, device: str, settings: list[Setting], seconds: float) -> None:
        self.framework, self.device, self.limit = framework, device, monotonic() + seconds + 30  # for its imports
        self.errors = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "floyd_bench_gpu.worker", framework, device]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.broken, self.waiting = "", True
        self.notes: dict[str, str] = {}
        self.send({"prepare": [setting.shape.facts() for setting in settings], "seconds": seconds})

    def read(self) -> None:
        for line in self.process.stdout or ():
            if line.startswith(MARK):
                self.lines.put(line[len(MARK) :])
        self.lines.put(None)

    def send(self, request: dict) -> None:
        try:
            assert self.process.stdin
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except OSError:
            self.broken = self.broken or "it ended: " + self.last_words()

    def last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return (lines[-1] if lines else "without a word")[:300]

    def receive(self, seconds: float) -> dict:
        if not self.broken:
            try:
                line = self.lines.get(timeout=max(seconds, 0.1))
                if line is not None:
                    return json.loads(line)
                self.broken = "it ended: " + self.last_words()
            except queue.Empty:
                self.broken = "it did not answer in time"
        self.end()
        raise WorkerFailed(f"{self.framework}: {self.broken}")

    def wait_ready(self) -> None:
        if self.waiting and not self.broken:
            self.notes = self.receive(self.limit - monotonic())["notes"]
        self.waiting = False

    def measure(self, who: str, setting: Setting, budget: float, free: int | None) -> dict:
        self.wait_ready()
        self.send({"who": who, "shape": setting.shape.facts(), "budget": budget, "free_bytes": free})
        found = self.receive(ASKED + budget)
        return found | ({"note": self.notes[str(setting.shape)]} if str(setting.shape) in self.notes and who != "torch" else {})

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Contest:
    """Both frameworks, in a few processes each that compile side by side. Nobody is timed before all are ready:
    compiling tries things out on the card."""

    def __init__(self, device: str, settings: list[Setting], seconds: float) -> None:
        self.workers: dict[tuple[str, Setting], Worker] = {}
        for framework, processes in (PROCESSES if device == "cuda" else dict.fromkeys(PROCESSES, 1)).items():
            for first in range(min(processes, len(settings))):
                share = settings[first::processes]
                worker = Worker(framework, device, share, seconds)
                self.workers |= {(framework, setting): worker for setting in share}

    def wait_ready(self) -> None:
        for worker in set(self.workers.values()):
            try:
                worker.wait_ready()
            except WorkerFailed:
                self.replace(worker)

    def replace(self, worker: Worker) -> None:
        """By one of PyTorch that compiles nothing, for eager. JAX can do nothing uncompiled: each of its cases says so."""
        if worker.framework == "torch":
            share = [key for key, held in self.workers.items() if held is worker]
            self.workers |= dict.fromkeys(share, Worker("torch", worker.device, [], 0))

    def measure(self, who: str, setting: Setting, budget: float, free: int | None) -> dict:
        return self.workers["jax" if who == "jax" else "torch", setting].measure(who, setting, budget, free)

    def end(self) -> None:
        for worker in self.workers.values():
            worker.end()
