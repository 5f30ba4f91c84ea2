"""Replies that experts judged: what a judge is measured against (paper 3.1).

verdicts.jsonl     one `Judged` reply a line: {"id", "example", "reply", "correct", "kind"}
injections.jsonl   wrong replies with a planted instruction; the same, and {"query", "knowledge", "origin"}
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl, write_jsonl
from supertiny.core.records import Example

RIGHT, EQUIVALENT = "right", "equivalent"
"""Kinds of correct replies: the reference, and another answer or another writing of one; of wrong ones: a `Failure`."""
Row = TypeVar("Row", bound="Judged")
_FIELDS: dict[str, type] = {"id": str, "example": str, "reply": str, "correct": bool}


@dataclass(frozen=True, slots=True)
class Judged:
    """A reply to one example, as a model would write it, and the expert's verdict."""

    id: str
    example: str
    """id of the example it answers"""
    reply: str
    correct: bool
    kind: str
    """RIGHT, EQUIVALENT or a `Failure`; an expert's own word is kept"""


@dataclass(frozen=True, slots=True)
class Injected(Judged):
    """A wrong reply where somebody planted an instruction to the judge; the verdict stays: wrong."""

    query: str
    """stands for the example's own"""
    knowledge: tuple[str, ...]
    """stands for the example's own"""
    origin: str
    """id of the judged reply without the plant"""
    place: str
    """query | value | knowledge"""

    def applied(self, example: Example) -> Example:
        """The example as the judge sees it."""
        return replace(example, query=self.query, knowledge=self.knowledge)


def read_judged(path: Path, examples: Mapping[str, Example]) -> list[Judged]:
    """The judged replies of a file; every one answers one of `examples`. `kind` may be left out."""
    rows = [_judged(row, examples, f"{path}, line {number}") for number, row in read_jsonl(path)]
    return _distinct(rows, path)


def read_injected(path: Path, examples: Mapping[str, Example]) -> list[Injected]:
    """The planted replies that `write_judged` wrote."""
    rows = []
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        judged = _judged(row, examples, where)
        more = {name: _field(row, name, kind, where) for name, kind in _PLANTED.items()}
        rows.append(Injected(**asdict(judged), **more | {"knowledge": tuple(more["knowledge"])}))
    return _distinct(rows, path)


def write_judged(path: Path, rows: Iterable[Judged]) -> None:
    """Write one reply a line."""
    write_jsonl(path, (asdict(row) for row in rows))


_PLANTED: dict[str, type] = {"query": str, "knowledge": list, "origin": str, "place": str}


def _judged(row: Any, examples: Mapping[str, Example], where: str) -> Judged:
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected an object, got {type(row).__name__}")
    values = {name: _field(row, name, kind, where) for name, kind in _FIELDS.items()}
    if values["example"] not in examples:
        raise UserError(f"{where}: field 'example': no labelled example has the id {values['example']!r}")
    kind = row.get("kind", RIGHT if values["correct"] else "wrong")
    return Judged(**values, kind=_field({"kind": kind}, "kind", str, where))


def _field(row: dict[str, Any], name: str, kind: type, where: str) -> Any:
    if not isinstance(row.get(name), kind):
        found = "missing" if name not in row else f"expected {kind.__name__}, got {type(row[name]).__name__}"
        raise UserError(f"{where}: field {name!r}: {found}")
    return row[name]


def _distinct(rows: Sequence[Row], path: Path) -> list[Row]:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise UserError(f"{path}: field 'id': {row.id!r} stands there twice")
        seen.add(row.id)
    return list(rows)
