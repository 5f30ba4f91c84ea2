"""The profile's choice of engine for each verb, and what machine this is."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(kw_only=True, slots=True)
class Engines:
    """Section `engines` of the profile: who does each kind of work."""

    chat: str
    sft: str
    logits: str
    distill: str
    rl: str
    generate: str
    serve: str


def describe() -> dict[str, str | int]:
    """The machine and the versions behind a timing."""
    gpu = _said(sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")), "Model")
    return {
        "cpu": _said([Path("/proc/cpuinfo")], "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 0,
        **({"gpu": gpu} if gpu else {}),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 0),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "xgrammar")},
    }


def _said(files: Sequence[Path], name: str) -> str | None:
    """What the first line `name: value` of the files says, if there is one."""
    for line in (line for file in files if file.is_file() for line in file.read_text().splitlines()):
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return None
