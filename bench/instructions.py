#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of single calls of the operator and compares them with the budgets in instructions.json.

    bench/instructions.py             exits 1 when a call takes more than 5 % above its budget
    bench/instructions.py --update    makes the counts of now the budgets

valgrind's callgrind counts what floyd_forward or floyd_backward executes, on one thread and with the AVX2 kernels,
which it can run everywhere. Counts do not depend on the machine's load or clock, but they do on the compiler.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
BUDGETS = HERE / "instructions.json"
TOLERANCE = 0.05
ISA = "avx2"

PROBLEMS = [
    "f32 64x64x64x64 none",
    "f32 64x64x64x32 random",
    "f32 48x48x96x128 padding",
    "f32 65x49x50x20 random",  # remainders on every axis
    "f32 8x8x8x16 none",  # what a call costs before it computes anything
    "f64 48x48x48x64 padding",
    "f16 64x48x64x64 none",
    "bf16 64x64x64x64 none",
    "bf16 48x64x48x32 padding",
]
CASES = [f"{operator} {problem}" for operator in ("forward", "backward") for problem in PROBLEMS]


def fail(text):
    """Nothing can be said about the counts: not the status of a call that has become slower."""
    print(f"instructions.py: {text}", file=sys.stderr)
    sys.exit(3)


def version_of(valgrind):
    try:
        return subprocess.run([valgrind, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    except OSError as error:
        fail(f"{error}: is valgrind installed? ./run setup check installs it")


def count(case, arguments):
    """The number of instructions of the case's one call, and what built the program."""
    # Symbols are resolved before the call, and not at its cost.
    environment = dict(os.environ, FLOYDATTN_ISA=ISA, LD_BIND_NOW="1", LC_ALL="C")
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch, "callgrind.out")
        run = subprocess.run(
            [arguments.valgrind, "--tool=callgrind", f"--callgrind-out-file={out}",
             f"--toggle-collect=floyd_{case.split()[0]}", arguments.program, *case.split()],
            env=environment, capture_output=True, text=True)
        if run.returncode:
            fail(f"{case}: exit status {run.returncode}\n{run.stderr}")
        totals = [line.split()[1] for line in out.read_text().splitlines() if line.startswith("totals:")]
    isa, build = run.stdout.replace(" ,", ",").splitlines()  # clang's version ends in a blank
    if isa != ISA:
        fail(f"{case}: the kernel that ran is {isa}, not {ISA}")
    if len(totals) != 1 or int(totals[0]) == 0:
        fail(f"{case}: nothing was counted")
    return int(totals[0]), build


def verdict(counted, budget):
    if budget is None:
        return "no budget"
    if counted > budget * (1 + TOLERANCE):
        return "SLOWER"
    return "faster" if counted < budget * (1 - TOLERANCE) else ""


def compare(counts, budgets):
    """Prints the table and returns the cases by verdict."""
    found = {}
    print(f"{'case':38} {'budget':>13} {'counted':>13} {'change':>8}")
    for case, counted in counts.items():
        budget = budgets.get(case)
        word = verdict(counted, budget)
        change = f"{100 * (counted / budget - 1):+7.2f}%" if budget else " " * 8
        print(f"{case:38} {budget or '-':>13} {counted:13} {change} {word}".rstrip())
        found.setdefault(word, []).append(case)
    return found


def judge(found, stale):
    if found.get("faster"):
        print("faster: run bench/instructions.py --update, so that it stays so")
    wrong = [f"more than {100 * TOLERANCE:.0f} % above its budget: {case}" for case in found.get("SLOWER", [])]
    wrong += [f"no budget yet, run --update: {case}" for case in found.get("no budget", [])]
    wrong += [f"a budget of no case, run --update: {case}" for case in stale]
    for line in wrong:
        print(line)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description="Instruction counts against their budgets.")
    parser.add_argument("--update", action="store_true", help="make the counts of now the budgets")
    parser.add_argument("--program", default=HERE.parent / "build/bin/floyd_case", help="floyd_case, as built")
    parser.add_argument("--valgrind", default="valgrind")
    arguments = parser.parse_args()
    if not pathlib.Path(arguments.program).exists():
        fail(f"there is no {arguments.program}: build first (./run build)")

    valgrind = version_of(arguments.valgrind)
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = dict(zip(CASES, pool.map(lambda case: count(case, arguments), CASES)))
    counts = {case: counted for case, (counted, _) in results.items()}
    tools = {"compiler": results[CASES[0]][1], "valgrind": valgrind}
    if arguments.update:
        BUDGETS.write_text(json.dumps({**tools, "counts": counts}, indent=2) + "\n")
        print(f"{len(counts)} budgets written to {BUDGETS.name}: {tools['compiler']}, {valgrind}")
        return 0

    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {"counts": {}}
    found = compare(counts, budgets["counts"])
    other = [name for name in tools if tools[name] != budgets.get(name)]
    for name in other:
        print(f"the budgets are for {name} {budgets.get(name)}, and this is {tools[name]}")
    status = judge(found, [case for case in budgets["counts"] if case not in counts])
    return 0 if "compiler" in other else status


if __name__ == "__main__":
    sys.exit(main())
