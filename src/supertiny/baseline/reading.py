"""What the traditional system reads of an example: one text, the query first, and where a slot's value may stand."""

import re
from dataclasses import dataclass

from supertiny.adapter.frames import to_frame
from supertiny.core.calls import Answer, Pool
from supertiny.core.records import Example

SEPARATOR = " | "
_WORD = re.compile(r"[\w'\u2019]+(?:[.:-]\w+)*|[%°]")

Span = tuple[int, int]
"""first character, and the one after the last"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A text and its parts in the order in which a value is looked for: query, knowledge, context, dialogue."""

    text: str
    parts: tuple[Span, ...]

    def words(self) -> list[list[Span]]:
        """The words of each part."""
        return [[found.span() for found in _WORD.finditer(self.text, *part)] for part in self.parts]


def read(example: Example, pool: Pool, history_turns: int) -> Reading:
    """The query, the context, the latest turns (each with its frame in words) and the knowledge, cut from the right.

    >>> read(Example(id="1", query="lights on", context={"room": "hall"}, knowledge=("Bo: a lamp",)), {}, 1).text
    'lights on | room: hall | Bo: a lamp'
    """
    turns = example.history[max(0, len(example.history) - history_turns) :]
    knowledge = SEPARATOR.join(example.knowledge)
    context = SEPARATOR.join(f"{key}: {value}" for key, value in example.context.items())
    dialogue = SEPARATOR.join(f"{turn.query}{SEPARATOR}{_in_words(turn.answer, pool)}" for turn in reversed(turns))
    spans: dict[str, Span] = {}
    text = ""
    for name, part in {"query": example.query, "context": context, "knowledge": knowledge, "turns": dialogue}.items():
        text += SEPARATOR if text and part else ""
        spans[name] = (len(text), len(text) + len(part))
        text += part
    return Reading(text, tuple(spans[name] for name in ("query", "knowledge", "context", "turns")))


def _in_words(answer: Answer, pool: Pool) -> str:
    frame = to_frame(answer, pool)
    return ", ".join([frame.intent, *(f"{name} {text}" for name, text in frame.slots.items())]).replace("_", " ")
