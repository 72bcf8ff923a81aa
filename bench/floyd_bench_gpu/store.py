# SPDX-License-Identifier: Apache-2.0
"""The file of results: written whole and renamed into place after every case."""

from __future__ import annotations

import json
from pathlib import Path

from floyd_bench import store

SCHEMA = 1
KIND = "floydattn-bench-gpu"

ABOUT = {
    "cases[].shape": "B, H, N, M, K, D as in floydattn.h",
    "cases[].seconds": "of one call. native, small, fp32: each call between two events on the device, launches ahead of it; "
                       "peers: a step (forward, and backward with all five gradients) by the host's clock, many steps to "
                       "one wait where they are short",
    "cases[].tflops": "8 B H N M K D forward, 20 B H N M K D backward, by the median",
    "cases[].times_published": "the vendor's published seconds of its fused forward over ours",
    "cases[].memory_bytes": "of one step beyond its inputs, outputs included. floydattn: workspace and outputs; PyTorch: the "
                            "peak of its allocator; JAX: temporaries and outputs, as its compiler says",
    "cases[].errors": "against fp64: the largest difference over the largest value, and the same of root mean squares",
    "cases[].differ_alone": "outputs of the last head that are not the same bits when it is computed by itself",
    "machine.card.fma_peak_tflops": "SMs * 128 * 2 * the highest SM clock",
}  # fmt: skip


def fresh(words: list[str], commit: str) -> dict:
    return {"kind": KIND, "schema": SCHEMA, "about": ABOUT, "arguments": words, "commit": commit, "complete": False,
            "running": None, "machine": {}, "cases": []}  # fmt: skip


def write(path: Path, results: dict) -> None:
    store.write_text(path, json.dumps(results, indent=1) + "\n")


def read(path: Path) -> dict:
    return store.read(path, KIND, SCHEMA)
