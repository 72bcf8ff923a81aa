# SPDX-License-Identifier: Apache-2.0
"""Usage, the system's failures, and what the commands that need no file print."""

import json
import os
import re
import resource
import subprocess
from pathlib import Path

import pytest

from conftest import COMMAND, environment, floydattn, operands, refused, succeed
from formats import write_safetensors

COMMANDS = ["forward", "grad", "info", "selftest", "bench"]


@pytest.mark.parametrize("arguments", [[]] + [[command] for command in COMMANDS])
def test_help(arguments):
    text = succeed(*arguments, "--help")
    assert text.startswith(" ".join(["Usage: floydattn", *arguments]))
    assert max(map(len, text.splitlines())) < 80
    assert succeed(*arguments, "--usage").startswith("Usage: floydattn")
    assert re.fullmatch(r"floydattn \d+\.\d+\.\d+, on library \d+\.\d+\.\d+\n", succeed(*arguments, "--version"))


def test_man_page_has_every_command_and_option():
    page = (Path(__file__).parents[2] / "docs" / "floydattn.1").read_text().replace("\\", "")
    for command in COMMANDS:
        assert f"floydattn {command}" in page
        for option in re.findall(r"--([a-z-]+)", succeed(command, "--help")):
            assert f"--{option}" in page or option == "usage"


def test_help_names_every_command():
    text = succeed("--help")
    assert all(re.search(rf"^  {command} ", text, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["frobnicate"], "frobnicate is no command"),
        (["--frobnicate"], "--frobnicate"),
        (["forward", "--frobnicate"], "--frobnicate"),
        (["forward"], "no input"),
        (["forward", "in"], "-o OUT"),
        (["forward", "in", "-o", ""], "-o OUT"),
        (["forward", "-o", "out"], "no input"),
        (["forward", "in", "-o"], "argument"),
        (["forward", "in", "-o", "out", "--mask-rule", "replace"], "--mask-rule"),
        (["grad", "in", "-o", "out", "--mask-rule", "zero"], "replace, zero-grad"),
        (["grad", "in", "-o", "out", "--scale", "half"], "0.125"),
        (["grad", "in", "-o", "out", "--scale", "1x"], "0.125"),
        (["grad", "in", "-o", "out", "--scale", "inf"], "0.125"),
        (["grad", "in", "-o", "out", "--scale="], "0.125"),
        (["grad", "in", "-o", "out", "--threads", "0"], "from 1"),
        (["grad", "in", "-o", "out", "--threads", "-1"], "from 1"),
        (["grad", "in", "-o", "out", "--threads", "two"], "from 1"),
        (["grad", "in", "-o", "out", "--threads", "99999999999999999999"], "from 1"),
        (["bench", "--shape", "1,2,3"], "6 whole numbers"),
        (["bench", "--shape", "1,2,3,4,5,6,7"], "6 whole numbers"),
        (["bench", "--shape", "1,2,3,4,5,0"], "6 whole numbers"),
        (["bench", "--shape", "1,2,3,4,5,six"], "6 whole numbers"),
        (["bench", "--dtype", "u8"], "f16, bf16, f32, f64"),
        (["bench", "--repeat", "0"], "from 1"),
        (["bench", "--shape", "1,1,1048576,1048576,1048576,1"], "too large"),
        (["info", "extra"], "Usage"),
        (["selftest", "extra"], "Usage"),
        (["bench", "extra"], "Usage"),
    ],
)
def test_usage(arguments, words):
    result = floydattn(*arguments)
    assert result.returncode == 2 and not result.stdout
    assert words in result.stderr


def test_no_command_prints_the_usage():
    result = floydattn()
    assert result.returncode == 2 and result.stderr.startswith("Usage: floydattn")


def test_output_is_an_input(problem):
    before = problem.read_bytes()
    assert "is an input" in refused(2, "forward", problem, "-o", problem)
    assert problem.read_bytes() == before


def test_output_is_a_device(problem):
    assert "regular" in refused(2, "forward", problem, "-o", "/dev/null")


def test_output_directory_is_a_file(problem, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(2, "forward", problem, "-o", f"{tmp_path}/file/")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("place", ["{}/missing/out", "{}/missing/out/", "/proc/out", "/proc/out/"])
def test_directory_that_cannot_be_written(problem, tmp_path, place):
    assert "-o" in refused(3, "forward", problem, "-o", place.format(tmp_path))


@pytest.mark.parametrize("suffix", ["", "/"], ids=["file", "directory"])
@pytest.mark.parametrize("stage", ["reserve", "write"])
def test_no_room(problem, out, suffix, stage):
    """A limit on the size of files stands for a full disk."""
    room = {"reserve": 150, "write": 60}[stage]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))  # noqa: E731
    assert "make room" in refused(3, "grad", problem, "-o", f"{out}{suffix}", preexec_fn=limit)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("arguments", [["info"], ["info", "--json"], ["--help"]])
def test_stdout_is_full(arguments):
    with open("/dev/full", "w") as full:
        result = subprocess.run([COMMAND, *arguments], env=environment(), stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 3 and "No space" in result.stderr


def test_no_memory():
    result = floydattn("bench", "--shape", "1,1,536870912,536870912,1,1")
    assert result.returncode == 3 and "floydattn: no memory for" in result.stderr


def test_instruction_set_that_is_not_there(problem, out):
    for arguments in (["forward", problem, "-o", out], ["selftest"], ["bench"], ["info"]):
        assert "FLOYDATTN_ISA" in refused(3, *arguments, env={"FLOYDATTN_ISA": "abacus"})
    assert not list(out.parent.iterdir())


def test_info():
    text = succeed("info")
    for word in ("version", "compiler", "processor", "memory", "system", "threads", "kernels"):
        assert re.search(rf"^{word} ", text, re.MULTILINE)
    assert len(re.findall(r"^(?:kernels|       )    \S+ +runs ", text, re.MULTILINE)) == 1
    facts = json.loads(succeed("info", "--json"))
    chosen = [kernel["name"] for kernel in facts["kernels"] if kernel["chosen"]]
    assert len(chosen) == 1 and all(kernel["reason"] for kernel in facts["kernels"])
    assert facts["machine"]["processors_usable"] == len(os.sched_getaffinity(0)) == facts["default_threads"]


def test_info_shows_settings():
    text = succeed("info", env={"FLOYDATTN_NUM_THREADS": 3})
    assert "FLOYDATTN_NUM_THREADS=3" in text and re.search(r"^threads +3 ", text, re.MULTILINE)


def test_info_of_bytes_that_are_no_text():
    facts = json.loads(succeed("info", "--json", env={"OMP_NUM_THREADS": os.fsdecode(b"4\xff")}))
    assert facts["settings"]["OMP_NUM_THREADS"] == "4?"


def test_every_supported_kernel_passes():
    for kernel in json.loads(succeed("info", "--json"))["kernels"]:
        if not kernel["supported"]:
            continue
        lines = succeed("selftest", env={"FLOYDATTN_ISA": kernel["name"]}).splitlines()
        assert f"kernel {kernel['name']}," in lines[0]
        assert all(line.startswith("PASS") for line in lines[2:]) and len(lines) > 10


@pytest.mark.parametrize("fault, words", [("wrong", "y is"), ("unsteady", "threads give other bits")])
def test_selftest_sees_a_fault(fault, words):
    result = floydattn("selftest", stand_in=fault)
    assert result.returncode == 3 and "computes wrongly" in result.stderr
    assert re.search(rf"^FAIL  .*{words}", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64"])
def test_bench(dtype):
    shape = {"B": 2, "H": 1, "N": 5, "M": 6, "K": 7, "D": 8}
    arguments = ["bench", "--shape", ",".join(map(str, shape.values())), "--dtype", dtype, "-t", 2, "-r", 3]
    facts = json.loads(succeed(*arguments, "--json"))
    assert facts["shape"] == shape and (facts["dtype"], facts["threads"], facts["repeats"]) == (dtype, 2, 3)
    assert facts["machine"]["compiler"] and facts["peak_gflops_per_s_per_thread"] > 0
    for name, work in (("forward", 8), ("backward", 20)):
        timing = facts[name]
        assert timing["flops"] == work * 2 * 5 * 6 * 7 * 8
        assert 0 < timing["min_s"] <= timing["median_s"] and 0 < timing["share_of_peak"] < 1
        assert timing["gflops_per_s"] == pytest.approx(timing["flops"] / timing["min_s"] / 1e9, rel=1e-3)
        assert timing["workspace_bytes"] >= 0
    text = succeed(*arguments)
    assert "forward" in text and "backward" in text and "Peak" in text


def test_bench_verifies_first():
    message = refused(3, "bench", "--shape", "1,1,1,1,7,8", stand_in="wrong")
    assert "wrong results" in message


@pytest.mark.parametrize("command", ["forward", "grad"])
@pytest.mark.parametrize("library, status", [*((n, 1) for n in range(1, 7)), (7, 2), (8, 3), (9, 3), (10, 3), (11, 130), (99, 3)])
def test_each_status_of_the_library(problem, out, command, library, status):
    result = floydattn(command, problem, "-o", out, stand_in="refuse", env={"STAND_IN_STATUS": library})
    assert result.returncode == status and not list(out.parent.iterdir())


def test_library_errors_name_their_argument(tmp_path, out):
    tensors = operands()
    tensors["key2"] = ("F32", tensors["key2"][1][:, :, :-1])
    write_safetensors(tmp_path / "in", tensors, scale="1")
    message = refused(1, "forward", tmp_path / "in", "-o", out)
    assert message.startswith(f"floydattn: {tmp_path}/in: key2 has ")
