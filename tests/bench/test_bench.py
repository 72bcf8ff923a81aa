# SPDX-License-Identifier: Apache-2.0
"""The benchmark as its users start it, on small cases: what it writes, and that it cannot be content with wrong results."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BUILD = os.environ["FLOYDATTN_BUILD"]
WRONG = os.environ["FLOYDATTN_WRONG"]
BENCH = Path(__file__).resolve().parents[2] / "bench"
TINY = "tiny/1,1,8,8,8,8/f32"


def start(output, *words):
    env = {**os.environ, "PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("FLOYDATTN_ISA", None)
    command = [sys.executable, "-m", "floyd_bench", "--build", BUILD, "--output", str(output), "--repeat", "2", *words]
    # What started the tests may have left interrupts ignored.
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))  # fmt: skip


def bench(output, *words):
    process = start(output, *words)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def results_of(output):
    return json.loads((output / "results.json").read_text())


def test_what_is_written(tmp_path):
    status, _, err = bench(tmp_path, "--no-peers", "--only", "^tiny/")
    assert (status, err) == (0, "")
    results = results_of(tmp_path)
    assert results["schema"] == 1 and results["kind"] == "floydattn-bench" and results["complete"]
    assert {"processor", "system", "kernel"} <= set(results["machine"])
    assert {"compiler", "flags", "commit", "dirty"} <= set(results["build"])
    assert "-O3" in results["build"]["flags"] or results["software"]["isa"] == "portable"
    assert {"floydattn", "isa", "numpy", "torch", "jax"} <= set(results["software"])
    (case,) = results["cases"]
    assert case["name"] == TINY and case["flops"]["step"] == 28 * 8**4
    (peak,) = [c for c in case["ceilings"] if c["name"] == "fma_peak"]
    assert peak["max"] > 1e8 and peak["threads"] == 1
    (entry,) = case["contestants"]
    assert entry["who"] == "floydattn" and 0 < entry["error_of_tolerance"] <= 1
    for kind in ("forward", "backward", "step"):
        seconds = entry["seconds"][kind]
        assert len(seconds["samples"]) == 2 and 0 < seconds["min"] <= seconds["median"]
        assert 0 < entry["share_of_peak"][kind]["best"] < 1
    assert set(entry["workspace_bytes"]) == {"forward", "backward"}
    assert "8 × 8 × 8 × 8" in (tmp_path / "tables.md").read_text()


def test_masks_views_and_types_are_right(tmp_path):
    status, _, err = bench(tmp_path, "--no-peers", "--quick", "--only", "masks|floydnet/32|size/1,1,128,128,128,64/")
    assert (status, err) == (0, "")
    cases = results_of(tmp_path)["cases"]
    assert {case["dtype"] for case in cases} == {"f32", "bf16", "f16", "f64"}
    (masks,) = [case for case in cases if case["group"] == "masks"]
    assert [entry["mask"] for entry in masks["contestants"]] == ["none", "padding", "random", "random-full"]
    assert all(0 < entry["error_of_tolerance"] <= 1 for case in cases for entry in case["contestants"])


@pytest.mark.parametrize("error", ["0.01", "nan"])
def test_a_wrong_result_fails_and_is_not_timed(tmp_path, monkeypatch, error):
    monkeypatch.setenv("FLOYDATTN_WRONG_BY", error)
    status, _, err = bench(tmp_path, "--no-peers", "--only", "^tiny/", "--library", WRONG)
    assert status == 1 and "wrong result" in err
    (entry,) = results_of(tmp_path)["cases"][0]["contestants"]
    assert "wrong result" in entry["failed"] and "seconds" not in entry
    assert entry["error_of_tolerance"] is None if error == "nan" else entry["error_of_tolerance"] > 1


@pytest.mark.skipif(any(map(importlib.util.find_spec, ("torch", "jax"))), reason="peers are here")
def test_goes_on_without_peers(tmp_path):
    status, out, err = bench(tmp_path, "--only", "peers/32,4,20,20,20,64/f32")
    assert (status, err) == (0, "")
    assert "torch is not here" in out and "jax is not here" in out
    ours, *others = results_of(tmp_path)["cases"][0]["contestants"]
    assert "seconds" in ours and ours["extra_bytes"] > 0 and all("skipped" in other for other in others)


def test_an_interrupt_keeps_what_was_measured(tmp_path):
    process = start(tmp_path, "--no-peers", "--only", "size/1,1,128,128,128,32/f32|size/1,1,512,512,512,(64|128)/f64")
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if (tmp_path / "results.json").exists() and results_of(tmp_path)["cases"]:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "") and "1 of 3 cases are kept" in out
    results = results_of(tmp_path)
    assert not results["complete"] and "seconds" in results["cases"][0]["contestants"][0]
    assert "cut short" in (tmp_path / "tables.md").read_text()


@pytest.mark.parametrize("words", [["--repeat", "0"], ["--threads", "many"], ["--only", "["], ["--only", "nothing"],
                                   ["frobnicate"], ["--frobnicate"]])  # fmt: skip
def test_wrong_usage(tmp_path, words):
    status, out, err = bench(tmp_path, *words)
    assert (status, out) == (2, "")
    assert err.startswith("bench: ") and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_something_missing(tmp_path):
    status, _, err = bench(tmp_path, "--library", str(tmp_path / "none.so"))
    assert status == 3 and err.count("\n") == 1 and "build first" in err
    status, _, err = bench(tmp_path, "table")
    assert status == 3 and err.count("\n") == 1
