# SPDX-License-Identifier: Apache-2.0
"""What is measured and checked, by part."""

from __future__ import annotations

from dataclasses import dataclass

from .shapes import Shape, cube, smaller

# H, N = M = K, D, and the seconds that the vendor's fused forward takes by its own published figures.
PUBLISHED = ((32, 256, 32, 0.0209), (32, 384, 32, 0.0604), (32, 512, 32, 0.1383), (32, 768, 32, 0.4563),
             (16, 256, 64, 0.0142), (16, 384, 64, 0.0316), (16, 512, 64, 0.1151), (16, 768, 64, 0.3302))  # fmt: skip
FLOYDNET = (cube(32, 4, 20, 64), cube(8, 4, 48, 64), cube(2, 4, 100, 64))
AGAINST = (FLOYDNET[2], cube(1, 16, 256, 64), cube(1, 32, 256, 32), cube(1, 16, 384, 64), *FLOYDNET[:2])
PEERS = ("torch", "torch.compile", "jax")


@dataclass(frozen=True)
class Setting:
    """One problem as it is given to the library."""

    shape: Shape
    dtype: str
    layout: str = "packed"  # or "heads-last": tensors are permuted views of [B,N,M,H,D]
    mask: str = "none"  # "padding": random, [B,1,N,1,K]; "full": that, and every third row masked in full
    rule: int = 0  # floyd_mask_rule
    published: float | None = None

    def name(self) -> str:
        words = [str(self.shape), self.dtype]
        words += [word for word in (self.layout, self.mask) if word not in ("packed", "none")]
        return "/".join(words + (["zero-grad"] if self.rule else []))

    def facts(self) -> dict:
        facts = {"shape": self.shape.facts(), "dtype": self.dtype, "layout": self.layout, "mask": self.mask}
        return facts | ({"published_forward_seconds": self.published} if self.published else {})


CHECKED = (
    (cube(1, 2, 64, 32), "packed", "none", 0),
    (Shape(2, 3, 67, 45, 131, 64), "packed", "none", 0),
    (Shape(2, 3, 67, 45, 131, 64), "heads-last", "padding", 0),
    (Shape(1, 2, 130, 200, 65, 32), "packed", "padding", 0),
    (Shape(2, 2, 33, 70, 50, 32), "packed", "full", 0),
    (Shape(2, 2, 33, 70, 50, 64), "packed", "full", 1),
    (Shape(1, 1, 17, 33, 9, 64), "packed", "none", 0),
    (Shape(1, 2, 31, 29, 37, 20), "packed", "padding", 0),
    (Shape(1, 2, 48, 40, 56, 128), "packed", "none", 0),
    (Shape(1, 3, 1, 5, 130, 64), "packed", "none", 0),
    (cube(2, 4, 100, 64), "heads-last", "padding", 0),
    (cube(1, 2, 256, 64), "packed", "none", 0),
    (cube(1, 2, 256, 32), "packed", "padding", 0),
)  # fmt: skip


def _native() -> list[Setting]:
    return [Setting(cube(1, heads, length, size), dtype, published=seconds)
            for dtype in ("bf16", "f16") for heads, length, size, seconds in PUBLISHED]  # fmt: skip


def _small() -> list[Setting]:
    ways = (("bf16", "packed", "none"), ("bf16", "heads-last", "none"), ("bf16", "packed", "padding"), ("f32", "packed", "none"))
    return [Setting(shape, *way) for shape in FLOYDNET for way in ways]


def settings(part: str, tiny: bool) -> list[Setting]:
    """Of the parts that run the library."""
    found = {
        "check": [Setting(shape, dtype, layout, mask, rule) for shape, layout, mask, rule in CHECKED
                  for dtype in ("bf16", "f16", "f32")],
        "native": _native(),
        "small": _small(),
        "fp32": [Setting(cube(1, 16, length, 64), "f32") for length in (256, 512)],
        "peers": [Setting(shape, "bf16") for shape in AGAINST],
        "memory": [*_native()[:8], *(Setting(shape, "bf16") for shape in FLOYDNET)],
    }[part]  # fmt: skip
    if not tiny:
        return found
    return list(dict.fromkeys(Setting(smaller(s.shape), s.dtype, s.layout, s.mask, s.rule) for s in found))
