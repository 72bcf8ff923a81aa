# SPDX-License-Identifier: Apache-2.0
"""Interrupts at every point and at any time: one exit status, one message, and the old result or the new one, whole."""

import os
import random
import signal
import subprocess
import time

import pytest

from conftest import SCALE, floydattn, operands, start
from formats import write_safetensors

INTERRUPTER = os.environ["FLOYDATTN_INTERRUPTER"]
RUNS = int(os.environ.get("FLOYDATTN_SIGNAL_RUNS", 3))  # of each kind that chance decides
SEED = int(os.environ.get("FLOYDATTN_SIGNAL_SEED", 1))
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
OLD = {"out.safetensors": b"old", "dq.npy": b"old dq", "dv2.npy": b"old dv2", "softmax_max.npy": b"old max"}


def content(directory):
    return {path.relative_to(directory): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def directories(directory):
    return [path for path in directory.rglob("*") if path.is_dir()]


class Place:
    """Where results go: a file, or a directory that is there or not; with what was there and what is to be."""

    def __init__(self, root, kind, command, problem):
        self.root, self.kind = root / kind, kind
        self.target = f"{self.root}/{'out.safetensors' if kind == 'file' else 'results/'}"
        self.arguments = [command, problem, "-o", self.target]
        self.clear()
        self.old, self.old_directories = content(self.root), directories(self.root)
        assert floydattn(*self.arguments).returncode == 0
        self.new = content(self.root)
        assert self.new != self.old
        self.clear()

    def clear(self):
        for path in sorted(self.root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.root.mkdir(exist_ok=True)
        if self.kind == "file":
            (self.root / "out.safetensors").write_bytes(OLD["out.safetensors"])
        elif self.kind == "old directory":
            (self.root / "results").mkdir()
            for name, data in OLD.items():
                (self.root / "results" / name).write_bytes(data)

    def judge(self, status, message, number, where):
        """Nothing half done, nothing left over, and a status that says which it is."""
        now = content(self.root)
        assert status in (0, 130, -number), (status, message, where)
        if status == 0:
            assert (now, message) == (self.new, ""), where
            self.clear()
            return
        assert now == self.old and directories(self.root) == self.old_directories, (status, message, where, list(now))
        if status == 130:
            assert message in ("floydattn: interrupted\n", "floydattn: interrupted: nothing was written\n"), (message, where)
        else:  # before the command had come so far as to ask for signals
            assert message == "", (message, where)


PLACES = ["file", "new directory", "old directory"]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("command, kind", [("forward", "file"), ("forward", "new directory"), ("grad", "old directory")])
def test_at_every_point(problem, tmp_path, command, kind, times):
    """Before and after each call that the command makes on files, once or twice running."""
    place = Place(tmp_path, kind, command, problem)
    directory, name = os.path.split(INTERRUPTER)
    log = tmp_path / "log"
    seen, statuses, at = [], set(), 0
    while at <= len(seen):
        log.unlink(missing_ok=True)
        number = SIGNALS[at % len(SIGNALS)]
        env = {"LD_PRELOAD": name, "LD_LIBRARY_PATH": directory, "INTERRUPT_AT": at, "INTERRUPT_TIMES": times,
               "INTERRUPT_SIGNAL": int(number), "INTERRUPT_LOG": log}  # fmt: skip
        done = floydattn(*place.arguments, "--threads", 1, env=env)
        lines = log.read_text().splitlines()
        seen = max(seen, lines, key=len)
        place.judge(done.returncode, done.stderr, number, (at, lines[-1]))
        assert done.returncode != 0 or times == 1 or at >= lines.index("before rename"), (at, lines)
        statuses.add(done.returncode)
        at += 1
    calls = {line.split()[1] for line in seen}
    assert {"mkostemp", "fallocate", "write", "fsync", "rename", "mmap"} <= calls and statuses >= {0, 130}
    assert "mkdir" in calls or kind == "file"


@pytest.fixture(scope="module")
def slow_problem(tmp_path_factory):
    """Long enough that a moment at random is one of reading, of computing or of writing."""
    path = tmp_path_factory.mktemp("slow") / "in.safetensors"
    write_safetensors(path, operands(b=2, h=4, n=64, m=64, k=64, d=32), scale=str(SCALE))
    return path


def strike(process, delay, number, storm):
    """Signals from then on: one, or one after another until the command has ended."""
    time.sleep(delay)
    while process.poll() is None:
        process.send_signal(number)
        if not storm:
            break
        time.sleep(0.0005)
    return process.communicate(timeout=120)[1]


def moments(length, kind):
    """(delay, signal) for each run, over all of a run and a little more."""
    chance = random.Random(f"{SEED} {kind}")
    return [(chance.uniform(0, 1.1 * length), chance.choice(SIGNALS)) for _ in range(RUNS)]


@pytest.mark.parametrize("storm", [False, True], ids=["once", "storm"])
@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("command", ["forward", "grad"])
def test_at_any_time(slow_problem, tmp_path, command, kind, storm):
    place = Place(tmp_path, kind, command, slow_problem)
    began = time.monotonic()
    assert floydattn(*place.arguments).returncode == 0
    length = time.monotonic() - began
    place.clear()
    for delay, number in moments(length, f"{command} {kind} {storm}"):
        process = start(*place.arguments, "--threads", 2)
        message = strike(process, delay, number, storm)
        place.judge(process.returncode, message, number, (delay, length, number))


@pytest.mark.parametrize(
    "arguments", [["bench", "--shape", "1,1,96,96,96,32"], ["selftest"], ["info"]], ids=lambda arguments: arguments[0]
)
def test_commands_without_files(tmp_path, arguments):
    for delay, number in moments(0.02 if arguments == ["info"] else 0.5, arguments[0]):
        process = start(*arguments, stdout=subprocess.DEVNULL, cwd=tmp_path)
        message = strike(process, delay, number, False)
        assert process.returncode in (0, 130, -number), (delay, message)
        assert message == ("floydattn: interrupted\n" if process.returncode == 130 else ""), (delay, message)
    assert not list(tmp_path.iterdir())
