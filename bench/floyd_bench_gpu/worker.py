# SPDX-License-Identifier: Apache-2.0
"""A framework in a process of its own: `python -m floyd_bench_gpu.worker torch|jax DEVICE`. It reads one request a line,
JSON, and answers each with one line that starts with MARK: first {"prepare": [shapes], "seconds": s}, then
{"who", "shape", "budget"} as often as there are cases."""

from __future__ import annotations

import json
import os
import sys
from time import monotonic

from .shapes import ITEM, Shape

MARK = "@floyd "
COPIES = 8  # of the scores, at most, that a step of einsums holds at a time


def say(answer: dict) -> None:
    print(MARK + json.dumps(answer), flush=True)


def short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]


def prepare(peer, request: dict) -> dict:  # type: ignore[no-untyped-def]
    """Compiles what it can in the time; says what it could not."""
    from .peers import TimeLimit

    end, notes = monotonic() + request["seconds"], {}
    for facts in request["prepare"]:
        shape, start = Shape(**facts), monotonic()
        try:
            if start >= end:
                raise TimeoutError("no time left")
            peer.prepare(shape, end - start)
            notes[str(shape)] = f"compiled in {monotonic() - start:.1f} s"
        except (Exception, TimeLimit) as error:  # whatever a compiler may raise
            notes[str(shape)] = short(error)
    return {"ready": True, "notes": notes}


def answer(peer, request: dict) -> dict:  # type: ignore[no-untyped-def]
    shape = Shape(**request["shape"])
    wanted, free = COPIES * shape.scores() * ITEM["bf16"], request.get("free_bytes")
    if free and wanted > free:
        return {"skipped": f"would not fit: {wanted / 2**30:.0f} GiB of scores, {free / 2**30:.0f} GiB free"}
    try:
        return peer.measure(request["who"], shape, request["budget"])
    except Exception as error:  # out of memory has a class of its own in each framework
        text = short(error)
        return {"skipped" if "memory" in text.lower() or "RESOURCE_EXHAUSTED" in text else "failed": text}


def main(framework: str, device: str) -> None:
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "4")  # there are several workers
    if device == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    from .peers import make_peer

    peer = make_peer(framework, device)
    for line in sys.stdin:
        request = json.loads(line)
        say(prepare(peer, request) if "prepare" in request else answer(peer, request))


if __name__ == "__main__":
    main(*sys.argv[1:3])
