# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess

import numpy as np
import pytest

from formats import encode, write_safetensors

COMMAND = os.environ["FLOYDATTN_COMMAND"]
STAND_IN = os.environ["FLOYDATTN_STAND_IN"]
SCALE = 0.25
SHAPES = {"query": "NMD", "key1": "NKD", "value1": "NKD", "key2": "KMD", "value2": "KMD", "dy": "NMD"}


def environment(stand_in=None, **more):
    # Under AddressSanitizer: a preloaded library comes before its runtime, and no memory is an answer to be tested.
    env = dict(os.environ, ASAN_OPTIONS="verify_asan_link_order=0:allocator_may_return_null=1")
    for name in ("FLOYDATTN_ISA", "FLOYDATTN_NUM_THREADS", "OMP_NUM_THREADS"):
        env.pop(name, None)
    if stand_in:
        # LD_PRELOAD is split at spaces, the path of libraries is not.
        directory, name = os.path.split(STAND_IN)
        env.update(LD_PRELOAD=f"{name} {env.get('LD_PRELOAD', '')}", LD_LIBRARY_PATH=directory, STAND_IN=stand_in)
    env.update({name: str(value) for name, value in more.items()})
    return env


def default_signals():
    """What started the tests may have left interrupts ignored: nohup, or a shell's &."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def floydattn(*arguments, stand_in=None, env=None, **options):
    """Runs the command to its end."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)], env=environment(stand_in, **(env or {})), capture_output=True, text=True,
        timeout=120, preexec_fn=options.pop("preexec_fn", default_signals), **options)  # fmt: skip


def start(*arguments, stand_in=None, env=None, **options):
    """Starts the command, for what happens while it runs."""
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)], env=environment(stand_in, **(env or {})), text=True,
        preexec_fn=options.pop("preexec_fn", default_signals), **options)  # fmt: skip


def succeed(*arguments, **options):
    result = floydattn(*arguments, **options)
    assert (result.returncode, result.stderr) == (0, ""), result
    return result.stdout


def refused(status, *arguments, **options):
    """The message of a run that must end with this status."""
    result = floydattn(*arguments, **options)
    assert result.returncode == status, result
    assert result.stderr.startswith("floydattn") and result.stderr.endswith("\n"), result
    return result.stderr


def operands(dtype="F32", b=1, h=2, n=3, m=5, k=7, d=4, mask=None, seed=0):
    """name -> (dtype, stored array) of a whole problem; its mask is a shape, or None."""
    random = np.random.default_rng(seed)
    size = {"N": n, "M": m, "K": k, "D": d}
    tensors = {
        name: (dtype, encode(random.standard_normal([b, h] + [size[a] for a in axes]), dtype))
        for name, axes in SHAPES.items()
    }
    if mask is not None:
        values = random.random(mask) < 0.4
        values[:, :, -1] = True  # whole rows
        tensors["atten_mask"] = ("BOOL", values)
    return tensors


@pytest.fixture
def problem(tmp_path):
    """A small file that everything is right with."""
    path = tmp_path / "in.safetensors"
    write_safetensors(path, operands(), scale=str(SCALE))
    return path


@pytest.fixture
def out(tmp_path):
    """Where a result would go, in a directory of its own, so that nothing else may lie there afterwards."""
    directory = tmp_path / "out"
    directory.mkdir()
    return directory / "out.safetensors"
