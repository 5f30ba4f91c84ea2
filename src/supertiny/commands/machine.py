"""Python, processor, memory, GPU and precision. Apart from doctor.py, which imports no check before its turn."""

import os
import platform
import shutil
import tomllib
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from supertiny.commands.packages import PYPROJECT, Asked
from supertiny.core.ask import DecodeConfig
from supertiny.core.config import load, load_profile, profile
from supertiny.core.files import read_json
from supertiny.core.findings import Finding, missing, ok, warning
from supertiny.core.stage import cache_home
from supertiny.data.dataset import DatasetSizes
from supertiny.distill.config import LogitsConfig
from supertiny.measure.load import machine_summary
from supertiny.prototype.config import PrototypeSizes, RftSizes
from supertiny.report.steps.counts import NAIVE_BYTES


def findings(_: Asked) -> list[Finding]:
    """A line for each."""
    here = machine_summary()
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
    sections = {name: values for name, values in profile().items() if isinstance(values, dict)}
    return {name: str(values["precision"]) for name, values in sections.items() if "precision" in values}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


MEASURED = Path("data/results/logits.json")


def space(_: Asked) -> list[Finding]:
    """A line for each place that holds them: the project, with DVC's cache, and this user's cache."""
    tokens, per_token, how = num_tokens(), *bytes_per_token()
    need = tokens * per_token
    said = f"the teacher's logits take {_size(need)} at most ({tokens:,} tokens of {per_token:,.0f} bytes{how})"
    found = []
    for place, path in (("disk, project", Path("data")), ("disk, cache", cache_home())):
        free = shutil.disk_usage(_existing(path)).free
        line = f"{_size(free)} free in {path}, {said}"
        # the other place may be on the same disk
        found.append(
            ok(place, line) if free > 2 * need else missing(place, line, "make room: they are kept in two places")
        )
    return found


def num_tokens() -> int:
    """Response tokens of all examples, as many as the profile allows, each as long as a reply may be."""
    sizes, answers = load_profile("sizes.dataset", DatasetSizes), load_profile("sizes.prototype", PrototypeSizes).train
    learned = min(sizes.train, (answers or sizes.train) + load_profile("sizes.rft", RftSizes).labelled)
    return (learned + sizes.dev) * load("decode", DecodeConfig).max_new_tokens


def bytes_per_token() -> tuple[float, str]:
    """As measured in this project, else what top_k ids take unpacked; and which of them it is."""
    if MEASURED.is_file():
        return float(read_json(MEASURED)["bytes_per_token"]), f", as in {MEASURED}"
    return NAIVE_BYTES * load("logits", LogitsConfig).top_k, ", unpacked"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.resolve(), *path.resolve().parents) if folder.is_dir())


def _size(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:,.1f} MB"
