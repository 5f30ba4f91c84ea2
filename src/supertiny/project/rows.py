"""The user's functions and queries as they were read, and what makes two queries the same."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from supertiny.core.calls import Answer, Call, Pool, answer_json
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.project.wording import counted, listed


@dataclass(frozen=True, slots=True)
class Own:
    """A function pool and queries, and the line that each query stands in, by its id."""

    pool: Pool
    rows: Sequence[Example]
    lines: dict[str, int]

    def labelled(self) -> list[Example]:
        """Rows with an answer, in the file's order."""
        return [row for row in self.rows if row.answers]

    def where(self, rows: Sequence[Example]) -> str:
        """The lines of some rows: "line 3", "lines 3, 7"."""
        return f"line{'s' if len(rows) > 1 else ''} {listed([self.lines[row.id] for row in rows])}"


def read_own(functions: Path, queries: Path) -> Own:
    """Both files, checked as stage `dataset` checks them; an error names file, line and field."""
    pool = read_functions(functions)
    _must_be_spelled(queries)
    _must_be_known(queries, functions, pool)
    rows = read_examples(queries, pool)
    return Own(pool, rows, {row["id"]: number for number, row in read_jsonl(queries)})


def called(row: Example) -> list[Call]:
    """The call that is right for the row, if it has one."""
    return [answer for answer in row.answers[:1] if isinstance(answer, Call)]


def same(answer: Answer) -> str:
    """A text that two answers share if they are the same."""
    return json.dumps(answer_json(answer), sort_keys=True)


def asked(row: Example) -> str:
    """A text that two rows share if they ask the same in the same situation."""
    history = [[turn.query, answer_json(turn.answer)] for turn in row.history]
    return json.dumps([plain(row.query), row.context, history], sort_keys=True)


def plain(text: str) -> str:
    """A text without differences of case and spaces."""
    return " ".join(text.lower().split())


def sentence(row: Example) -> str:
    """A text that queries share if they differ in values alone: the template, else the query with its values' names.

    >>> sentence(Example(id="1", query="Wake me at  five am", answers=(Call("set_alarm", {"time": "five am"}),)))
    'wake me at {time}'
    """
    said = plain(row.template or row.query)
    arguments = {} if row.template else {name: value for call in called(row) for name, value in call.arguments.items()}
    values = [
        (plain(str(one)), name)
        for name, value in arguments.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    for value, name in sorted(values, key=lambda pair: -len(pair[0])):
        if value:
            said = re.sub(rf"(?<![\w{{]){re.escape(value)}(?![\w}}])", f"{{{name}}}".replace("\\", r"\\"), said)
    return said


def _must_be_spelled(queries: Path) -> None:
    """No field is almost one of ours in its place, as 'answer' would be; what else a row has is the user's own."""
    known = [field.name for field in fields(Example)]
    for number, row in read_jsonl(queries):
        for name in row if isinstance(row, dict) else ():
            near = get_close_matches(name, known, n=1, cutoff=0.85) if name not in known else []
            if near and near[0] not in row:
                why = "it would not be read; mend it, or give what is another thing another name"
                raise UserError(f"{queries}, line {number}: field {name!r}: did you mean {near[0]!r}? {why}")


def _must_be_known(queries: Path, functions: Path, pool: Pool) -> None:
    """Every function that an answer calls is in the pool; else one error names all that are not."""
    unknown: dict[str, list[int]] = {}
    for number, row in read_jsonl(queries):
        answers = row.get("answers") if isinstance(row, dict) else None
        for answer in answers if isinstance(answers, list) else ():
            if isinstance(answer, dict) and isinstance(name := answer.get("name"), str) and name not in pool:
                unknown.setdefault(name, []).append(number)
    if unknown:
        names = listed([_unknown(name, lines, pool) for name, lines in unknown.items()], "; ")
        raise UserError(f"{queries}, line {min(lines[0] for lines in unknown.values())}: field 'answers': {names}: "
                        f"no such function in {functions}; add it there, or mend the rows")  # fmt: skip


def _unknown(name: str, lines: Sequence[int], pool: Pool) -> str:
    near = get_close_matches(name, pool, n=1)
    meant = f", did you mean {near[0]!r}?" if near else ""
    return f"{name!r} ({counted(len(lines), 'answer')}, first in line {lines[0]}{meant})"
