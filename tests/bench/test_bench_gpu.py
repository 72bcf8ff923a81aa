# SPDX-License-Identifier: Apache-2.0
"""The GPU's benchmark as far as it goes without one: its usage, its list of cases, and the committed results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(*words):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "bench"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "floyd_bench_gpu", *words]
    return subprocess.run(command, env=env, text=True, capture_output=True, timeout=120, check=False)


def test_list():
    process = bench("--list")
    assert process.returncode == 0
    names = process.stdout.splitlines()
    assert "native/1x16x512^3x64/bf16" in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize("words", [["--cases", "no-such"], ["--no-such"]])
def test_wrong_usage(words):
    process = bench(*words)
    assert process.returncode == 2
    assert "usage" in process.stderr


def test_committed_tables_are_of_the_committed_results():
    process = bench("table", str(ROOT / "docs/results/h100.json"))
    assert process.returncode == 0
    assert process.stdout == (ROOT / "docs/results/h100.md").read_text()


def test_table_of_what_is_not_there(tmp_path):
    process = bench("table", str(tmp_path / "missing.json"))
    assert process.returncode != 0
    assert "missing.json" in process.stderr
    assert "Traceback" not in process.stderr
