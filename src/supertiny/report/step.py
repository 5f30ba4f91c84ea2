"""What a stage that is no model's own adds to the report: figures to track, a table, plot data, a picture."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.report.summary import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How the report shows one result file."""

    stage: str
    """the stage that writes it"""
    file: str
    """its path under data/results/"""
    heading: str
    """of its section, with the paper's table"""
    summary: Callable[[Row], Row]
    """its numbers in summary.json, under stable names; what was not measured may be None"""
    section: Callable[[Row], str]
    """its section in Markdown"""
    rows: Callable[[Row], list[Row]]
    """its numbers one row each, for <name>.csv"""
    draw: Callable[[list[Row], Path], None] | None
    """its picture from those rows; None: the table says it all"""


def read_step(results: Path, step: Step) -> Row:
    """The step's result file in folder `results`."""
    path = results / step.file
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it: `dvc repro {step.stage}`")
    found: Row = read_json(path)
    return found


def read_steps(results: Path, steps: Mapping[str, Step]) -> dict[str, Row]:
    """Every step's result file, by the step's name."""
    return {name: read_step(results, step) for name, step in steps.items()}
