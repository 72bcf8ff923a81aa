# SPDX-License-Identifier: Apache-2.0
"""Right or wrong: against fp64, against itself run again, and against one of its heads alone."""

from __future__ import annotations

from dataclasses import replace

import torch

from .cases import Setting
from .native import Library
from .ours import Ours, make_inputs
from .reference import LOWEST, compute
from .shapes import GRADIENTS

COMPARED = ("y", "max", "sum", *GRADIENTS)
TOLERANCE = {"bf16": 1.5e-2, "f16": 2e-3, "f32": 2e-5}  # root mean square, relative
SEED = 20260129
BITS = {2: torch.int16, 4: torch.int32}


def distance(mine: torch.Tensor, exact: torch.Tensor) -> dict[str, float]:
    """The largest difference over the largest value, and the same of root mean squares. A value that is not a number
    gives one."""
    difference = mine.double() - exact
    largest, square = exact.abs().max().item(), exact.square().mean().sqrt().item()
    return {"max": difference.abs().max().item() / (largest or 1), "rms": difference.square().mean().sqrt().item() / (square or 1)}


def same_bits(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    """The outputs that differ."""
    return [name for name in COMPARED
            if not torch.equal(*(t[name].contiguous().view(BITS[t[name].element_size()]) for t in (one, other)))]  # fmt: skip


def run(library: Library, setting: Setting, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    ours = Ours(library, setting, [inputs])
    ours.step()
    return ours.outputs


def alone(library: Library, setting: Setting, inputs: dict, outputs: dict) -> list[str]:
    """The last head of the last batch by itself."""
    shape = replace(setting.shape, B=1, H=1)
    one = {name: (t[-1:] if name == "mask" else t[-1:, -1:]).contiguous() for name, t in inputs.items()}
    wanted = {name: outputs[name][-1:, -1:] for name in COMPARED}
    return same_bits(run(library, replace(setting, shape=shape, layout="packed"), one), wanted)


def finite(number: float) -> float | None:
    return number if number - number == 0 else None


def without_lowest(mine: torch.Tensor, exact: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Maxima with those of fully masked rows taken off, beside which nothing else would count."""
    off = torch.where(exact < LOWEST / 2, LOWEST, 0.0)
    return mine.double() - off, exact - off


def check(library: Library, setting: Setting) -> dict:
    inputs = make_inputs(setting, library.device, SEED)
    outputs = run(library, setting, inputs)
    again = same_bits(run(library, setting, inputs), outputs)
    apart = alone(library, setting, inputs, outputs)
    exact = compute(inputs, setting.shape, setting.rule)
    outputs["max"], exact["max"] = without_lowest(outputs["max"], exact["max"])
    errors = {name: distance(outputs[name], exact[name]) for name in COMPARED}
    wrong = [name for name, error in errors.items() if not error["rms"] <= TOLERANCE[setting.dtype]]
    return {
        "errors": {name: {kind: finite(value) for kind, value in error.items()} for name, error in errors.items()},
        "wrong": wrong, "not_repeated": again, "differ_alone": apart, "right": not (wrong or again or apart),
    }  # fmt: skip
