"""What the pipeline takes at 200,000, ten million and a billion queries: the tables of docs/scale.md.

    python -m benchmarks.scale --setting "profiles/chapters.set profiles/paper.set" --page docs/scale.md
    python -m benchmarks.scale ... --dataset data/dataset   # the same, rows measured anew

Hours are those of `supertiny plan` with `sizes.dataset.train` of the profile raised; bytes and seconds of a row are
measured on this project's own data (`--dataset`, kept in benchmarks/scale.json) and taken from metrics/summary.json and
dvc.lock's run.
"""

import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.commands.plan import changed, overrides
from supertiny.commands.plan.graph import GRAPH, stages
from supertiny.commands.plan.page import planned
from supertiny.commands.plan.work import Setting, models, read_setting
from supertiny.core.config import read_yaml
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, write_json, write_text
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.measure.load import machine_summary
from supertiny.report.tables import number, table

SIZES = {"20k": 20_000, "200k": 200_000, "10M": 10_000_000, "1B": 1_000_000_000}
ROWS = Path("benchmarks/scale.json")
BEGIN, END = "<!-- tables:begin -->\n", "<!-- tables:end -->\n"


@dataclass(frozen=True, slots=True)
class Taken:
    """A setting at one size."""

    hours: dict[str, float]
    """by script under stages/"""
    gpu_hours: float
    """of all"""
    setting: Setting


def main(setting: str, page: Path, dataset: Path | None = None) -> None:
    """Fill the tables of `page` with what `setting` takes; measure rows first where `dataset` is given."""
    if dataset:
        write_json(ROWS, {"machine": machine_summary(), **rows_of(dataset)})
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise UserError(f"{page}: needs one line {BEGIN.strip()} and, below it, one line {END.strip()}")
    found = {name: taken(setting, count) for name, count in SIZES.items()}
    before, rest = text.split(BEGIN)
    write_text(page, f"{before}{BEGIN}\n{tables(found, read_json(ROWS))}\n{END}{rest.split(END)[1]}")


def taken(setting: str, queries: int) -> Taken:
    """By the stages of `setting` (as `supertiny plan --set` takes it) with so many queries in the pool."""
    given, here = overrides(setting), Path.cwd()
    profile = next(one.partition("=")[2] for one in given if one.startswith("profile="))
    with changed([*given, f"profiles/{profile}.yaml:++sizes.dataset.train={queries}"], None) as (_, params):
        read = read_setting(here)
        graph = stages(read_yaml(GRAPH), params)
        sized = models(graph, read)
        hours: dict[str, float] = {}
        parts = [(stage.script, part) for stage in graph for part in planned(stage, sized, read).parts]
        for script, part in parts:
            hours[script] = hours.get(script, 0.0) + part.hours
    return Taken(hours, sum(part.gpus * part.hours for _, part in parts), read)


def rows_of(dataset: Path) -> dict[str, Any]:
    """Bytes of a row on disk and in memory, and seconds to read it, of the pool's rows with their labels."""
    pool, path = read_functions(dataset / "functions.json"), dataset / "train.reference.jsonl"
    started = time.perf_counter()
    rows = read_examples(path, pool)
    seconds = time.perf_counter() - started
    count = len(rows)
    del rows
    tracemalloc.start()
    rows = read_examples(path, pool)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    unlabelled = (dataset / "train.jsonl").stat().st_size
    return {
        "rows": len(rows),
        "bytes_on_disk": round((path.stat().st_size + unlabelled) / count),
        "bytes_in_memory": round(held / count),
        "seconds_to_read": round(seconds / count, 7),
    }


def tables(found: Mapping[str, Taken], rows: Mapping[str, Any]) -> str:
    """Hours of each stage, then storage and memory."""
    return "\n\n".join([_hours(found), _storage(found, rows)]) + "\n"


def _hours(found: Mapping[str, Taken]) -> str:
    scripts = list(next(iter(found.values())).hours)
    lines = [[name, *(number(one.hours[name]) for one in found.values())] for name in scripts]
    lines.append(["all, hours", *(number(sum(one.hours.values())) for one in found.values())])
    lines.append(["all, GPU hours", *(number(one.gpu_hours) for one in found.values())])
    return table(["stage", *found], lines)


def _storage(found: Mapping[str, Taken], rows: Mapping[str, Any]) -> str:
    """GB, decimal; a row's answer is taken to be as long as the mean."""
    known = next(iter(found.values())).setting.known
    response = known.new
    kinds: dict[str, Callable[[int], float]] = {
        "queries with and without labels, on disk": lambda count: count * rows["bytes_on_disk"],
        "the same in the memory of a stage that reads them": lambda count: count * rows["bytes_in_memory"],
        "the teacher's logits": lambda count: count * response * known.logits_bytes,
        "the same as int64 and float32 (k = 100)": lambda count: count * response * 1200,
    }
    lines = [[name, *(number(size(count) / 1e9) for count in SIZES.values())] for name, size in kinds.items()]
    return table(["GB", *found], lines)


if __name__ == "__main__":
    run(main)
