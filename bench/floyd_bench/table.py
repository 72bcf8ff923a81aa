# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown, for the README and the documents."""

from __future__ import annotations

from .report import duration, size

DTYPE = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "f64": "fp64"}
WHO = {"floydattn": "floydattn", "torch": "PyTorch eager", "torch.compile": "torch.compile", "jax": "JAX jit"}
MASK = {"none": "none", "padding": "padding: the last half of the pivots, every row", "random": "random, [B,1,N,1,K]",
        "random-full": "random, [B,H,N,M,K]"}  # fmt: skip


def of_group(results: dict, *groups: str) -> list[dict]:
    return [case for case in results["cases"] if case["group"] in groups and case["contestants"]]


def by_who(case: dict) -> dict[str, dict]:
    return {entry["who"]: entry for entry in case["contestants"]}


def sizes(shape: dict) -> str:
    return " × ".join(str(shape[axis]) for axis in "BHNMKD")


def heading(results: dict) -> str:
    """One sentence about machine and build."""
    machine, build, software = results["machine"], results["build"], results["software"]
    commit = build["commit"][:7] + (" with local changes" if build["dirty"] else "")
    return f"{machine['processor']}, {machine['system']}, {build['compiler']}, kernels {software['isa']}, commit {commit}."


def rows(header: list[str], body: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body]) + "\n"


def _timed(entry: dict, kind: str) -> str:
    if "seconds" not in entry:
        return "failed" if "failed" in entry else ""
    share = entry.get("share_of_peak", {}).get(kind)
    return duration(entry["seconds"][kind]["min"]) + (f", {100 * share['best']:.0f} %" if share else "")


def alone(results: dict) -> str:
    body = []
    for case in of_group(results, "size", "oblong", "odd", "floydnet", "tiny"):
        entry = case["contestants"][0]
        workspace = entry.get("workspace_bytes", {})
        body.append([sizes(case["shape"]), DTYPE[case["dtype"]], str(entry["threads"]), _timed(entry, "forward"),
                     _timed(entry, "backward"), size(workspace.get("forward", 0)), size(workspace.get("backward", 0))])  # fmt: skip
    return rows(["B × H × N × M × K × D", "type", "threads", "forward", "backward", "workspace forward", "backward"], body)


def _step(entry: dict | None, ours: dict | None) -> str:
    if entry is None or "seconds" not in entry:
        return "failed" if entry and "failed" in entry else "–"
    text = duration(entry["seconds"]["step"]["min"])
    if ours and entry is not ours and "seconds" in ours:
        text += f" ({entry['seconds']['step']['min'] / ours['seconds']['step']['min']:.1f} ×)"
    return text


def _extra(entry: dict | None) -> str:
    return size(entry["extra_bytes"]) if entry and "extra_bytes" in entry else "–"


def peers(results: dict) -> str:
    cases = of_group(results, "peers", "sweep")
    present = [who for who in WHO if any("seconds" in by_who(case).get(who, {}) for case in cases)]
    times, room = [], []
    for case in cases:
        entries = by_who(case)
        label = [sizes(case["shape"]), DTYPE[case["dtype"]]]
        times.append(label + [_step(entries.get(who), entries.get("floydattn")) for who in present])
        room.append(label + [_extra(entries.get(who)) for who in present])
    header = ["B × H × N × M × K × D", "type", *(WHO[who] for who in present)]
    return f"Time of a step (and how many times floydattn's):\n\n{rows(header, times)}\nMemory:\n\n{rows(header, room)}"


def masks(results: dict) -> str:
    body = []
    for case in of_group(results, "masks"):
        base = next((e for e in case["contestants"] if e["mask"] == "none" and "seconds" in e), None)
        for entry in case["contestants"]:
            row = [sizes(case["shape"]), MASK[entry["mask"]]]
            for kind in ("forward", "backward"):
                text = duration(entry["seconds"][kind]["min"]) if "seconds" in entry else "failed"
                if base and "seconds" in entry and entry is not base:
                    text += f" ({entry['seconds'][kind]['min'] / base['seconds'][kind]['min']:.2f} ×)"
                row.append(text)
            body.append(row)
    return rows(["B × H × N × M × K × D", "mask", "forward", "backward"], body)


def threads(results: dict) -> str:
    body = []
    for case in of_group(results, "threads"):
        base = next((e for e in case["contestants"] if e["threads"] == 1 and "seconds" in e), None)
        for entry in case["contestants"]:
            row = [sizes(case["shape"]), str(entry["threads"])]
            for kind in ("forward", "backward"):
                text = duration(entry["seconds"][kind]["min"]) if "seconds" in entry else "failed"
                if base and "seconds" in entry and entry is not base:
                    text += f" ({base['seconds'][kind]['min'] / entry['seconds'][kind]['min']:.2f} × as fast)"
                row.append(text)
            body.append(row)
    return rows(["B × H × N × M × K × D", "threads", "forward", "backward"], body)


def ceilings(results: dict) -> str:
    """The spread of what the processor could do over the whole run."""
    found: dict[tuple, list[float]] = {}
    for case in results["cases"]:
        for ceiling in case["ceilings"]:
            real = "fp64" if case["dtype"] == "f64" else "fp32"
            found.setdefault((ceiling["name"], real, ceiling["threads"]), []).append(ceiling["max"])
    names = {"fma_peak": f"FMA peak, {results['software']['isa']}", "gemm": results["software"]["blas"] or "BLAS"}
    body = [[names[name], real, str(count), f"{min(all) / 1e9:.1f} to {max(all) / 1e9:.1f}"]
            for (name, real, count), all in sorted(found.items())]  # fmt: skip
    return rows(["ceiling", "type", "threads", "GFLOP/s over the run"], body)


SECTIONS = (
    ("Ceilings", ("",), ceilings, "What the processor did in the same run."),
    ("floydattn alone", ("size", "oblong", "odd", "floydnet", "tiny"), alone,
     "Best time, and the share of the FMA peak measured in the same case."),
    ("Beside the peers", ("peers", "sweep"), peers,
     "One training step: forward, and backward with all five gradients. Best time; memory beyond inputs, output and gradients."),
    ("Masks", ("masks",), masks, "Best time, and how many times that without a mask."),
    ("Threads", ("threads",), threads, "Best time, and how many times as fast as one thread."),
)  # fmt: skip


def render(results: dict) -> str:
    parts = [f"Measured on {heading(results)}\n"]
    if not results["complete"]:
        parts.append("The run was cut short: some cases are missing.\n")
    for title, groups, make, text in SECTIONS:
        if groups == ("",) or of_group(results, *groups):
            parts.append(f"## {title}\n\n{text}\n\n{make(results)}")
    return "\n".join(parts)
