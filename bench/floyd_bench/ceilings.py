# SPDX-License-Identifier: Apache-2.0
"""What the processor can do, measured between the contestants: fused multiply-adds from registers, and NumPy's OpenBLAS
on 1024 x 1024 x 1024."""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np

GEMM_SIZE = 1024


class FmaPeak:
    """Flops per second of all threads together, in the vector width of the library's chosen kernels."""

    name = "fma_peak"

    def __init__(self, path: Path, isa: str, fp64: bool, threads: int) -> None:
        self.threads = threads
        if not path.exists():
            raise ImportError(f"no {path.name} in the build (FLOYDATTN_EXAMPLES): no share of the peak is given")
        self.c = ctypes.CDLL(str(path)).floyd_fma_peak
        self.c.restype = ctypes.c_double
        self.arguments = (isa.encode(), int(fp64), 3)
        # On fewer processors than threads each would be measured alone in its turn, and the sum would be too high.
        self.workers = min(threads, len(os.sched_getaffinity(0)))
        self.pool = ThreadPoolExecutor(self.workers)

    def rate(self) -> float:
        return sum(self.pool.map(lambda _: self.c(*self.arguments), range(self.workers)))


class Gemm:
    name = "gemm"

    def __init__(self, fp64: bool, threads: int) -> None:
        self.threads = threads
        self.blas = openblas()
        rng = np.random.default_rng(0)
        real = np.float64 if fp64 else np.float32
        self.a, self.b = (rng.random((GEMM_SIZE, GEMM_SIZE)).astype(real) for _ in range(2))
        self.out = np.empty_like(self.a)
        self.rate()

    def rate(self) -> float:
        self.blas.limit(limits=self.threads)
        start = perf_counter()
        np.matmul(self.a, self.b, out=self.out)
        return 2.0 * GEMM_SIZE**3 / (perf_counter() - start)


def openblas():
    """NumPy's OpenBLAS under threadpoolctl; ImportError where either is missing."""
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(internal_api="openblas")
    if not found.lib_controllers:
        raise ImportError("NumPy's BLAS here is not OpenBLAS: it is not measured")
    return found


def blas_name() -> str:
    library = openblas().info()[0]
    return f"OpenBLAS {library['version']} ({library['architecture']})"


def make_ceilings(peak_library: Path, isa: str, fp64: bool, threads: list[int]) -> tuple[list, list[str]]:
    """Those that can be had here, and why the others cannot."""
    made, notes = [], []
    for count in threads:
        for kind, arguments in ((FmaPeak, (peak_library, isa, fp64, count)), (Gemm, (fp64, count))):
            try:
                made.append(kind(*arguments))
            except (ImportError, OSError) as error:
                notes.append(str(error))
    return made, sorted(set(notes))
