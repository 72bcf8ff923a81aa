# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown, short enough to be read in a terminal, and one line for each case while it runs."""

from __future__ import annotations

from floyd_bench.report import duration, size
from floyd_bench.table import rows

from .shapes import GRADIENTS

OUTPUTS = ("y", *GRADIENTS)
WHO = ("floydattn", "torch.compile", "torch", "jax")


def _trouble(case: dict) -> str:
    """Why there is no figure."""
    return f"FAILED: {case['failed']}" if "failed" in case else f"left out: {case['skipped']}" if "skipped" in case else ""


def _time(case: dict, kind: str) -> str:
    times = case["seconds"][kind]
    return f"{duration(times['median'])} (min {duration(times['min'])}, {times['runs']} runs)"


def _worst(case: dict, kind: str) -> tuple[str, float]:
    found = {name: case["errors"][name][kind] for name in OUTPUTS}
    lost = [name for name, value in found.items() if value is None]
    if lost:
        return lost[0], float("nan")
    name = max(found, key=lambda name: found[name])
    return name, found[name]


def line(case: dict) -> str:
    """While it runs."""
    if "right" in case:
        name, value = _worst(case, "rms")
        text = f"{'right' if case['right'] else 'WRONG'}, rms at most {value:.1e} ({name}){_faults(case)}"
    elif "value" in case:
        text = f"{case['value']:.4g} {case['unit']}"
    else:
        text = ", ".join(f"{kind} {_time(case, kind)}{_rate(case, kind)}" for kind in case.get("seconds", {}))
    return f"{case['name']}: {' '.join(word for word in (_trouble(case), text) if word)} [{case['took']} s]"


def _rate(case: dict, kind: str) -> str:
    return f" {case['tflops'][kind]:.3g} TFLOP/s" if "tflops" in case else ""


def _faults(case: dict) -> str:
    words = (("wrong", "wrong"), ("not_repeated", "differs when repeated"), ("differ_alone", "differs alone"))
    return "".join(f"; {text}: {' '.join(case[name])}" for name, text in words if case[name])


def of_part(results: dict, *parts: str) -> list[dict]:
    return [case for case in results["cases"] if case["part"] in parts]


def _name(case: dict) -> str:
    return case["name"].split("/", 1)[-1]


def heading(results: dict) -> str:
    machine = results["machine"]
    card = machine.get("card", {})
    words = [card.get("name", "no GPU"), f"driver {card['driver']}" if card.get("driver") else "",
             f"CUDA {card['cuda']}" if card.get("cuda") else "", f"{card['sms']} SMs" if card.get("sms") else "",
             machine.get("processor", ""),
             *(f"{name} {version}" for name, version in machine.get("packages", {}).items() if version),
             f"commit {results['commit']}"]  # fmt: skip
    return ", ".join(word for word in words if word) + ".\n" + ("" if results["complete"] else "The run was cut short.\n")


def checks(results: dict) -> str:
    body = []
    for case in of_part(results, "check"):
        if "errors" not in case:
            body.append([_name(case), _trouble(case), "", ""])
            continue
        (_, rms), (name, most) = _worst(case, "rms"), _worst(case, "max")
        forward = case["errors"]["y"]["rms"]
        body.append([_name(case), ("right" if case["right"] else "WRONG") + _faults(case),
                     f"{forward if forward is not None else float('nan'):.1e}", f"{rms:.1e} / {most:.1e} {name}"])  # fmt: skip
    return rows(["case", "", "y rms", "worst rms / max"], body)


def _shares(results: dict, case: dict, kind: str) -> str:
    """Of the FMA peak and of the fp32 product, for fp32 alone."""
    peak = results["machine"].get("card", {}).get("fma_peak_tflops")
    product = next((c["value"] for c in of_part(results, "ceilings") if "fp32" in c["name"] and "value" in c), None)
    wholes = ((peak, "FMA"), (product, "GEMM"))
    rate = 100 * case["tflops"][kind] if "tflops" in case else 0
    words = [f"{rate / whole:.0f} % of {name}" for whole, name in wholes if whole]
    return f" ({', '.join(words)})" if words and case["dtype"] == "f32" and case["part"] == "fp32" else ""


def speeds(results: dict) -> str:
    body = []
    for case in of_part(results, "native", "small", "fp32"):
        if "tflops" not in case:
            body.append([_name(case), _trouble(case)] + [""] * 5)
            continue
        row = [_name(case) + (" " + _trouble(case) if "failed" in case else "")]
        for kind in ("forward", "backward"):
            times = case["seconds"][kind]
            row += [f"{duration(times['median'])} ({duration(times['min'])}; {times['runs']})",
                    f"{case['tflops'][kind]:.3g}{_shares(results, case, kind)}"]  # fmt: skip
        row += [f"{case['times_published']:.1f} ×" if "times_published" in case else "",
                size(case["workspace_bytes"]["backward"])]  # fmt: skip
        body.append(row)
    return rows(["case", "forward median (min; runs)", "TFLOP/s", "backward", "TFLOP/s", "published/ours", "workspace"], body)


def peers(results: dict) -> str:
    found: dict[str, dict[str, dict]] = {}
    for case in of_part(results, "peers"):
        label, who = _name(case).rsplit("/", 1)
        found.setdefault(label, {})[who] = case
    body = []
    for label, by_who in found.items():
        ours = by_who.get("floydattn", {}).get("seconds")
        body.append([label, *(_contestant(by_who.get(who, {}), ours if who != "floydattn" else None) for who in WHO)])
    return rows(["step: median, memory", *WHO], body)


def _contestant(case: dict, ours: dict | None) -> str:
    if "seconds" not in case:
        return _trouble(case)[:80]
    median = case["seconds"]["step"]["median"]
    times = f" ({median / ours['step']['median']:.1f} ×)" if ours else ""
    memory = case.get("memory_bytes")
    return f"{duration(median)}{times}{', ' + size(memory) if memory is not None else ''}"


def ceilings(results: dict) -> str:
    body = []
    for case in of_part(results, "ceilings"):
        value = f"{case['value']:.4g} {case['unit']}" if "value" in case else _trouble(case)
        body.append([_name(case), value, ", ".join(f"{k} {v}" for k, v in case.get("clocks_under_load", {}).items())])
    return rows(["ceiling", "", "under load"], body)


def memory(results: dict) -> str:
    body = []
    for case in of_part(results, "memory"):
        if "workspace_bytes" not in case:
            body.append([_name(case), _trouble(case), "", ""])
            continue
        work = case["workspace_bytes"]
        body.append([_name(case), f"{size(work['forward'])} / {size(work['backward'])}", size(case["output_bytes"]),
                     size(case["scores_and_weights_bytes"])])  # fmt: skip
    return rows(["case", "workspace forward / backward", "outputs", "scores and weights, were they written"], body)


SECTIONS = (
    ("Right or wrong", ("check",), checks),
    ("floydattn", ("native", "small", "fp32"), speeds),
    ("Beside the peers", ("peers",), peers),
    ("Ceilings", ("ceilings",), ceilings),
    ("Memory", ("memory",), memory),
)


def render(results: dict) -> str:
    known = [part for _, parts, _ in SECTIONS for part in parts]
    others = [f"{case['name']}: {_trouble(case)}\n" for case in results["cases"] if case["part"] not in known]
    made = [f"## {title}\n\n{make(results)}" for title, parts, make in SECTIONS if of_part(results, *parts)]
    return "\n".join([heading(results), *others, *made])
