#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Trains a small FloydNet to count triangles in real graphs: once with the einsums of its own package and once with floydattn in
their place, from the same start, and shows that nothing changes but time and memory.

    pip install . torch floydnet networkx matplotlib tqdm
    python3 examples/train_floydnet.py                  # all graphs of the atlas of Read and Wilson (at most 7 nodes)
    python3 examples/train_floydnet.py --graphs novel   # pieces of 24 to 48 nodes of the characters of "Les Miserables"

Each run has a process of its own, so that its memory can be told. Out comes floydnet.png, with both curves, in the directory
that --output names, and the figures.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import networkx as nx
import torch
from tqdm import tqdm

import floydattn
from floydnet import PivotalAttentionBlock

ATTENTIONS = ("floydnet", "floydattn")


# ---- Graphs --------------------------------------------------------------------------------------------------------


def atlas() -> list[nx.Graph]:
    """All graphs of one to seven nodes."""
    return [graph for graph in nx.graph_atlas_g() if len(graph) > 0]


def novel(count: int = 512) -> list[nx.Graph]:
    """Who appears with whom: connected pieces, grown from a random character to a random size."""
    whole, chance = nx.les_miserables_graph(), random.Random(7)
    people = sorted(whole)
    pieces = []
    for _ in range(count):
        size, piece = chance.randint(24, 48), [chance.choice(people)]
        while len(piece) < size:
            near = sorted({other for person in piece for other in whole[person]} - set(piece))
            piece.append(chance.choice(near))
        pieces.append(whole.subgraph(piece))
    return pieces


def triangles(graph: nx.Graph) -> float:
    return sum(nx.triangles(graph).values()) / 3


class Batch:
    """Graphs padded to one size: what is known of each pair of nodes, where there is no node, and what is asked."""

    def __init__(self, graphs: list[nx.Graph], spread: float) -> None:
        size = max(len(graph) for graph in graphs)
        self.pairs = torch.zeros(len(graphs), size, size, 2)
        self.absent = torch.ones(len(graphs), size, dtype=torch.bool)
        for i, graph in enumerate(graphs):
            n = len(graph)
            self.pairs[i, :n, :n, 0] = torch.from_numpy(nx.to_numpy_array(graph, weight=None)).float()
            self.pairs[i, :n, :n, 1] = torch.eye(n)
            self.absent[i, :n] = False
        self.counts = torch.tensor([triangles(graph) for graph in graphs]) / spread


# ---- The model -----------------------------------------------------------------------------------------------------


class FloydNet(torch.nn.Module):
    """Pairs of nodes through blocks of pivotal attention; the count is a sum over pairs."""

    def __init__(self, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.embed = torch.nn.Linear(2, width)
        self.blocks = torch.nn.ModuleList(PivotalAttentionBlock(width, heads) for _ in range(blocks))
        self.norm = torch.nn.LayerNorm(width)
        self.read = torch.nn.Linear(width, 1)

    def forward(self, batch: Batch) -> torch.Tensor:
        x = self.embed(batch.pairs)
        mask = batch.absent[:, None, None, None, :]  # pivots that are no nodes
        for block in self.blocks:
            x = block(x, mask)
        there = ~batch.absent
        both = there[:, :, None] & there[:, None, :]
        values = self.read(self.norm(x)).squeeze(-1).masked_fill(~both, 0)
        return values.sum((1, 2)) / there.sum(1)


# ---- Training ------------------------------------------------------------------------------------------------------


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def train(options: argparse.Namespace) -> dict:
    """The loss of every step, seconds, and how far training raised the peak of memory."""
    torch.manual_seed(0)
    if options.attention == "floydattn":
        floydattn.patch_floydnet()
    graphs = {"atlas": atlas, "novel": novel}[options.graphs]()
    random.Random(0).shuffle(graphs)
    counts = torch.tensor([triangles(graph) for graph in graphs])
    batches = [Batch(graphs[i : i + options.batch], counts.std().item()) for i in range(0, len(graphs), options.batch)]
    model = FloydNet(options.width, options.heads, options.blocks)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate)
    losses, times, before = [], [], peak_bytes()
    bar = tqdm(range(options.steps), desc=f"{options.attention:>9}", unit="step", disable=None)  # none but on a terminal
    for step in bar:
        batch, start = batches[step % len(batches)], time.perf_counter()
        loss = torch.nn.functional.mse_loss(model(batch), batch.counts)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.4f}")
    return {"losses": losses, "seconds": sum(times), "bytes": peak_bytes() - before}


def in_own_process(attention: str, arguments: list[str]) -> dict:
    command = [sys.executable, __file__, *arguments, "--attention", attention]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    return json.loads(done.stdout)


# ---- What came of it -----------------------------------------------------------------------------------------------


def draw(results: dict[str, dict], path: Path, title: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (curve, seconds, memory) = pyplot.subplots(1, 3, figsize=(12, 4), width_ratios=(3, 1, 1), layout="constrained")
    figure.suptitle(title)
    for (name, result), style in zip(results.items(), ({"linewidth": 5, "alpha": 0.4}, {"linewidth": 1.2})):
        curve.plot(result["losses"], label=name, **style)
    curve.set(xlabel="step", ylabel="mean squared error", yscale="log")
    curve.legend()
    colors = ["tab:blue", "tab:orange"]
    seconds.bar(list(results), [result["seconds"] for result in results.values()], color=colors)
    seconds.set(title="time", ylabel="s")
    memory.bar(list(results), [result["bytes"] / 2**20 for result in results.values()], color=colors)
    memory.set(title="memory", ylabel="MiB")
    figure.savefig(path, dpi=120)


def report(results: dict[str, dict]) -> None:
    theirs, ours = (results[name] for name in ATTENTIONS)
    apart = max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(theirs["losses"], ours["losses"]))
    for name, result in results.items():
        print(f"{name:>9}: {result['seconds']:7.1f} s  {result['bytes'] / 2**20:7.0f} MiB  last loss {result['losses'][-1]:.6f}")
    print(f"losses differ by at most {apart:.1e} of themselves in {len(ours['losses'])} steps")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", choices=("atlas", "novel"), default="atlas")
    parser.add_argument("--attention", choices=ATTENTIONS, help="train with this one alone, and print JSON")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, help="graphs per step (64; 8 for novel)")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--output", type=Path, default=Path("."), help="a directory")
    options = parser.parse_args()
    options.batch = options.batch or {"atlas": 64, "novel": 8}[options.graphs]
    return options


def main() -> None:
    options = parse()
    if options.attention:
        json.dump(train(options), sys.stdout)
        return
    results = {name: in_own_process(name, sys.argv[1:]) for name in ATTENTIONS}
    report(results)
    path = options.output / "floydnet.png"
    draw(results, path, f"FloydNet counts triangles: {options.graphs}, {options.steps} steps")
    print(f"the picture: {path}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
