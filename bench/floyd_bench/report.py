# SPDX-License-Identifier: Apache-2.0
"""What a person sees while it runs: a line for each case."""

from __future__ import annotations

from .cases import Case


def say(text: str) -> None:
    print(text, flush=True)


def duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def size(count: float) -> str:
    mib = count / 2**20
    if mib < 1:
        return f"{count / 1024:.3g} KiB"
    return f"{mib / 1024:.3g} GiB" if mib >= 1000 else f"{mib:.2g} MiB" if mib < 10 else f"{mib:.0f} MiB"


def begin(number: int, total: int, case: Case) -> None:
    print(f"[{number}/{total}] {case.name}", end="", flush=True)


def note(text: str) -> None:
    """In the midst of a case's line."""
    say(f"\n    note: {text}")


def _kinds(entry: dict) -> str:
    seconds, shares = entry["seconds"], entry.get("share_of_peak", {})
    kinds = ("forward", "backward") if "forward" in seconds else ("step",)
    parts = []
    for kind in kinds:
        share = f" ({100 * shares[kind]['best']:.0f} % of peak)" if kind in shares else ""
        parts.append(f"{kind} {duration(seconds[kind]['min'])}{share}")
    return ", ".join(parts)


def _line(entry: dict) -> str:
    mask = f", mask {entry['mask']}" if entry["mask"] != "none" else ""
    who = f"{entry['who']}, {entry['threads']} thread{'s' if entry['threads'] > 1 else ''}{mask}"
    if "skipped" in entry:
        return f"{who}: left out"
    if "failed" in entry:
        return f"{who}: FAILED: {entry['failed']}"
    memory = f", {size(entry['extra_bytes'])} extra" if "extra_bytes" in entry else ""
    return f"{who}: {_kinds(entry)}{memory}"


def end(result: dict, seconds: float) -> None:
    say(f" ({seconds:.1f} s)")
    if "failed" in result:
        say(f"    FAILED: {result['failed']}")
    for entry in result["contestants"]:
        say(f"    {_line(entry)}")
