# SPDX-License-Identifier: Apache-2.0
"""What the numbers were measured on and with. Settings of the card are read and left alone."""

from __future__ import annotations

import platform
import subprocess

import torch
from floyd_bench import machine as host

QUERY = ("name", "driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit", "temperature.gpu")
PACKAGES = ("numpy", "torch", "jax", "jaxlib", "triton")


def smi(*fields: str) -> dict[str, str]:
    """Of the first card, or nothing where there is none to ask."""
    command = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(fields, (word.strip() for word in text.splitlines()[0].split(",")))) if text else {}


def card() -> dict:
    about = torch.cuda.get_device_properties(0)
    asked = smi(*QUERY)
    clock = asked.get("clocks.max.sm", "")
    return {
        "name": about.name, "compute_capability": f"{about.major}.{about.minor}", "sms": about.multi_processor_count,
        "memory_bytes": about.total_memory, "l2_bytes": getattr(about, "L2_cache_size", None),
        "driver": asked.get("driver_version"), "cuda": torch.version.cuda, "asked": asked,
        "fma_peak_tflops": about.multi_processor_count * 128 * 2 * float(clock) / 1e6 if clock.isdigit() else None,
    }  # fmt: skip


def machine(device: str) -> dict:
    found = host.machine() | {"python": platform.python_version()}
    found |= {"packages": {package: host.version_of(package) for package in PACKAGES}}
    return found | ({"card": card()} if device == "cuda" else {})
