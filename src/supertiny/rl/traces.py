"""Chain-of-thought data as files: one trace a line, each saying who thought it."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl, write_jsonl
from supertiny.rl.thought import TAGS, Source, Trace

FIELDS = set(Trace.__slots__)


def write_traces(path: Path, traces: Iterable[Trace]) -> None:
    """Write one trace a line: {"id", "thought", "answer", "source": "rule" | "model"}."""
    write_jsonl(path, (asdict(trace) for trace in traces))


def read_traces(path: Path) -> dict[str, Trace]:
    """Every trace by the id of its example; each fault names its line."""
    traces: dict[str, Trace] = {}
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        if not isinstance(row, dict) or set(row) != FIELDS or not all(isinstance(v, str) for v in row.values()):
            raise UserError(f"{where}: expected the strings {', '.join(Trace.__slots__)}")
        if row["source"] not in list(Source):
            raise UserError(f"{where}: field 'source': {row['source']!r} is none of {', '.join(Source)}")
        trace = Trace(row["id"], row["thought"], row["answer"], Source(row["source"]))
        if any(tag in part for tag in TAGS for part in (trace.thought, trace.answer)):
            raise UserError(f"{where}: a thought or an answer that holds a tag of the format")
        if trace.id in traces:
            raise UserError(f"{where}: field 'id': {trace.id!r} stands there twice")
        traces[trace.id] = trace
    return traces
