"""Chain-of-thought data as files: one trace a line, each saying who thought it."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from supertiny.core.calls import Answer, Call, Function, Pool, Refusal, Syntax
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl, write_jsonl
from supertiny.core.prompt import TAGS, Source, Thought, Trace, head, is_lone, read, response, spaced
from supertiny.core.records import Example
from supertiny.data.dataset import nearness
from supertiny.rl.rewards import Level, reward

FIELDS = set(Trace.__slots__)


def accepted(examples: Sequence[Example], texts: Sequence[str], pool: Pool, syntax: Syntax) -> list[Trace]:
    """The replies that earn the whole reward, as a model's own thoughts."""
    found = []
    for example, text in zip(examples, texts, strict=True):
        parts = read(text)
        level = reward(text, example.answers, {name: pool[name] for name in example.candidates}, syntax).level
        if level is Level.CORRECT and isinstance(parts, Thought):
            found.append(Trace(example.id, parts.thought, parts.answer, Source.MODEL))
    return found


def filled(examples: Sequence[Example], traces: Sequence[Trace], by_rule: Mapping[str, Trace]) -> list[Trace]:
    """`traces`, and for the examples without one what a rule made for them, where it did; in the examples' order."""
    known = {**by_rule, **{trace.id: trace for trace in traces}}
    return [known[example.id] for example in examples if example.id in known]


def counts(num_asked: int, traces: Sequence[Trace]) -> dict[str, Any]:
    """How many replies there were, how many were kept, what rules made instead, and words a kept thought."""
    own = [one for one in traces if one.source is Source.MODEL]
    words = [len(spaced(one.thought).split()) for one in own]
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
        if _spells_tag(trace):
            raise UserError(f"{where}: a thought or an answer that holds a tag of the format")
        if trace.id in traces:
            raise UserError(f"{where}: field 'id': {trace.id!r} stands there twice")
        traces[trace.id] = trace
    return traces


MAX_ASKED = 4
"""Words of the query."""
STEM = 4
"""Words that agree in so many letters are one: open, opens. A shorter one tells nothing ("the") unless a name has it"""
REASONS = {Refusal.NO_FUNCTION: "no candidate does this", Refusal.UNCLEAR: "it is open what is wanted"}


def made_up(example: Example, answer: Answer, pool: Pool) -> str:
    """The thought that leads from the query of `example` to `answer`, one of its right ones; deterministic.

    >>> on, off = Function("turn_on_fan", "Turns on a fan"), Function("turn_off_fan", "Turns off a fan")
    >>> example = Example(id="1", query="Switch the fan on please", candidates=("turn_off_fan", "turn_on_fan"))
    >>> made_up(example, Call("turn_on_fan", {}), {"turn_on_fan": on, "turn_off_fan": off})
    'on: not turn_off_fan: turn_on_fan'
    """
    target = pool.get(answer.name) if isinstance(answer, Call) else None
    offered = [pool[name] for name in example.candidates]
    right = {head(answer), *map(head, example.answers)}
    others = [function for function in offered if function.name not in right]
    asked = _asked(example.query, offered)
    near = _nearest(target, asked, others)
    steps = [
        " ".join(asked),
        f"not {near.name}" if near else "",
        REASONS[answer] if isinstance(answer, Refusal) else "",
    ]
    return ": ".join([*filter(None, steps), head(answer)])


def trace(example: Example, pool: Pool, syntax: Syntax) -> Trace:
    """The rule-made row of a labelled example, for its reference answer."""
    answer = example.answers[0]
    return Trace(example.id, made_up(example, answer, pool), response(answer, pool, syntax), Source.RULE)


def rule_made(examples: Sequence[Example], pool: Pool, syntax: Syntax) -> list[Trace]:
    """The rows of labelled examples; none for an answer that spells a tag: no reader could tell it from the format."""
    return [row for row in (trace(example, pool, syntax) for example in examples) if not _spells_tag(row)]


def _spells_tag(row: Trace) -> bool:
    return any(tag in part for tag in TAGS for part in (row.thought, row.answer))


def _asked(query: str, offered: Sequence[Function]) -> list[str]:
    """Words of the query that tell the candidates apart, in its order; where none does, its last ones.

    A word tells them apart where it (its stem) is in what some say, but no more than half.
    """
    said = list(dict.fromkeys(_words(query)))
    counts = Counter(stem for function in offered for stem in _stems(function))
    telling = [word for word in said if 0 < 2 * counts[word[:STEM]] <= len(offered)]
    return telling[:MAX_ASKED] or said[-MAX_ASKED:]


def _nearest(target: Function | None, asked: Sequence[str], others: Sequence[Function]) -> Function | None:
    """The candidate most like the answer's function or, for a refusal, most like the query; None where none is."""

    def likeness(function: Function) -> float:
        if target:
            return nearness(target, function)
        return len({word[:STEM] for word in asked} & _stems(function))

    # the first of equal ones: `max` keeps the candidates' order
    best = max(others, key=likeness, default=None)
    return best if best and likeness(best) > 0 else None


def _stems(function: Function) -> set[str]:
    """What a function says of itself: the words of its name and the longer ones of its document."""
    told = [word for word in _words(function.description) if len(word) >= STEM or is_lone(word)]
    return {word[:STEM] for word in [*_words(function.name.replace("_", " ")), *told]}


def _words(text: str) -> list[str]:
    """Words in lower case without punctuation, so that no tag can come from a query or a document."""
    return re.findall(r"\w+(?:['\u2019]\w+)*", spaced(text.lower()))
