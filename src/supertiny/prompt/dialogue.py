"""An example as one text for an encoder: the query, its context, what is known of its terms, earlier turns."""

from collections.abc import Callable
from dataclasses import dataclass

from supertiny.core.calls import Answer, answer_text
from supertiny.core.records import Example

SEPARATOR = " | "


@dataclass(frozen=True, slots=True)
class Parts:
    """What the text says, in its order; empty: nothing."""

    query: str
    context: str
    knowledge: str
    earlier: str
    """turns, the latest first"""


def parts(example: Example, history_turns: int | None = None, words: Callable[[Answer], str] = answer_text) -> Parts:
    """The parts with the latest `history_turns` turns (None: all), each with its answer in `words`."""
    turns = example.history[::-1][:history_turns]
    return Parts(
        query=example.query,
        context="; ".join(f"{key}: {value}" for key, value in example.context.items()),
        knowledge=SEPARATOR.join(filter(None, example.knowledge)),
        earlier=SEPARATOR.join(f"Earlier: {turn.query} -> {words(turn.answer)}" for turn in turns),
    )


def dialogue(example: Example) -> str:
    """The query comes first, so that a long dialogue is cut and not the query.

    >>> from supertiny.core.calls import Refusal
    >>> from supertiny.core.records import Turn
    >>> earlier = (Turn("dim it", Refusal.UNCLEAR),)
    >>> dialogue(Example(id="1", query="and here", context={"room": "hall"}, history=earlier))
    'and here | room: hall | Earlier: dim it -> Request unclear'
    """
    said = parts(example)
    return SEPARATOR.join(part for part in (said.query, said.context, said.knowledge, said.earlier) if part)
