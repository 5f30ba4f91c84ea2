"""Learning curves, thinned to what a plot can show."""

import csv
from pathlib import Path

from supertiny.core.errors import UserError

Point = dict[str, str]

MAX_POINTS = 300
"""rows kept of a run, besides those measured on dev"""


def read_curve(log: Path) -> list[Point]:
    """The rows of a loss log, as written."""
    try:
        with log.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{log} does not exist; is `log` of this model in params.yaml right?") from None


def thin(points: list[Point]) -> list[Point]:
    """Every k-th point, the last, and all measured on dev."""
    stride = -(-len(points) // MAX_POINTS)
    kept = [i for i, point in enumerate(points) if i % stride == 0 or _on_dev(point) or i == len(points) - 1]
    return [points[i] for i in kept]


def _on_dev(point: Point) -> bool:
    return any(value for name, value in point.items() if name.startswith("dev_"))


def curve_rows(curves: dict[str, list[Point]]) -> list[Point]:
    """All runs in one table under the union of their columns, `model` first."""
    columns = list(dict.fromkeys(name for points in curves.values() for point in points for name in point))
    return [
        {"model": model, **{name: point.get(name, "") for name in columns}}
        for model, points in curves.items()
        for point in points
    ]
