"""Room for the teacher's stored logits, the largest thing of the graph that grows with the data (paper App. G)."""

import shutil
from pathlib import Path

from supertiny.core.config import load, load_profile
from supertiny.core.files import read_json
from supertiny.core.findings import Finding, missing, ok
from supertiny.core.resume import cache_home
from supertiny.data.dataset import DatasetSizes
from supertiny.distill.rows import LogitsConfig
from supertiny.doctor.packages import Asked
from supertiny.model.ask import DecodeConfig
from supertiny.prototype.config import PrototypeSizes
from supertiny.report.steps.logits import NAIVE_BYTES
from supertiny.rft.accept import RftSizes

MEASURED = Path("data/results/logits.json")


def findings(asked: Asked) -> list[Finding]:
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
    sizes, answers = load_profile("dataset", DatasetSizes), load_profile("prototype", PrototypeSizes).train
    learned = min(sizes.train, (answers or sizes.train) + load_profile("rft", RftSizes).labelled)
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
