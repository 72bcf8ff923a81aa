# SPDX-License-Identifier: Apache-2.0
"""floydattn as a contestant: tensors, their calls, and one workspace for all of them."""

from __future__ import annotations

import torch

from .cases import Setting
from .native import TORCH, Call, Library
from .shapes import GRADIENTS, INPUTS, Shape

KINDS = ("forward", "backward")
READ = {"forward": (*INPUTS, "mask", "y", "max", "sum"),
        "backward": (*INPUTS, "mask", "y", "max", "sum", "dy", *GRADIENTS)}  # fmt: skip


def empty(sizes: tuple[int, ...], dtype: torch.dtype, layout: str, device: str) -> torch.Tensor:
    if layout == "packed":
        return torch.empty(sizes, dtype=dtype, device=device)
    batch, heads, first, second, size = sizes
    return torch.empty((batch, first, second, heads, size), dtype=dtype, device=device).permute(0, 3, 1, 2, 4)


def draw_mask(kind: str, shape: Shape, device: str, random: torch.Generator) -> torch.Tensor:
    """Non-zero is masked. No row is masked in full unless that is asked for."""
    mask = torch.randint(0, 2, (shape.B, 1, shape.N, 1, shape.K), dtype=torch.uint8, device=device, generator=random)
    mask[..., 0] = 0
    if kind == "full":
        mask[:, :, ::3] = 1
    return mask


def make_inputs(setting: Setting, device: str, seed: int) -> dict[str, torch.Tensor]:
    """Normal random numbers, rounded to the type; dy among them."""
    random = torch.Generator(device=device).manual_seed(seed)
    tensors = {}
    for name in (*INPUTS, "dy"):
        tensors[name] = empty(setting.shape.sizes(name), TORCH[setting.dtype], setting.layout, device)
        tensors[name].normal_(generator=random)
    if setting.mask != "none":
        tensors["mask"] = draw_mask(setting.mask, setting.shape, device, random)
    return tensors


def make_outputs(setting: Setting, device: str) -> dict[str, torch.Tensor]:
    """Filled with not-a-number, so that what is not written shows."""
    shape, dtype = setting.shape, TORCH[setting.dtype]
    tensors = {name: empty(shape.sizes(name), dtype, setting.layout, device) for name in ("y", *GRADIENTS)}
    for name in ("max", "sum"):
        tensors[name] = torch.empty((shape.B, shape.H, shape.N, shape.M, 1), device=device)
    for tensor in tensors.values():
        tensor.fill_(float("nan"))
    return tensors


class Ours:
    """Both calls on one or more input sets, which share outputs and workspace."""

    def __init__(self, library: Library, setting: Setting, inputs: list[dict[str, torch.Tensor]]) -> None:
        self.outputs = make_outputs(setting, library.device)
        scale = setting.shape.scale()
        self.calls: dict[str, list[Call]] = {kind: [] for kind in KINDS}
        for tensors in (given | self.outputs for given in inputs):
            for kind in KINDS:
                read = {name: tensors[name] for name in READ[kind] if name in tensors}
                self.calls[kind].append(Call(library, kind, read, scale, setting.rule))
        self.workspace_bytes = {kind: self.calls[kind][0].bytes for kind in KINDS}
        room = max(self.workspace_bytes.values())
        self.workspace = torch.full((max(room, 1),), 255, dtype=torch.uint8, device=library.device)
        for call in (call for kind in KINDS for call in self.calls[kind]):
            call.prepare(self.workspace)

    def step(self, which: int = 0) -> None:
        self.calls["forward"][which]()
        self.calls["backward"][which]()

    def beyond_inputs(self) -> int:
        """Bytes of workspace and outputs."""
        return self.workspace.numel() + sum(t.numel() * t.element_size() for t in self.outputs.values())
