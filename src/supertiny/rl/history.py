"""What came of reinforcement learning runs, from their logs."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supertiny.core.errors import UserError

ENDS = 3
"""rollout batches whose mean stands for the beginning, and for the end, of a run"""
FOLLOWED = ("reward", "share: correct", "format", "tokens", "entropy", "k2", "clipped", "dev_reward", "dev_ar")
"""columns of the log that the report shows"""


def history(logs: Mapping[str, Path]) -> dict[str, Any]:
    """For each run its curve, a point an optimizer step, and how it began and ended."""
    return {name: _run(_read(path)) for name, path in logs.items()}


def _read(path: Path) -> list[dict[str, float | None]]:
    """The log's rows, None for what was not measured at a step."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it (`dvc repro rl`)")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"step", *FOLLOWED} <= rows[0].keys():
        raise UserError(f"{path}: not the log of a reinforcement learning run; run stage rl again")
    return [{name: float(row[name]) if row[name] else None for name in ("step", *FOLLOWED)} for row in rows]


def _run(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    measured = [row for row in rows if row["dev_reward"] is not None]
    best = max(measured, key=lambda row: row["dev_reward"] or 0.0, default=None)
    return {
        "steps": len(rows),
        "first": {name: _mean(rows[:ENDS], name) for name in FOLLOWED},
        "last": {name: _mean(rows[-ENDS:], name) for name in FOLLOWED},
        "best": {name: best[name] for name in ("step", "dev_reward", "dev_ar")} if best else None,
        "curve": [dict(row) for row in rows],
    }


def _mean(rows: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    values = [value for row in rows if (value := row[name]) is not None]
    return round(sum(values) / len(values), 5) if values else None
