# SPDX-License-Identifier: Apache-2.0
"""The command line."""

from __future__ import annotations

import argparse
from pathlib import Path

PARTS = ("machine", "check", "native", "small", "fp32", "peers", "ceilings", "memory")


def parts(text: str) -> list[str]:
    chosen = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in chosen if word not in PARTS]
    if wrong or not chosen:
        raise argparse.ArgumentTypeError(f"parts are {', '.join(PARTS)}, not {', '.join(wrong) or 'nothing'}")
    return [part for part in PARTS if part in chosen]


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="floyd_bench_gpu",
                                     description="Checks and measures libfloydattn_cuda on this machine's GPU.",
                                     epilog="floyd_bench_gpu table FILE.json prints the tables of a file of results.")  # fmt: skip
    add = parser.add_argument
    add("--library", type=Path, default=Path("build/lib/libfloydattn_cuda.so"), help="default: %(default)s")
    add("--output", type=Path, default=Path("build/bench/gpu.json"), help="the file of results, default: %(default)s")
    add("--cases", type=parts, default=list(PARTS), metavar="PART,...", help=f"of {', '.join(PARTS)}; default: all")
    add("--only", metavar="PATTERN", default="*", help="of these, cases whose name matches: 'native/*/bf16'")
    add("--list", action="store_true", help="name the cases and measure nothing")
    add("--seconds", type=float, default=200, help="for everything; what is not reached is left out, default: %(default)s")
    add("--budget", type=float, default=1.0, help="seconds of measuring one case, default: %(default)s")
    add("--limit", type=float, default=45, help="seconds after which a case is given up, default: %(default)s")
    add("--compile", type=float, default=60, help="seconds that the peers may compile, default: %(default)s")
    add("--commit", default="unknown", help="of the library, for the record")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a trial with libfloydattn.so, at small sizes")
    add("--child", type=float, help=argparse.SUPPRESS)  # the process that measures; until when (time.time())
    return parser.parse_args(words)


def label(options: argparse.Namespace) -> list[str]:
    """The arguments worth keeping with results."""
    return [f"{name}={value}" for name, value in sorted(vars(options).items()) if name not in ("child", "library", "list", "output")]
