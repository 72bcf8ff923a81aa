# SPDX-License-Identifier: Apache-2.0
"""The operator in fp64 by plain einsums, a few heads at a time, on whatever device the tensors are on."""

from __future__ import annotations

import torch

from .shapes import INPUTS, Shape

LOWEST = -float(torch.finfo(torch.float32).max)  # what a masked score is replaced by
ROOM = 2**31  # bytes of one buffer of scores


def _forward(t: dict[str, torch.Tensor], scale: float, mask: torch.Tensor | None) -> dict[str, torch.Tensor]:
    scores = torch.einsum("hnmd,hnkd->hnmk", t["q"], t["k1"])
    scores += torch.einsum("hnmd,hkmd->hnmk", t["q"], t["k2"])
    scores *= scale
    if mask is not None:
        scores.masked_fill_(mask, LOWEST)
    largest = scores.amax(-1, keepdim=True)
    weights = scores.sub_(largest).exp_()
    total = weights.sum(-1, keepdim=True)
    weights /= total
    y = torch.einsum("hnmk,hnkd->hnmd", weights, t["v1"]) + torch.einsum("hnmk,hkmd->hnmd", weights, t["v2"])
    return {"weights": weights, "max": largest, "sum": total, "y": y}


def _backward(t: dict[str, torch.Tensor], f: dict[str, torch.Tensor], scale: float, masked: torch.Tensor | None) -> dict:
    """masked: where dS is 0 although P is not."""
    weights, dy, q = f["weights"], t["dy"], t["q"]
    ds = torch.einsum("hnmd,hnkd->hnmk", dy, t["v1"]) + torch.einsum("hnmd,hkmd->hnmk", dy, t["v2"])
    ds -= (dy * f["y"]).sum(-1, keepdim=True)
    ds *= weights * scale
    if masked is not None:
        ds.masked_fill_(masked, 0)
    return {
        "dq": torch.einsum("hnmk,hnkd->hnmd", ds, t["k1"]) + torch.einsum("hnmk,hkmd->hnmd", ds, t["k2"]),
        "dk1": torch.einsum("hnmk,hnmd->hnkd", ds, q),
        "dk2": torch.einsum("hnmk,hnmd->hkmd", ds, q),
        "dv1": torch.einsum("hnmk,hnmd->hnkd", weights, dy),
        "dv2": torch.einsum("hnmk,hnmd->hkmd", weights, dy),
    }


def compute(inputs: dict[str, torch.Tensor], shape: Shape, rule: int) -> dict[str, torch.Tensor]:
    """All outputs in fp64. The scale is rounded to fp32, as the library says it does."""
    scale = float(torch.tensor(shape.scale(), dtype=torch.float32))
    heads = max(1, min(shape.H, ROOM // (8 * shape.N * shape.M * shape.K)))
    found: dict[str, list[list[torch.Tensor]]] = {}
    for batch in range(shape.B):
        mask = inputs["mask"][batch].bool() if "mask" in inputs else None
        for first in range(0, shape.H, heads):
            part = {name: inputs[name][batch, first : first + heads].double() for name in (*INPUTS, "dy")}
            forward = _forward(part, scale, mask)
            outputs = forward | _backward(part, forward, scale, mask if rule else None)
            for name, tensor in outputs.items():
                if name != "weights":
                    found.setdefault(name, [[] for _ in range(shape.B)])[batch].append(tensor)
    return {name: torch.stack([torch.cat(row) for row in rows]) for name, rows in found.items()}
