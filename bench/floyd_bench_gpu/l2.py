# SPDX-License-Identifier: Apache-2.0
"""Reads a buffer that fits the second cache again and again, past the first. Needs Triton."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

WORDS = 16 * 2**20 // 4
BLOCK = 4096
ROUNDS = 256


@triton.jit
def reader(source, found, words, rounds, block: tl.constexpr):  # type: ignore[no-untyped-def]
    program = tl.program_id(0)
    programs = tl.num_programs(0)
    lane = tl.arange(0, block)
    total = tl.zeros([block], tl.float32)
    for turn in range(rounds):
        start = ((program + turn * programs) * block) % words
        total += tl.load(source + start + lane, cache_modifier=".cg")
    tl.store(found + program, tl.sum(total, axis=0))


class Reader:
    """A call, and how many bytes it reads."""

    def __init__(self, programs: int, device: str) -> None:
        self.source = torch.randn(WORDS, device=device)
        self.found = torch.empty(programs, device=device)
        self.bytes = programs * ROUNDS * BLOCK * 4

    def __call__(self) -> None:
        reader[(self.found.numel(),)](self.source, self.found, WORDS, ROUNDS, BLOCK, num_warps=8)
