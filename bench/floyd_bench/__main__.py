# SPDX-License-Identifier: Apache-2.0
"""`python -m floyd_bench`, with this package's parent in PYTHONPATH: see arguments.py for what it takes."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys

from . import store
from .arguments import chosen_cases, parse

CHECK = "--check-usage"  # first of all words: only say whether the others make sense; `./run` asks before it installs


def fail(status: int, text: str) -> int:
    print(f"bench: {text}", file=sys.stderr)
    return status


def present(options: argparse.Namespace) -> str:
    """What is missing, or nothing."""
    if importlib.util.find_spec("numpy") is None:
        return "NumPy is not here: `./run bench` installs it in build/bench-venv, or set it up for this Python"
    if not options.library.exists():
        return f"{options.library} is not there: build first, ./run build"
    return ""


def render(options: argparse.Namespace, results: dict) -> None:
    """Tables and pictures of whatever was measured."""
    from . import table

    store.write_text(options.output / "tables.md", table.render(results))
    print(f"the tables: {options.output / 'tables.md'}")
    if importlib.util.find_spec("matplotlib") is None:
        print("no pictures: matplotlib is not here")
        return
    from . import pictures

    for path in pictures.draw(results, options.output):
        print(f"a picture: {path}")


def measure(options: argparse.Namespace) -> int:
    from .benchmark import Run, WorkerFailed

    missing = present(options)
    if missing:
        return fail(3, missing)
    options.output.mkdir(parents=True, exist_ok=True)
    run, interrupted = Run(options), False
    try:
        run.begin()
        run.all()
    except WorkerFailed as error:
        return fail(1, str(error))
    except KeyboardInterrupt:
        if not run.results:
            return 130
        interrupted = True
        print(f"\ninterrupted: {len(run.results['cases'])} of {len(run.cases)} cases are kept")
    print(f"the results: {run.path}")
    render(options, run.results)
    wrong = run.wrong()
    for line in wrong:
        fail(1, line)
    return 130 if interrupted else 1 if wrong else 0


def redo(options: argparse.Namespace) -> int:
    try:
        results = store.read(options.output / "results.json")
    except store.NotResults as error:
        return fail(3, str(error))
    if options.action == "table":
        from . import table

        print(table.render(results), end="")
        return 0
    render(options, results)
    return 0


def main(words: list[str]) -> int:
    checking = words[:1] == [CHECK]
    options = parse(words[1:] if checking else words)
    if checking:
        return 0
    if options.list:
        print("\n".join(case.name for case in chosen_cases(options)))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return measure(options) if options.action == "measure" else redo(options)


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        os._exit(1)
    sys.exit(status)
