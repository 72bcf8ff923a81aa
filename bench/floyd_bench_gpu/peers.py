# SPDX-License-Identifier: Apache-2.0
"""The peers: FloydNet's attention as its authors write it, eager and compiled, and the same einsums under JAX. A step is
forward and backward with all five gradients. Softmax is computed in fp32 and gives the operands' type, as in
torch.softmax. Each framework is imported when first asked for."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from .shapes import Shape
from .timing import by_host

ORDER = ("q", "k1", "k2", "v1", "v2")
SETS = 2


def pivotal(einsum: Callable, softmax: Callable, q_ik: Any, k_ij: Any, k_jk: Any, v_ij: Any, v_jk: Any) -> Any:
    """As pivotal_attention of the package floydnet 1.1.0 computes it, without mask and dropout."""
    q_ik = q_ik * (1.0 / math.sqrt(2.0 * q_ik.shape[-1]))
    scores = einsum("bhikd,bhijd->bhikj", q_ik, k_ij) + einsum("bhikd,bhjkd->bhikj", q_ik, k_jk)
    weights = softmax(scores)
    return einsum("bhikj,bhijd->bhikd", weights, v_ij) + einsum("bhikj,bhjkd->bhikd", weights, v_jk)


class TimeLimit(BaseException):
    """Not an Exception: compilers catch those."""


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Cut short by a signal: for work that is in Python."""

    def stop(*_: Any) -> None:
        raise TimeLimit(f"not done in {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01), 1.0)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class TorchPeer:
    """Eager and compiled, by the name of the one that is asked for."""

    def __init__(self, device: str) -> None:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        torch._dynamo.config.recompile_limit = 64  # one for each size
        self.torch, self.device = torch, device
        self.compiled = torch.compile(self.eager, dynamic=False)
        self.ready: set[Shape] = set()

    def eager(self, *operands: Any) -> Any:
        torch = self.torch
        return pivotal(torch.einsum, lambda scores: torch.softmax(scores, dim=-1), *operands)

    def inputs(self, shape: Shape, seed: int) -> tuple[list[Any], Any]:
        random = self.torch.Generator(device=self.device).manual_seed(seed)
        drawn = [self.torch.empty(shape.sizes(name), dtype=self.torch.bfloat16, device=self.device).normal_(generator=random)
                 for name in (*ORDER, "dy")]  # fmt: skip
        return [tensor.requires_grad_() for tensor in drawn[:5]], drawn[5]

    def step(self, function: Callable, inputs: list[Any], dy: Any) -> Any:
        y = function(*inputs)
        return y.detach(), self.torch.autograd.grad(y, inputs, dy)

    def wait(self, _: Any = None) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def prepare(self, shape: Shape, seconds: float) -> None:
        def compile_it() -> None:
            self.step(self.compiled, *self.inputs(shape, 0))
            self.wait()

        within(seconds, compile_it)
        self.ready.add(shape)
        self.drop()

    def drop(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.empty_cache()

    def memory(self, call: Callable[[], Any]) -> int | None:
        """The peak of one step beyond what was there: outputs and all that is made on the way."""
        if self.device != "cuda":
            return None
        self.wait()
        cuda = self.torch.cuda
        cuda.reset_peak_memory_stats()
        before = cuda.memory_allocated()
        call()
        self.wait()
        return cuda.max_memory_allocated() - before

    def measure(self, who: str, shape: Shape, budget: float) -> dict:
        if who == "torch.compile" and shape not in self.ready:
            return {"skipped": "was not compiled in time; eager is beside it"}
        function = self.compiled if who == "torch.compile" else self.eager
        sets = [self.inputs(shape, seed) for seed in range(SETS)]
        calls = [partial(self.step, function, *given) for given in sets]
        times = by_host(calls, self.wait, budget)
        found = {"seconds": {"step": times}, "memory_bytes": self.memory(calls[0])}
        del sets, calls
        self.drop()
        return found


class JaxPeer:
    def __init__(self, device: str) -> None:
        import jax

        self.jax, self.device = jax, device
        found = jax.devices()[0].platform
        if device == "cuda" and found == "cpu":
            raise RuntimeError("JAX sees no GPU")
        self.compiled: dict[Shape, Any] = {}

    def softmax(self, scores: Any) -> Any:
        import jax.numpy as jnp

        return self.jax.nn.softmax(scores.astype(jnp.float32), axis=-1).astype(scores.dtype)

    def step(self, *operands: Any) -> Any:
        import jax.numpy as jnp

        y, pullback = self.jax.vjp(lambda *five: pivotal(jnp.einsum, self.softmax, *five), *operands[:5])
        return y, pullback(operands[5])

    def prepare(self, shape: Shape, _: float) -> None:
        import jax.numpy as jnp

        given = [self.jax.ShapeDtypeStruct(shape.sizes(name), jnp.bfloat16) for name in (*ORDER, "dy")]
        self.compiled[shape] = self.jax.jit(self.step).lower(*given).compile()
        self.inputs(shape, 0)  # compiles that, too

    def inputs(self, shape: Shape, seed: int) -> list[Any]:
        import jax.numpy as jnp

        keys = self.jax.random.split(self.jax.random.key(seed), 6)
        drawn = [self.jax.random.normal(key, shape.sizes(name), jnp.bfloat16) for key, name in zip(keys, (*ORDER, "dy"))]
        return self.jax.block_until_ready(drawn)

    def measure(self, _: str, shape: Shape, budget: float) -> dict:
        if shape not in self.compiled:
            return {"skipped": "was not compiled in time"}
        compiled = self.compiled[shape]
        calls = [partial(compiled, *self.inputs(shape, seed)) for seed in range(SETS)]
        about = compiled.memory_analysis()
        bytes_ = about.temp_size_in_bytes + about.output_size_in_bytes if about else None
        return {"seconds": {"step": by_host(calls, self.jax.block_until_ready, budget)}, "memory_bytes": bytes_}


def make_peer(framework: str, device: str) -> TorchPeer | JaxPeer:
    return JaxPeer(device) if framework == "jax" else TorchPeer(device)
