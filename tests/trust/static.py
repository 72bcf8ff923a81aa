#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs static analysers over src and reference, each file as the build compiles it, and prints what they find.

    static.py select BUILD              BUILD/analysed/compile_commands.json: one command for each object of src and reference
    static.py gcc|clang-tidy|cppcheck BUILD     what that finds, as lines "FILE: MESSAGE [CHECK]"
"""
import json
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path.cwd()


def select(build: Path) -> None:
    """The tests compile some of src again, to reach inside or to stand in for a GPU: that is left out, but for src/cuda."""
    chosen, seen = [], set()
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = os.path.relpath(entry["file"], ROOT)
        objects = os.path.relpath(os.path.join(entry["directory"], shlex.split(entry["command"])[-3]), build)
        own = objects.startswith(("src/", "reference/"))
        host_cuda = source.startswith("src/cuda/") and source.endswith(".c") and source not in seen
        if source.startswith(("src/", "reference/")) and (own or host_cuda) and source.endswith(".c"):
            chosen.append(entry)
            seen.add(source)
    missing = {str(path) for room in ("src", "reference") for path in Path(room).rglob("*.c")} - seen
    if missing:
        sys.exit(f"nobody compiles {sorted(missing)}")
    (build / "analysed").mkdir(exist_ok=True)
    (build / "analysed/compile_commands.json").write_text(json.dumps(chosen, indent=1))


def gcc(build: Path, entry: dict) -> str:
    words = shlex.split(entry["command"])
    words[words.index("-o") + 1] = os.devnull
    return run([words[0], "-fanalyzer", "-fdiagnostics-plain-output", *words[1:], "-Og"], entry["directory"])


def clang_tidy(build: Path, entry: dict) -> str:
    return run(["clang-tidy", "-p", str((build / "analysed").resolve()), "--quiet", entry["file"]], ".", stderr=subprocess.DEVNULL)


def run(command: list[str], directory: str, stderr: int = subprocess.STDOUT) -> str:
    answer = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=stderr, text=True,
                            env={**os.environ, "LC_ALL": "C"})
    if answer.returncode != 0 and not re.search(r"(warning|error): ", answer.stdout):
        sys.exit(f"{shlex.join(command)}: {answer.stdout or answer.returncode}")
    return answer.stdout


def cppcheck(build: Path) -> str:
    return run(["cppcheck", f"--project={build}/analysed/compile_commands.json", "--enable=warning,performance,portability",
                "--inline-suppr", "--quiet", f"-j{os.cpu_count()}", "--suppress=missingIncludeSystem",
                "--template={file}:{line}: warning: {message} [{id}]"], ".")


def findings(text: str) -> set[str]:
    """Without line numbers, so that a list of known ones lives longer."""
    lines = re.findall(r"^([^\s:]+):\d+(?::\d+)?: (?:warning|error): (.*)$", text, re.M)
    return {f"{os.path.relpath(file, ROOT)}: {message.replace(',-warnings-as-errors', '')}" for file, message in lines}


def analyse(tool: str, build: Path) -> None:
    started = time.monotonic()
    if tool == "cppcheck":
        texts = [cppcheck(build)]
    else:
        entries = json.loads((build / "analysed/compile_commands.json").read_text())
        if tool == "clang-tidy":  # reads every command of a file by itself
            entries = list({entry["file"]: entry for entry in entries}.values())
        else:  # on kernel.c, inlined whole, gcc's analyser takes minutes and gigabytes
            entries = [entry for entry in entries if not entry["file"].endswith("kernel/kernel.c")]
        entries.sort(key=lambda entry: "kernel.c" not in entry["file"])  # what takes longest begins first
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            texts = list(pool.map(lambda entry: {"gcc": gcc, "clang-tidy": clang_tidy}[tool](build, entry), entries))
    (build / f"{tool}.log").write_text("\n".join(texts))
    print(*sorted(set().union(*map(findings, texts))), sep="\n")
    print(f"{tool}: {time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    what, where = sys.argv[1:]
    if what == "select":
        select(Path(where))
    else:
        analyse(what, Path(where))
