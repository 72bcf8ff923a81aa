# SPDX-License-Identifier: Apache-2.0
"""The command, with each call of the system's that it makes refused in turn: command.py COMMAND REFUSE.SO [few]

A run whose call number n failed either says so, with a status of its own, and has left every file as it was, or has
done without: then its results are those of a run that nothing fails. That goes on until a run makes fewer than n calls.
"""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "cli"))
from formats import encode, write_safetensors  # noqa: E402

COMMAND, REFUSE = map(os.path.abspath, sys.argv[1:3])
FEW = sys.argv[3:] == ["few"]
OLD = b"what was here before"
SHAPES = {"query": "NMD", "key1": "NKD", "value1": "NKD", "key2": "KMD", "value2": "KMD", "dy": "NMD"}
SIZES = {"N": 24, "M": 120, "K": 96, "D": 8}  # enough work for several threads


def tensors():
    random = np.random.default_rng(1)
    shapes = {name: [1, 1] + [SIZES[axis] for axis in axes] for name, axes in SHAPES.items()}
    return {name: ("F32", encode(random.standard_normal(shape), "F32")) for name, shape in shapes.items()}


class Scene:
    """A directory with inputs, and outputs of earlier runs in the way."""

    def __init__(self, place):
        self.place, self.log = place / "scene", place / "log"
        self.inputs = place / "inputs"
        (self.inputs / "parts").mkdir(parents=True)
        write_safetensors(self.inputs / "in.safetensors", tensors(), scale="0.25")
        for name, (_, stored) in tensors().items():
            np.save(self.inputs / "parts" / name, stored)

    def set_up(self):
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "elsewhere").mkdir(parents=True)
        (self.place / "results").mkdir()
        for name in ("old.safetensors", "elsewhere/target", "results/attention_in.npy", "results/dq.npy"):
            (self.place / name).write_bytes(OLD)
        (self.place / "link").symlink_to("elsewhere/target")

    def files(self):
        """Everything there is: path -> content, or where a link leads, or None for a directory."""
        found = {}
        for path in sorted(self.place.rglob("*")):
            content = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
            found[str(path.relative_to(self.place))] = content
        return found

    def run(self, arguments, kind="", number=0):
        """Status, output, message, the call that failed (or None) and what files there are afterwards."""
        self.set_up()
        self.log.unlink(missing_ok=True)
        env = {"PATH": os.environ["PATH"], "LD_PRELOAD": REFUSE, "FAULT_KIND": kind, "FAULT_NUMBER": str(number)}
        result = subprocess.run(
            [COMMAND, *arguments], cwd=self.place, env={**env, "FAULT_LOG": str(self.log)}, capture_output=True,
            text=True, timeout=60, check=False)  # fmt: skip
        refused = self.log.read_text() if self.log.exists() else None
        return result.returncode, result.stdout, result.stderr, refused, self.files()


def keys(value):
    """What JSON has, without the values."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(inner) for inner in value] if isinstance(value, list) else None


LABELS = "version compiler processor memory system threads kernels forward backward Peak: PASS FAIL floydattn".split()


def outline(printed):
    """What must not be missing from what is printed: figures may differ, and what the machine is called."""
    if printed.startswith("{"):
        try:
            return keys(json.loads(printed))
        except json.JSONDecodeError as error:
            return str(error)
    words = [re.match(r"\S*", line)[0] for line in printed.splitlines()]
    return [word if word in LABELS else "" for word in words]


def check(run, good, before):
    """What is wrong with a run in which a call failed; None if nothing is."""
    status, printed, message, refused, files = run
    if status == 0:
        if files != good[4]:
            return "succeeded with other results"
        return None if outline(printed) == outline(good[1]) else f"succeeded, but printed: {printed}"
    about_input = refused in ("open", "stat", "fstat") and status == 1
    if status != 3 and not about_input:
        return f"ended with status {status}: {message}"
    if not (re.match(r"floydattn\S*: .{8,}\n$", message) and message.count("\n") == 1):
        return f"said: {message!r}"
    return None if only_whole(files, before, good[4], refused) else f"left other files: {sorted(set(files) ^ set(before))}"


def only_whole(files, before, after, refused):
    """As before; but of several files that are put in place one by one, the first ones may be, whole."""
    changed = {path for path in files.keys() | before.keys() if files.get(path) != before.get(path)}
    return not changed or (refused == "rename" and all(files.get(path) == after.get(path) for path in changed))


def numbers(every):
    """1, 2, 3, ...; of a run of thousands of calls that are much alike, ever fewer."""
    number = 1
    while True:
        yield number
        number += 1 if every else 1 + number // 5


def refuse_each(scene, arguments, kind, every):
    good = scene.run(arguments)
    if good[0] != 0:
        raise RuntimeError(f"{arguments} fails by itself: {good[2]}")
    scene.set_up()
    before, faults, tried, names = scene.files(), [], 0, set()
    for number in numbers(every):
        run = scene.run(arguments, kind, number)
        if run[3] is None:
            if run[0] != 0 or run[4] != good[4]:
                faults.append(f"{arguments}: nothing fails, and status {run[0]}: {run[2]}")
            break
        tried += 1
        names.add(run[3])
        wrong = check(run, good, before)
        if wrong:
            faults.append(f"{' '.join(arguments)}: {run[3]}, call {number} of {kind}: {wrong}")
    return tried, names, faults


def bent_writes(scene, arguments):
    """Writes that take a little at a time, or are interrupted, are no failures."""
    good, faults = scene.run(arguments), []
    for kind in ("short", "again"):
        run = scene.run(arguments, kind)
        if run[:3] != good[:3] or run[4] != good[4]:
            faults.append(f"{' '.join(arguments)}: with {kind} writes: {run[:3]}")
    return faults


def run_plan(step):
    """One command with one kind of call, in a place of its own."""
    command, kind, every = step
    with tempfile.TemporaryDirectory() as directory:
        scene = Scene(Path(directory))
        single, parts = (str(scene.inputs / name) for name in ("in.safetensors", "parts"))
        arguments = [{"IN": single, "PARTS": parts}.get(word, word) for word in command.split()]
        tried, names, faults = refuse_each(scene, arguments, kind, every)
        if kind == "files" and " -o " in command:
            faults += bent_writes(scene, arguments)
    print(f"{tried:5} of {kind:8} {command:70} {' '.join(sorted(names))}", flush=True)
    return tried, names, faults


# What the plan has to meet, lest a call goes another way to the system unseen.
REFUSED = set(
    "malloc calloc realloc open fopen stat fstat realpath mmap mkostemp fallocate fchmod write fsync close rename mkdir "
    "pthread_create".split()
)

BENCH = "bench --shape 1,1,24,120,96,8 -r 2 --threads 4"
WRITERS = [
    "forward IN -o old.safetensors --threads 4",
    "grad IN -o link --threads 4",
    "forward PARTS -s 0.25 -o results --threads 4",
    "grad PARTS -s 0.25 -o new --threads 4",
]


def main():
    kinds = ("memory", "files", "threads")
    plan = [(command, kind, not FEW) for command in WRITERS + ["info", "info --json"] for kind in kinds]
    if not FEW:
        plan += [(command, kind, kind != "memory") for command in (BENCH, BENCH + " --json", "selftest") for kind in kinds]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        done = list(workers.map(run_plan, plan))
    faults = [fault for _, _, found in done for fault in found]
    tried = {name for _, names, _ in done for name in names}
    faults += [] if FEW else [f"no {name} was refused" for name in sorted(REFUSED - tried)]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{sum(tried for tried, _, _ in done)} failures, {len(faults)} not borne")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
