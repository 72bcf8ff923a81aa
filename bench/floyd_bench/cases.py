# SPDX-License-Identifier: Apache-2.0
"""What is measured: one list of cases, long or quick. A case is one shape in one type, with all contestants that take
turns on it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace

PEERS = ("torch", "torch.compile", "jax")
DTYPES = ("f32", "bf16", "f16", "f64")
GROUPS = {
    "size": "share of the FMA peak by size and head size, one thread",
    "oblong": "axes of unequal length, one thread",
    "odd": "sizes that fit no tile, one thread",
    "floydnet": "FloydNet's own sizes, permuted views of [B,N,N,H,D]",
    "tiny": "one tiny head: what a call costs",
    "masks": "masked against unmasked, one thread",
    "threads": "several threads against one",
    "peers": "a training step beside the peers",
    "sweep": "a training step beside the peers, one head, N from small to large",
}


@dataclass(frozen=True)
class Shape:
    B: int
    H: int
    N: int
    M: int
    K: int
    D: int

    def __str__(self) -> str:
        return ",".join(map(str, (self.B, self.H, self.N, self.M, self.K, self.D)))

    @property
    def positions(self) -> int:
        return self.B * self.H * self.N * self.M * self.K

    def flops(self) -> dict[str, float]:
        unit = float(self.positions * self.D)
        return {"forward": 8 * unit, "backward": 20 * unit, "step": 28 * unit}


@dataclass(frozen=True)
class Variant:
    """One contestant of a case."""

    who: str = "floydattn"
    threads: int = 1
    mask: str = "none"


@dataclass(frozen=True)
class Case:
    group: str
    shape: Shape
    dtype: str = "f32"
    layout: str = "contiguous"
    variants: tuple[Variant, ...] = (Variant(),)
    memory: bool = False

    @property
    def name(self) -> str:
        return f"{self.group}/{self.shape}/{self.dtype}"

    @property
    def threads(self) -> int:
        return max(variant.threads for variant in self.variants)

    def to_json(self) -> dict:
        return {"name": self.name, **asdict(self)}


def from_json(given: dict) -> Case:
    return Case(given["group"], Shape(**given["shape"]), given["dtype"], given["layout"],
                tuple(Variant(**variant) for variant in given["variants"]), given["memory"])


def cube(n: int, d: int, b: int = 1, h: int = 1) -> Shape:
    return Shape(b, h, n, n, n, d)


def thread_counts(processors: int) -> list[int]:
    """1, 2, 4 ... and all of them; 2 also where there is one processor, so that the cost shows."""
    counts = {1, 2, processors}
    power = 4
    while power < processors:
        counts.add(power)
        power *= 2
    return sorted(counts)


def sizes(quick: bool) -> list[Case]:
    if quick:
        cases = [Case("size", cube(n, d)) for n in (128, 256) for d in (32, 64, 128)]
        return cases + [Case("size", cube(128, 64), dtype) for dtype in DTYPES[1:]]
    return [Case("size", cube(n, d), dtype) for dtype in DTYPES for n in (128, 256, 512) for d in (32, 64, 128)]


def shapes(quick: bool) -> list[Case]:
    oblong = [Shape(1, 1, 16, 256, 256, 128), Shape(1, 1, 16, 4096, 512, 128), Shape(1, 1, 16, 512, 4096, 128)]
    odd = [cube(100, 64), cube(200, 64), Shape(1, 1, 255, 257, 130, 48)]
    cases = [Case("oblong", shape) for shape in oblong[: 1 if quick else 3]]
    cases += [Case("odd", shape) for shape in (odd[:1] if quick else odd)]
    floydnet = [cube(20, 64, 32, 4), cube(48, 64, 8, 4)]
    cases += [Case("floydnet", shape, layout="floydnet", variants=(Variant(threads=2),)) for shape in floydnet]
    return cases + [Case("tiny", cube(8, 8))]


def masks(quick: bool) -> list[Case]:
    kinds = ("none", "padding", "random", "random-full")
    variants = tuple(Variant(mask=kind) for kind in kinds)
    return [Case("masks", cube(n, 64), variants=variants) for n in ((128,) if quick else (128, 256))]


def scaling(quick: bool, processors: int) -> list[Case]:
    variants = tuple(Variant(threads=count) for count in thread_counts(processors))
    shapes = [cube(128, 64)] if quick else [cube(128, 64), cube(256, 64), cube(128, 64, 1, 8), cube(256, 64, 1, 4)]
    return [Case("threads", shape, variants=variants) for shape in shapes]


def beside_peers(quick: bool, threads: int) -> list[Case]:
    long = [cube(128, 64, 1, 4), cube(256, 32, 1, 2), cube(256, 64, 1, 4), cube(256, 128, 1, 1), cube(512, 64, 1, 1),
            cube(100, 64, 2, 4), cube(48, 64, 8, 4), cube(20, 64, 32, 4)]
    shapes = [cube(128, 64, 1, 4), cube(48, 64, 8, 4)] if quick else long
    sweep = (32, 64, 128, 256) if quick else (32, 48, 64, 96, 128, 192, 256, 384, 512)
    everyone = tuple(Variant(who, threads) for who in ("floydattn", *PEERS))
    cases = [Case("peers", shape, dtype, variants=everyone, memory=True) for dtype in ("f32", "bf16") for shape in shapes]
    cases += [Case("sweep", cube(n, 64), variants=everyone, memory=True) for n in sweep]
    return [without_compile(case) for case in cases] if quick else cases


def without_compile(case: Case) -> Case:
    """The quick list has time to compile one shape for each type."""
    if case.shape == cube(128, 64, 1, 4):
        return case
    return replace(case, variants=tuple(v for v in case.variants if v.who != "torch.compile"))


def plan(quick: bool, threads: int, peers: bool) -> list[Case]:
    cases = sizes(quick) + shapes(quick) + masks(quick) + scaling(quick, len(os.sched_getaffinity(0)))
    cases += beside_peers(quick, threads)
    if peers:
        return cases
    return [replace(case, variants=tuple(v for v in case.variants if v.who == "floydattn")) for case in cases]
