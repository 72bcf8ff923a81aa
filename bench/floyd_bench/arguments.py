# SPDX-License-Identifier: Apache-2.0
"""The command line. Needs nothing but Python, so that wrong usage is said before anything is installed or built."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from .cases import GROUPS, Case, plan

ROOT = Path(__file__).resolve().parents[2]
FULL_REPEAT, QUICK_REPEAT = 7, 3
FULL_BUDGET, QUICK_BUDGET = 30.0, 3.0


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(2, f"bench: {message} (./run bench --help)\n")


def positive(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 to 9999")
    return int(text)


def pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from error


def parser() -> Parser:
    groups = "\n".join(f"  {name:9} {text}" for name, text in GROUPS.items())
    made = Parser(
        prog="./run bench", allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Verifies, then measures floydattn and its peers; writes results.json, tables and pictures.",
        epilog=f"Cases are named GROUP/B,H,N,M,K,D/TYPE. The groups:\n{groups}\n\n"
               "Exit status: 0 done, 1 a result was wrong or a case failed, 2 wrong usage, 3 something needed is not there,\n"
               "130 interrupted (what was measured is kept).")  # fmt: skip
    made.add_argument("action", nargs="?", default="measure", choices=("measure", "table", "pictures"),
                      help="measure (the default), or only make the tables or the pictures anew from results.json")
    made.add_argument("--quick", action="store_true", help="fewer cases and repetitions: about three minutes on two cores")
    made.add_argument("--no-peers", action="store_true", help="floydattn alone")
    made.add_argument("--only", metavar="PATTERN", type=pattern, help="cases whose name matches this regular expression")
    made.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    made.add_argument("--repeat", metavar="R", type=positive, help=f"repetitions ({FULL_REPEAT}; quick: {QUICK_REPEAT})")
    made.add_argument("--threads", metavar="T", type=positive, default=2, help="threads beside the peers (2)")
    made.add_argument("--output", metavar="DIR", type=Path, default=Path("build/bench"), help="where to write (build/bench)")
    made.add_argument("--build", metavar="DIR", type=Path, default=Path("build"), help="the build to measure (build)")
    made.add_argument("--library", metavar="FILE", type=Path, help="another libfloydattn.so than the build's")
    return made


def chosen_cases(options: argparse.Namespace) -> list[Case]:
    cases = plan(options.quick, options.threads, not options.no_peers)
    return [case for case in cases if options.only is None or options.only.search(case.name)]


def parse(words: list[str]) -> argparse.Namespace:
    made = parser()
    options = made.parse_args(words)
    options.repeat = options.repeat or (QUICK_REPEAT if options.quick else FULL_REPEAT)
    options.budget = QUICK_BUDGET if options.quick else FULL_BUDGET
    options.library = options.library or options.build / "lib" / "libfloydattn.so"
    if not chosen_cases(options):
        made.error(f"no case matches '{options.only.pattern}'; --list names them")
    return options
