"""Results that are measured once: a file each, which the next run finds. And the minutes that something took."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from supertiny.core.files import read_json, write_json
from supertiny.measure.load import machine_summary

Case, Made = TypeVar("Case"), TypeVar("Made")


def measured(
    cases: Mapping[str, Case], folder: Path, measure: Callable[[Case], dict[str, Any]]
) -> list[dict[str, Any]]:
    """What was measured of each case, in their order; one that has a file in `folder` is not measured again."""
    found = []
    for name, case in cases.items():
        file = folder / f"{''.join(char for char in name if char != ',').replace(' ', '_')}.json"
        if not file.exists():
            print(f"--- {name}", flush=True)
            write_json(file, {"name": name, "machine": machine_summary(), **measure(case)})
        found.append(read_json(file))
    return found


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """What `work` gives, and the minutes that it takes."""
    started = time.perf_counter()
    made = work()
    return made, (time.perf_counter() - started) / 60
