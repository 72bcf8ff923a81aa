# SPDX-License-Identifier: Apache-2.0
"""The peers as contestants: FloydNet's own PyTorch function, eager and compiled, and the same einsum under JAX. Each is
imported when first asked for; whoever lacks one goes without. A step is forward and backward with all five gradients."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from .problem import GRADIENTS, INPUTS, Problem, widen

# floydnet.pivotal_attention takes q_ik, k_ij, k_jk, v_ij, v_jk.
ORDER = ("q", "k1", "k2", "v1", "v2")


class Peer:
    """What ours and the peers have in common: run() gives seconds by kind, results() the outputs of a step."""

    problem: Problem

    def step(self) -> Any:
        raise NotImplementedError

    def run(self, calls: int = 1) -> dict[str, float]:
        start = perf_counter()
        for _ in range(calls):
            self.step()
        return {"step": (perf_counter() - start) / calls}

    def fresh_bytes(self) -> int:
        """The output and the gradients, which a step makes anew."""
        return sum(self.problem.arrays[name].nbytes for name in (*INPUTS, "q"))


class Torch(Peer):
    def __init__(self, problem: Problem, threads: int, compiled: bool) -> None:
        import torch
        from floydnet.functional import pivotal_attention

        torch.set_num_threads(threads)
        self.torch, self.problem = torch, problem
        self.function = torch.compile(pivotal_attention, dynamic=False) if compiled else pivotal_attention
        self.inputs = [self.tensor(name).requires_grad_() for name in ORDER]
        self.dy = self.tensor("dy")

    def tensor(self, name: str) -> Any:
        shared = self.torch.from_numpy(self.problem.arrays[name].view())
        return (shared.view(self.torch.bfloat16) if self.problem.dtype == "bf16" else shared).detach()

    def step(self) -> Any:
        y = self.function(*self.inputs)
        return y.detach(), self.torch.autograd.grad(y, self.inputs, self.dy)

    def results(self) -> dict[str, np.ndarray]:
        y, gradients = self.step()
        return {name: tensor.float().numpy() for name, tensor in zip(("y", *(f"d{x}" for x in ORDER)), (y, *gradients))}


class Jax(Peer):
    def __init__(self, problem: Problem, threads: int) -> None:
        import jax

        self.jax, self.problem = jax, problem
        self.inputs = [self.array(name) for name in (*ORDER, "dy")]
        jax.block_until_ready(self.inputs)
        self.function = jax.jit(self.training_step).lower(*self.inputs).compile()

    def array(self, name: str) -> Any:
        import jax.numpy as jnp

        values = self.problem.arrays[name]
        return jnp.asarray(values.view(jnp.bfloat16.dtype) if self.problem.dtype == "bf16" else values)

    def forward(self, q: Any, k1: Any, k2: Any, v1: Any, v2: Any) -> Any:
        import jax.numpy as jnp

        q = q * self.problem.scale
        scores = jnp.einsum("bhikd,bhijd->bhikj", q, k1) + jnp.einsum("bhikd,bhjkd->bhikj", q, k2)
        weights = self.jax.nn.softmax(scores, axis=-1)
        return jnp.einsum("bhikj,bhijd->bhikd", weights, v1) + jnp.einsum("bhikj,bhjkd->bhikd", weights, v2)

    def training_step(self, *operands: Any) -> Any:
        y, pullback = self.jax.vjp(self.forward, *operands[:5])
        return y, pullback(operands[5])

    def step(self) -> Any:
        return self.jax.block_until_ready(self.function(*self.inputs))

    def results(self) -> dict[str, np.ndarray]:
        y, gradients = self.step()
        return {name: np.asarray(array, np.float32) for name, array in zip(("y", *(f"d{x}" for x in ORDER)), (y, *gradients))}


def make_peer(who: str, problem: Problem, threads: int) -> Peer:
    return Jax(problem, threads) if who == "jax" else Torch(problem, threads, who == "torch.compile")


def distance(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], dtype: str) -> dict[str, float]:
    """For each output the difference's root mean square, relative to that of the peer's values."""
    found = {}
    for name in ("y", *GRADIENTS):
        mine, other = widen(ours[name], dtype), theirs[name].astype(np.float64)
        found[name] = float(np.sqrt(np.square(mine - other).sum() / np.square(other).sum()))
    return found
