"""The profile's choice of engine for each verb, and what machine this is."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch


@dataclass(kw_only=True, slots=True)
class Engines:
    """Section `engines` of the profile: who does each kind of work."""

    chat: str
    sft: str
    logits: str
    distill: str
    generate: str
    serve: str


def describe() -> dict[str, str | int]:
    """The machine and the versions behind a timing."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "xgrammar")},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
