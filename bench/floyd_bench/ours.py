# SPDX-License-Identifier: Apache-2.0
"""floydattn as a contestant: arguments and workspace are made once, outside what is timed, as a training loop would."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from .cases import Variant
from .native import Call, Library, aligned, describe
from .problem import GRADIENTS, INPUTS, Problem, draw_mask, make, sizes_of, wide_type


class Floydattn:
    def __init__(self, library: Library, problem: Problem, variant: Variant) -> None:
        self.problem, self.variant = problem, variant
        shape, dtype = problem.shape, problem.dtype
        self.arrays = {name: problem.arrays[name] for name in (*INPUTS, "dy")}
        for name in ("y", *GRADIENTS):
            self.arrays[name] = make(sizes_of(shape, name), dtype, problem.layout)
        for name in ("max", "sum"):
            self.arrays[name] = make(sizes_of(shape, name), wide_type(dtype), "contiguous")
        self.mask = draw_mask(variant.mask, shape)
        tensors = {name: describe(array, self.type_of(name)) for name, array in self.arrays.items()}
        if self.mask is not None:
            tensors["mask"] = describe(self.mask, "u8")
        self.calls = {kind: Call(library, kind, tensors, problem.scale, variant.threads) for kind in ("forward", "backward")}
        workspace = aligned(max(call.bytes for call in self.calls.values()), np.uint8)
        for call in self.calls.values():
            call.prepare(workspace)

    def type_of(self, name: str) -> str:
        return wide_type(self.problem.dtype) if name in ("max", "sum") else self.problem.dtype

    def outputs(self) -> dict[str, np.ndarray]:
        return {name: self.arrays[name] for name in ("y", *GRADIENTS)}

    def poison(self) -> None:
        """Every output becomes NaN, so that what is left unwritten fails each comparison."""
        for name in ("y", "max", "sum", *GRADIENTS):
            self.arrays[name][...] = 0x7FFF if self.type_of(name) == "bf16" else np.nan

    def run(self, calls: int = 1) -> dict[str, float]:
        """Seconds of each kind of call, the mean over this many."""
        seconds = {}
        for kind, call in self.calls.items():
            start = perf_counter()
            for _ in range(calls):
                call()
            seconds[kind] = (perf_counter() - start) / calls
        return {**seconds, "step": sum(seconds.values())}

    def workspace(self) -> dict[str, int]:
        return {kind: call.bytes for kind, call in self.calls.items()}
