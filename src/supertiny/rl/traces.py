"""Chain-of-thought data as files: one trace a line, each saying who thought it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from supertiny.core.calls import Pool
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl, write_jsonl
from supertiny.core.records import Example
from supertiny.prompt.thought import TAGS, Source, Thought, Trace, read
from supertiny.rl.rewards import Level, reward

FIELDS = set(Trace.__slots__)


def accepted(examples: Sequence[Example], texts: Sequence[str], pool: Pool) -> list[Trace]:
    """The replies that earn the whole reward, as a model's own thoughts."""
    found = []
    for example, text in zip(examples, texts, strict=True):
        parts = read(text)
        level = reward(text, example.answers, {name: pool[name] for name in example.candidates}).level
        if level is Level.CORRECT and isinstance(parts, Thought):
            found.append(Trace(example.id, parts.thought, parts.answer, Source.MODEL))
    return found


def filled(examples: Sequence[Example], traces: Sequence[Trace], rule_made: Mapping[str, Trace]) -> list[Trace]:
    """`traces`, and for the examples without one what a rule made for them, where it did; in the examples' order."""
    known = {**rule_made, **{trace.id: trace for trace in traces}}
    return [known[example.id] for example in examples if example.id in known]


def counts(num_asked: int, traces: Sequence[Trace]) -> dict[str, Any]:
    """How many replies there were, how many were kept, what rules made instead, and words a kept thought."""
    own = [one for one in traces if one.source is Source.MODEL]
    words = [len(one.thought.split()) for one in own]
    return {
        "asked": num_asked,
        "kept": len(own),
        "rule_made": len(traces) - len(own),
        "words": round(sum(words) / max(len(words), 1), 2),
    }


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
