"""What the traditional system reads of an example, the text of every encoder, and where in it a value may stand."""

import re
from dataclasses import dataclass

from supertiny.adapter.frames import to_frame
from supertiny.core.calls import Answer, Pool
from supertiny.core.records import Example
from supertiny.prompt.dialogue import SEPARATOR, parts

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
    """The parts of the dialogue, earlier answers as their frames in words.

    >>> read(Example(id="1", query="lights on", context={"room": "hall"}, knowledge=("Bo: a lamp",)), {}, 1).text
    'lights on | room: hall | Bo: a lamp'
    """
    said = parts(example, history_turns, lambda answer: _in_words(answer, pool))
    spans: dict[str, Span] = {}
    text = ""
    for name in ("query", "context", "knowledge", "earlier"):
        part = getattr(said, name)
        text += SEPARATOR if text and part else ""
        spans[name] = (len(text), len(text) + len(part))
        text += part
    return Reading(text, tuple(spans[name] for name in ("query", "knowledge", "context", "earlier")))


def _in_words(answer: Answer, pool: Pool) -> str:
    frame = to_frame(answer, pool)
    return ", ".join([frame.intent, *(f"{name} {text}" for name, text in frame.slots.items())]).replace("_", " ")
