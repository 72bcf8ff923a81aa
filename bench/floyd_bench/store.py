# SPDX-License-Identifier: Apache-2.0
"""The file of results. It is written whole and renamed into place after every case, so that what stands there is always
one complete JSON document, whenever a run ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

SCHEMA = 1
KIND = "floydattn-bench"

ABOUT = {
    "cases[].shape": "B, H, N, M, K, D as in floydattn.h",
    "cases[].flops": "8 B H N M K D forward, 20 B H N M K D backward, their sum for a step; masks do not lessen it",
    "cases[].ceilings[]": "flops per second of `threads` threads together: fma_peak is multiply-adds from registers in the "
                          "vector width of software.isa, gemm is NumPy's OpenBLAS on 1024 x 1024 x 1024; fp64 for f64 "
                          "cases, else fp32",
    "cases[].contestants[].seconds": "seconds of one call (the mean over calls_per_sample); a step is forward and "
                                     "backward with all five gradients",
    "cases[].contestants[].share_of_peak": "flops / seconds / the highest fma_peak seen in the same case on as many "
                                           "threads; not given where a mask lessens the work",
    "cases[].contestants[].workspace_bytes": "what floydattn's queries ask for",
    "cases[].contestants[].extra_bytes": "peak resident memory of one step beyond inputs, output and gradients, in a "
                                         "process of its own",
    "cases[].contestants[].error_of_tolerance": "the worst error over the tolerance, 1 or less is right: floydattn "
                                                "against fp64 at sampled places, peers against floydattn everywhere; null: not a number",
}  # fmt: skip


def write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write(path: Path, results: dict) -> None:
    write_text(path, json.dumps(results, indent=1, allow_nan=False) + "\n")


class NotResults(Exception):
    pass


def read(path: Path, kind: str = KIND, schema: int = SCHEMA) -> dict:
    """NotResults unless the file holds what `kind` of benchmark wrote."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotResults(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise NotResults(f"{path} is not JSON: {error}") from error
    if not isinstance(results, dict) or results.get("kind") != kind or results.get("schema") != schema:
        raise NotResults(f"{path} does not hold results of this benchmark (kind {kind}, schema {schema})")
    return results
