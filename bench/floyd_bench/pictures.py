# SPDX-License-Identifier: Apache-2.0
"""Results as pictures: one question each, answered for somebody who has not read anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from .report import duration, size
from .table import DTYPE, WHO, by_who, of_group

COLOR = {"floydattn": "#1f5fa8", "torch": "#d1495b", "torch.compile": "#edae49", "jax": "#66a182"}
MARKER = {"floydattn": "o", "torch": "s", "torch.compile": "D", "jax": "^"}
SHADES = ("#9ec5e8", "#4c8fce", "#174a82")  # light to dark with the head size
KIND = {"forward": "#7fb2e0", "backward": "#1f5fa8"}
GREY = "#666666"
MASK = {"padding": "padding: last half of\nthe pivots, every row", "random": "random half,\n[B,1,N,1,K]",
        "random-full": "random half,\n[B,H,N,M,K]"}  # fmt: skip
STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#999999",
         "axes.grid": True, "grid.color": "#e6e6e6", "grid.linewidth": 0.8, "axes.axisbelow": True, "figure.dpi": 130,
         "xtick.color": "#333333", "ytick.color": "#333333", "legend.frameon": False}  # fmt: skip


def provenance(results: dict) -> str:
    build, machine = results["build"], results["machine"]
    processor = machine["processor"].replace("(R)", "").replace("(TM)", "")
    commit = build["commit"][:7] + (", modified" if build["dirty"] else "")
    return f"{processor} · {machine['system']} · {build['compiler']} · commit {commit}"


def mark(axes: Axes, x: float, y: float, text: str, fontsize: int = 9) -> None:
    """What a bar comes to, at its end, legible over a line."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.annotate(text, (x, y), (4, 0), textcoords="offset points", va="center", fontsize=fontsize, bbox=box)


def entitle(figure: Figure, title: str, *lines: str) -> None:
    """A heading at the left, above everything, whatever the figure's height."""
    inch = 1 / figure.get_size_inches()[1]
    figure.text(0.02, 1 - 0.12 * inch, title, fontsize=13, fontweight="bold", va="top")
    for number, line in enumerate(lines):
        figure.text(0.02, 1 - (0.42 + 0.2 * number) * inch, line, fontsize=9, color=GREY, va="top")
    figure.tight_layout(rect=(0, 0, 1, 1 - (0.42 + 0.2 * len(lines)) * inch))


def explain(figure: Figure) -> None:
    """One legend for all panels, at the heading's right, in the order in which labels first appear."""
    found = {label: bar for axes in reversed(figure.axes) for bar, label in zip(*axes.get_legend_handles_labels())}
    order = list(dict.fromkeys(label for axes in figure.axes for label in axes.get_legend_handles_labels()[1]))
    figure.legend([found[label] for label in order], order, loc="upper right", ncols=len(order), fontsize=9,
                  bbox_to_anchor=(0.99, 0.995))  # fmt: skip


def threads_text(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def cube_text(shape: dict) -> str:
    """Heads and sizes, short: "4 heads, N = 128, D = 64"."""
    heads = shape["B"] * shape["H"]
    many = "" if heads == 1 else f"{heads} heads, "
    return f"{many}N = {shape['N']}, D = {shape['D']}"


# ---- The share of the peak --------------------------------------------------------------------------


def _share_panel(axes: Axes, every: list[dict], dtype: str, kind: str) -> None:
    # Places and shades are those of all types, so that panels can be compared.
    lengths = sorted({case["shape"]["N"] for case in every})
    heads = sorted({case["shape"]["D"] for case in every})
    width = 0.8 / len(heads)
    for case in (case for case in every if case["dtype"] == dtype):
        share = case["contestants"][0].get("share_of_peak", {}).get(kind)
        if not share:
            continue
        which = heads.index(case["shape"]["D"])
        x = lengths.index(case["shape"]["N"]) + (which - (len(heads) - 1) / 2) * width
        axes.bar(x, 100 * share["best"], width * 0.92, color=SHADES[which % 3], label=f"D = {case['shape']['D']}")
        axes.text(x, 100 * share["best"] + 1.5, f"{100 * share['best']:.0f}", ha="center", fontsize=8, color="#333333")
    axes.set_xticks(range(len(lengths)), [str(n) for n in lengths])
    axes.set_xlim(-0.5, len(lengths) - 0.5)
    axes.set_ylim(0, 100)
    axes.grid(axis="x", visible=False)


def share(results: dict) -> Figure | None:
    cases = of_group(results, "size")
    types = [dtype for dtype in DTYPE if any(case["dtype"] == dtype for case in cases)]
    if not any("share_of_peak" in case["contestants"][0] for case in cases):
        return None
    figure, grid = plt.subplots(2, len(types), figsize=(max(8.5, 2.7 * len(types)), 5.8), sharey=True, squeeze=False)
    for column, dtype in enumerate(types):
        for row, kind in enumerate(("forward", "backward")):
            axes = grid[row][column]
            _share_panel(axes, cases, dtype, kind)
            axes.set_title(f"{DTYPE[dtype]}, {kind}", fontsize=10)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        grid[1][column].set_xlabel("N = M = K")
    explain(figure)
    entitle(figure, "Share of the FMA peak", provenance(results),
            f"1 thread, 1 head, kernels {results['software']['isa']}; 100 % = multiply-adds from registers at that vector width "
            "(fp64 bars: the fp64 peak)")  # fmt: skip
    return figure


# ---- Beside the peers -------------------------------------------------------------------------------


def _series(cases: list[dict], who: str, value: Callable[[dict], float | None]) -> tuple[list[int], list[float]]:
    pairs = [(case["shape"]["N"], value(by_who(case)[who])) for case in cases if who in by_who(case)]
    pairs = sorted((n, v) for n, v in pairs if v is not None)
    return [n for n, _ in pairs], [v for _, v in pairs]


def _growth_panel(axes: Axes, cases: list[dict], value: Callable[[dict], float | None], unit: Callable) -> None:
    for who in WHO:
        x, y = _series(cases, who, value)
        if x:
            width, above = (2.4, 3) if who == "floydattn" else (1.6, 2)
            axes.plot(x, y, color=COLOR[who], marker=MARKER[who], markersize=5, linewidth=width, label=WHO[who], zorder=above)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=10 if unit is duration else 8)
    ticks = sorted({case["shape"]["N"] for case in cases})
    axes.set_xticks([n for n in ticks if n & (n - 1) == 0] or ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(base=10 if unit is duration else 8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: unit(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("N = M = K")


def growth(results: dict) -> Figure | None:
    cases = of_group(results, "sweep")
    if len(cases) < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.9))
    _growth_panel(left, cases, lambda entry: entry.get("seconds", {}).get("step", {}).get("min"), duration)
    # Less than the resolution of resident memory is drawn at that resolution.
    _growth_panel(right, cases, lambda e: max(e["extra_bytes"], 2**18) if "extra_bytes" in e else None, size)
    axis = sorted(case["shape"]["N"] for case in cases)
    cubic = [4 * n**3 for n in axis]
    right.plot(axis, cubic, color="#999999", linestyle=(0, (4, 3)), linewidth=1.2, label="one N × M × K array")
    left.set_title("Time of a step", fontsize=10)
    right.set_title("Memory beyond inputs, output and gradients", fontsize=10)
    for axes in (left, right):
        axes.legend(loc="upper left", fontsize=9)
    first = cases[0]
    entitle(figure, "A training step as N grows: forward and all five gradients", provenance(results),
            f"{DTYPE[first['dtype']]}, {threads_text(first['threads'])}, 1 head, D = {first['shape']['D']}; both axes are "
            "logarithmic; lower is better")  # fmt: skip
    return figure


def _ratio_panel(axes: Axes, cases: list[dict], names: list[str]) -> None:
    height = 0.8 / len(names)
    for row, case in enumerate(cases):
        entries = by_who(case)
        base = entries["floydattn"]["seconds"]["step"]["min"]
        for place, who in enumerate(names):
            if "seconds" not in entries.get(who, {}):
                continue
            ratio = entries[who]["seconds"]["step"]["min"] / base
            y = row + (place - (len(names) - 1) / 2) * height
            axes.barh(y, ratio, height * 0.9, color=COLOR[who], label=WHO[who])
            mark(axes, ratio, y, duration(base) if who == "floydattn" else f"{ratio:.1f}×", 8)
    axes.axvline(1, color=COLOR["floydattn"], linewidth=1)
    axes.set_yticks(range(len(cases)), [cube_text(case["shape"]) for case in cases])
    axes.set_ylim(len(cases) - 0.45, -0.55)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.08)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("time of a step, floydattn = 1")


def beside(results: dict) -> Figure | None:
    cases = [case for case in of_group(results, "peers") if "seconds" in by_who(case).get("floydattn", {})]
    names = [who for who in WHO if any("seconds" in by_who(case).get(who, {}) for case in cases)]
    types = [dtype for dtype in DTYPE if any(case["dtype"] == dtype for case in cases)]
    if len(names) < 2:
        return None
    tallest = max(sum(case["dtype"] == dtype for case in cases) for dtype in types)
    extent = (max(8.5, 5.2 * len(types)), 1.9 + 0.22 * len(names) * tallest)
    figure, grid = plt.subplots(1, len(types), figsize=extent, squeeze=False)
    for axes, dtype in zip(grid[0], types):
        _ratio_panel(axes, [case for case in cases if case["dtype"] == dtype], names)
        axes.set_title(DTYPE[dtype], fontsize=10)
    explain(figure)
    entitle(figure, "A training step beside the peers", provenance(results),
            f"{threads_text(cases[0]['threads'])}; forward and all five gradients; N = M = K; longer is slower; the time beside "
            "floydattn's bar is its own")  # fmt: skip
    return figure


# ---- Masks and threads ------------------------------------------------------------------------------


def _relative(case: dict, entry: dict, field: str, base: object, kind: str) -> float | None:
    """A contestant's time over that of the case's contestant whose `field` is `base`."""
    first = next((e for e in case["contestants"] if e[field] == base and "seconds" in e), None)
    return entry["seconds"][kind]["min"] / first["seconds"][kind]["min"] if first and "seconds" in entry else None


def masks(results: dict) -> Figure | None:
    cases = of_group(results, "masks")
    if not cases:
        return None
    figure, grid = plt.subplots(1, len(cases), figsize=(max(6.5, 4.6 * len(cases)), 3.9), sharey=True, squeeze=False)
    for axes, case in zip(grid[0], cases):
        entries = [entry for entry in case["contestants"] if entry["mask"] != "none"]
        for row, entry in enumerate(entries):
            for place, kind in enumerate(KIND):
                ratio = _relative(case, entry, "mask", "none", kind)
                if ratio is not None:
                    y = row + (place - 0.5) * 0.38
                    axes.barh(y, ratio, 0.34, color=KIND[kind], label=kind)
                    mark(axes, ratio, y, f"{ratio:.2f}")
        axes.axvline(1, color="#333333", linewidth=1)
        axes.set_yticks(range(len(entries)), [MASK[entry["mask"]] for entry in entries])
        axes.set_ylim(len(entries) - 0.5, -0.5)
        axes.set_xlim(0, max(1.15, axes.get_xlim()[1] * 1.05))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("time, without a mask = 1")
        axes.set_title(cube_text(case["shape"]), fontsize=10)
    explain(figure)
    entitle(figure, "What a mask costs, or saves", provenance(results),
            f"{DTYPE[cases[0]['dtype']]}, 1 thread, 1 head, N = M = K; shorter is faster")  # fmt: skip
    return figure


def scaling(results: dict) -> Figure | None:
    cases = of_group(results, "threads")
    counts = sorted({entry["threads"] for case in cases for entry in case["contestants"]} - {1})
    if not cases or not counts:
        return None
    figure, grid = plt.subplots(1, len(counts), figsize=(max(6.5, 3.4 * len(counts)), 4.2), squeeze=False)
    for axes, count in zip(grid[0], counts):
        for row, case in enumerate(cases):
            entry = next((e for e in case["contestants"] if e["threads"] == count), None)
            for place, kind in enumerate(KIND):
                ratio = _relative(case, entry, "threads", 1, kind) if entry else None
                if ratio:
                    y = row + (place - 0.5) * 0.38
                    axes.barh(y, 1 / ratio, 0.34, color=KIND[kind], label=kind)
                    mark(axes, 1 / ratio, y, f"{1 / ratio:.2f}")
        axes.axvline(count, color="#333333", linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(cases)), [cube_text(case["shape"]) for case in cases] if count == counts[0] else [])
        axes.set_ylim(len(cases) - 0.5, -0.5)
        axes.set_xlim(0, max(count * 1.15, axes.get_xlim()[1] * 1.06))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"times as fast as 1 thread (dashed: {count})")
        axes.set_title(threads_text(count), fontsize=10)
    explain(figure)
    entitle(figure, "Several threads against one", provenance(results),
            f"{DTYPE[cases[0]['dtype']]}, N = M = K; longer is faster")  # fmt: skip
    return figure


PICTURES = {"share-of-peak": share, "growth": growth, "peers": beside, "masks": masks, "threads": scaling}


def draw(results: dict, directory: Path) -> list[Path]:
    """Every picture that the results have numbers for."""
    written = []
    with plt.rc_context(STYLE):
        for name, make in PICTURES.items():
            figure = make(results)
            if figure is None:
                continue
            written.append(directory / f"{name}.png")
            figure.savefig(written[-1], metadata={"Software": None})
            plt.close(figure)
    return written
