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
KEPT = ("kept_step", "start_reward")
"""what is known at dev points: which policy is kept, 0 for the one before training, and what that one earned"""


def history(logs: Mapping[str, Path]) -> dict[str, Any]:
    """For each run its curve, a point an optimizer step, and how it began and ended."""
    return {name: _run(_read(path)) for name, path in logs.items()}


def _read(path: Path) -> list[dict[str, float | None]]:
    """The log's rows, None for what was not measured at a step."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it (`dvc repro rl`)")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"step", *FOLLOWED, *KEPT} <= rows[0].keys():
        raise UserError(f"{path}: not the log of a reinforcement learning run; run stage rl again")
    return [{name: float(row[name]) if row[name] else None for name in ("step", *FOLLOWED, *KEPT)} for row in rows]


def _run(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    measured = [row for row in rows if row["dev_reward"] is not None]
    return {
        "steps": len(rows),
        "first": {name: _mean(rows[:ENDS], name) for name in FOLLOWED},
        "last": {name: _mean(rows[-ENDS:], name) for name in FOLLOWED},
        "best": _best(measured) if measured else None,
        "curve": [{name: row[name] for name in ("step", *FOLLOWED)} for row in rows],
    }


def _best(measured: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The policy that is kept: its step, 0 where none beat the one before training, and what both earn on dev."""
    step, start = (measured[-1][name] for name in KEPT)
    kept = next((row["dev_reward"] for row in measured if row["step"] == step), start)
    return {"step": step, "dev_reward": kept, "start_reward": start}


def _mean(rows: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    values = [value for row in rows if (value := row[name]) is not None]
    return round(sum(values) / len(values), 5) if values else None
