# SPDX-License-Identifier: Apache-2.0
"""What the numbers were measured on and with: processor, system, compiler, flags, commit and libraries."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
from importlib import metadata
from pathlib import Path


def _first(pattern: str, text: str, default: str = "unknown") -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1).strip().strip('"') if found else default


def _read(path: Path | str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def core_of(processor: int) -> str:
    """The hardware core that a processor is a thread of."""
    return _read(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list").strip() or str(processor)


def processors_for(threads: int) -> list[int]:
    """As many processors of those allowed here, each on a core of its own as far as there are."""
    allowed = sorted(os.sched_getaffinity(0))
    seen: set[str] = set()
    own, shared = [], []
    for processor in allowed:
        core = core_of(processor)
        (shared if core in seen else own).append(processor)
        seen.add(core)
    return sorted((own + shared)[:threads])


def machine() -> dict:
    cpuinfo = _read("/proc/cpuinfo")
    return {
        "processor": _first(r"^model name\s*: (.*)", cpuinfo, platform.machine()),
        "processors_usable": len(os.sched_getaffinity(0)),
        "processors_present": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": _first(r"^PRETTY_NAME=(.*)", _read("/etc/os-release")),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
    }


def flags_of(build: Path, isa: str) -> str:
    """How the chosen kernels were compiled, without what only says where files are."""
    try:
        commands = json.loads(_read(build / "compile_commands.json") or "[]")
    except ValueError:
        commands = []
    wanted = f"FLOYD_SUFFIX={isa.replace('-', '_')}_f32"
    for entry in commands:
        words = shlex.split(entry.get("command", ""))
        if any(wanted in word for word in words):
            return " ".join(w for w in words[1:] if w.startswith(("-O", "-m", "-f", "-std", "-g", "-DNDEBUG")))
    return "unknown"


def compiler(directory: Path) -> str:
    """As CMake found it: "GCC 12.2.0"."""
    found = "".join(_read(path) for path in sorted(directory.glob("CMakeFiles/*/CMakeCCompiler.cmake")))
    name = _first(r'^set\(CMAKE_C_COMPILER_ID "(.*)"\)', found)
    return f"{'GCC' if name == 'GNU' else name} {_first(r'^set.CMAKE_C_COMPILER_VERSION (.*).$', found, '')}".strip()


def build(root: Path, directory: Path, isa: str) -> dict:
    dirty = _output("git", "-C", str(root), "status", "--porcelain")
    return {
        "compiler": compiler(directory),
        "flags": flags_of(directory, isa),
        "build_type": _first(r"^CMAKE_BUILD_TYPE:[A-Z]+=(.*)", _read(directory / "CMakeCache.txt")),
        "commit": _output("git", "-C", str(root), "rev-parse", "HEAD") or "unknown",
        "dirty": bool(dirty),
    }


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def blas() -> str | None:
    import numpy  # noqa: F401 (loads its BLAS)

    from .ceilings import blas_name

    try:
        return blas_name()
    except ImportError:
        return None


def software(library: Path) -> dict:
    """Asked of a worker, because it loads the library."""
    from .native import Library

    loaded = Library(library)
    packages = ("numpy", "torch", "floydnet", "jax", "jaxlib", "matplotlib")
    return {"floydattn": loaded.version(), "isa": loaded.chosen_isa(), "isas": loaded.isas(), "blas": blas(),
            "python": platform.python_version(), **{package: version_of(package) for package in packages}}  # fmt: skip
