"""This machine: Python, cores and threads, memory, GPU, and the number format that `auto` is here."""

import os
import platform
import tomllib
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

from supertiny.core.config import profile_path
from supertiny.core.findings import Finding, missing, ok, warning
from supertiny.core.machine import describe
from supertiny.doctor.packages import PYPROJECT, Asked


def findings(asked: Asked) -> list[Finding]:
    """A line for each."""
    here = describe()
    return [_python(), _threads(here), _memory(here), *_torch(here)]


def _python() -> Finding:
    wanted = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["requires-python"]
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        return ok("python", platform.python_version())
    return missing("python", platform.python_version(), f"make the environment with Python {wanted}")


def _threads(here: dict[str, Any]) -> Finding:
    """More threads than cores wait for each other in turns."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else here["cores"]
    said = f"{here['threads']} on {cores} of {here['cores']} cores, {here['cpu']}"
    if here["threads"] > cores:
        return warning("threads", said, f"export OMP_NUM_THREADS={cores}")
    return ok("threads", said)


def _memory(here: dict[str, Any]) -> Finding:
    free = [line for line in _lines(Path("/proc/meminfo")) if line.startswith("MemAvailable")]
    available = f", {int(free[0].split()[1]) / 2**20:.1f} available" if free else ""
    return ok("memory", f"{here['memory_gib']} GiB{available}")


def _torch(here: dict[str, Any]) -> list[Finding]:
    """GPU and precision; torch is imported only where it must be asked."""
    precisions = _precisions()
    auto = [section for section, precision in precisions.items() if precision == "auto"]
    if not auto and "gpu" not in here:
        found = ", ".join(f"{section} {precision}" for section, precision in precisions.items())
        return [ok("gpu", "none"), ok("precision", f"{found}, as the profile says")]
    import torch

    from supertiny.model.hardware import compute_dtype

    works = torch.cuda.is_available()
    said = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}" if works else here.get("gpu", "none")
    gpu = ok("gpu", said)
    if "gpu" in here and not works:
        gpu = warning("gpu", f"{said}, which torch {torch.__version__} cannot use", "install a build of torch for it")
    name = str(compute_dtype("auto")).removeprefix("torch.")
    return [gpu, ok("precision", f"auto is {name} here" + (f" ({', '.join(auto)})" if auto else ""))]


def _precisions() -> dict[str, str]:
    """Section of the profile -> its precision."""
    profile = YAML(typ="safe").load(profile_path())
    sections = {name: values for name, values in profile.items() if isinstance(values, dict)}
    return {name: str(values["precision"]) for name, values in sections.items() if "precision" in values}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []
