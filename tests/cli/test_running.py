# SPDX-License-Identifier: Apache-2.0
"""While the command runs: the terminal, interrupts, and inputs that change."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import numpy as np
import pytest

from conftest import SCALE, floydattn, operands, start
from formats import read_safetensors, write_safetensors

INTERRUPTS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def wait_for(path):
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.01)
    raise TimeoutError(path)


def on_terminal(*arguments, columns=80, stand_in="slow", **env):
    """What the command draws on stderr, and its exit status."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {"TERM": "xterm", "LC_ALL": "C.UTF-8", **env}
    process = start(*arguments, stand_in=stand_in, env=env, stderr=follower, stdout=subprocess.DEVNULL)
    os.close(follower)
    drawn = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # how Linux says that the other side is gone
            break
        if not piece:
            break
        drawn += piece
    os.close(leader)
    return drawn.decode(), process.wait()


def frames(drawn):
    return [frame for frame in drawn.split("\r") if frame.endswith("left\x1b[K")]


def test_bar_on_a_terminal(problem, out):
    drawn, status = on_terminal("forward", problem, "-o", out)
    assert status == 0
    assert len(frames(drawn)) >= 4
    shares = [int(re.search(r"(\d+)%", frame)[1]) for frame in frames(drawn)]
    assert shares == sorted(shares) and 0 < shares[-1] <= 100
    assert re.fullmatch(r"forward  \[█+[ ▏▎▍▌▋▊▉]* *\] +\d+%  \d+:\d\d left\x1b\[K", frames(drawn)[-1])
    last = drawn.split("\r\x1b[K")[-1]
    assert last.startswith("forward of B,H,N,M,K,D = 1,2,3,5,7,4 in F32:") and f"wrote {out}" in last


def test_bar_of_both_passes_never_goes_back(problem, out):
    drawn, status = on_terminal("grad", problem, "-o", out)
    shares = [int(re.search(r"(\d+)%", frame)[1]) for frame in frames(drawn)]
    assert status == 0 and shares == sorted(shares)
    assert {frame.split()[0] for frame in frames(drawn)} == {"forward", "gradient"}


@pytest.mark.parametrize("columns", [20, 30, 40, 200])
def test_bar_fits_the_terminal(problem, out, columns):
    drawn, _ = on_terminal("forward", problem, "-o", out, columns=columns)
    assert len(frames(drawn)) >= 4
    assert all(len(frame.removesuffix("\x1b[K")) < columns or columns < 25 for frame in frames(drawn))


def test_bar_without_unicode(problem, out):
    drawn, _ = on_terminal("forward", problem, "-o", out, LC_ALL="C")
    assert frames(drawn) and drawn.isascii() and "#" in drawn


def test_no_bar_where_it_would_flicker(problem, out):
    drawn, status = on_terminal("forward", problem, "-o", out, stand_in=None)
    assert status == 0 and not frames(drawn) and "wrote" in drawn


@pytest.mark.parametrize("arguments, env", [(["--quiet"], {}), ([], {"TERM": "dumb"})], ids=["quiet", "dumb"])
def test_nothing_where_nothing_is_wanted(problem, out, arguments, env):
    assert on_terminal("forward", problem, "-o", out, *arguments, **env) == ("", 0)


def test_nothing_in_a_pipe(problem, out):
    result = floydattn("forward", problem, "-o", out, stand_in="slow", env={"TERM": "xterm"})
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("interrupt", INTERRUPTS)
@pytest.mark.parametrize("suffix", ["", "/"], ids=["file", "directory"])
@pytest.mark.parametrize("command", ["forward", "grad"])
def test_interrupt_leaves_nothing(problem, out, tmp_path, command, suffix, interrupt):
    called = tmp_path / "called"
    process = start(command, problem, "-o", f"{out}{suffix}", stand_in="endless", env={"STAND_IN_CALLED": called})
    wait_for(called)
    assert list(out.parent.iterdir())
    process.send_signal(interrupt)
    _, message = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in message
    assert not list(out.parent.iterdir())


def test_interrupt_keeps_what_was_there(problem, out, tmp_path):
    out.write_text("old")
    called = tmp_path / "called"
    process = start("forward", problem, "-o", out, stand_in="endless", env={"STAND_IN_CALLED": called})
    wait_for(called)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert [path.read_text() for path in out.parent.iterdir()] == ["old"]


@pytest.mark.parametrize("suffix", ["", "/"], ids=["file", "directory"])
def test_second_interrupt_does_not_wait(problem, out, tmp_path, suffix):
    called = tmp_path / "called"
    process = start("forward", problem, "-o", f"{out}{suffix}", stand_in="stubborn", env={"STAND_IN_CALLED": called})
    wait_for(called)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in message
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("command", ["bench", "selftest"])
def test_interrupt_without_files(tmp_path, command):
    called = tmp_path / "called"
    process = start(command, stand_in="stubborn", env={"STAND_IN_CALLED": called}, stdout=subprocess.DEVNULL)
    wait_for(called)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_ignored_hangups_stay_ignored(problem, out, tmp_path):
    """As under nohup."""
    called = tmp_path / "called"
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    process = start("forward", problem, "-o", out, stand_in="slow", env={"STAND_IN_CALLED": called}, preexec_fn=ignore)
    wait_for(called)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=30) == 0 and out.exists()


def change(problem, tmp_path, out, act, threads=1, command="forward"):
    """The message of a run whose input `act` changes while the library is about to read it."""
    called, go = tmp_path / "called", tmp_path / "go"
    env = {"STAND_IN_CALLED": called, "STAND_IN_GO": go}
    process = start(command, problem, "-s", SCALE, "-o", out, "--threads", threads, stand_in="wait", env=env)
    wait_for(called)
    act()
    go.touch()
    _, message = process.communicate(timeout=60)
    assert process.returncode == 1 and message.count("\n") == 1 and not list(out.parent.iterdir())
    return message


@pytest.fixture
def large(tmp_path):
    """Of several pages, so that cutting it takes whole ones away."""
    path = tmp_path / "large.safetensors"
    write_safetensors(path, operands(h=16, n=8, m=16, k=16, d=64), scale=str(SCALE))
    return path


@pytest.mark.parametrize("command", ["forward", "grad"])
@pytest.mark.parametrize("threads", [1, 4])
def test_input_that_shrinks_under_the_library(large, tmp_path, out, threads, command):
    assert "became shorter" in change(large, tmp_path, out, lambda: os.truncate(large, 4096), threads, command)


@pytest.mark.parametrize("output", ["out.safetensors", "results/"])
def test_nobody_hears_why(large, tmp_path, output):
    """Interrupted, and the reader of stderr is gone: still its own status, and nothing left."""
    called, scene = tmp_path / "called", tmp_path / "scene"
    scene.mkdir()
    reader, writer = os.pipe()
    env = {"STAND_IN_CALLED": called}
    process = start("forward", large, "-o", f"{scene}/{output}", stand_in="endless", env=env, stderr=writer)
    os.close(writer)
    os.close(reader)
    wait_for(called)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130 and not list(scene.iterdir())


@pytest.mark.parametrize("command", ["forward", "grad"])
def test_array_that_shrinks_under_the_library(tmp_path, out, command):
    directory = tmp_path / "large"
    directory.mkdir()
    for name, (_, stored) in operands(h=16, n=8, m=16, k=16, d=64).items():
        np.save(directory / name, stored)
    message = change(directory, tmp_path, out, lambda: os.truncate(directory / "value2.npy", 4096), command=command)
    assert "value2.npy" in message and "became shorter" in message


def test_input_that_shrinks_within_a_page(problem, tmp_path, out):
    size = problem.stat().st_size
    assert "was changed" in change(problem, tmp_path, out, lambda: os.truncate(problem, size - 4))


def test_input_that_is_written_to(problem, tmp_path, out):
    def write():
        with open(problem, "r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\1\1\1\1")

    assert "was changed" in change(problem, tmp_path, out, write)


def test_input_that_is_replaced_or_removed_is_still_read(problem, tmp_path, out):
    called, go = tmp_path / "called", tmp_path / "go"
    process = start("forward", problem, "-o", out, stand_in="wait", env={"STAND_IN_CALLED": called, "STAND_IN_GO": go})
    wait_for(called)
    problem.unlink()
    go.touch()
    assert process.wait(timeout=60) == 0 and read_safetensors(out)[0]


def test_message_clears_the_bar(problem, out, tmp_path):
    leader, follower = pty.openpty()
    env = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "STAND_IN_CALLED": tmp_path / "called"}
    process = start("forward", problem, "-o", out, stand_in="endless", env=env, stderr=follower)
    os.close(follower)
    drawn = b""
    while b"left" not in drawn:
        drawn += os.read(leader, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    drawn += os.read(leader, 4096)
    os.close(leader)
    assert drawn.decode().endswith("\r\x1b[Kfloydattn: interrupted: nothing was written\r\n")
