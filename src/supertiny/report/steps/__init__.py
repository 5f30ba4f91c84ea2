"""How the report shows the steps that are no system: a module each, or each kind of step."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.report.rows import Facts, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One section of the page, with its figures."""

    heading: str
    """of its section, with the paper's table"""
    find: Callable[[Facts], Row | None]
    """what it shows; None: params.yaml declares nothing of the kind, and there is no section"""
    figures: Callable[[Row], Row]
    """all its numbers, under stable names, for steps.csv; what was not measured may be None"""
    decides: Callable[[Row], Row]
    """the few of them by which a branch is judged, for summary.json"""
    section: Callable[[Row], str]
    """its section in Markdown"""
    columns: tuple[str, ...]
    """of <name>.csv"""
    rows: Callable[[Row], list[Row]]
    """its rows"""
    draw: Callable[[list[Row], Path], None] | None
    """its picture from those rows; None: the table says it all"""


def of_file(stage: str, file: str) -> Callable[[Facts], Row]:
    """What `stage` wrote to `file` under data/results/."""

    def find(facts: Facts) -> Row:
        path = facts.results / file
        if not path.is_file():
            raise UserError(f"{path} does not exist; run the stage that makes it: `dvc repro {stage}`")
        found: Row = read_json(path)
        return found

    return find


def nothing(found: Row) -> Row:
    """Of what decides nothing."""
    return {}
