"""An example as one text for an encoder: the query, its context, what is known of its terms, earlier turns."""

from supertiny.core.calls import answer_text
from supertiny.core.records import Example


def dialogue(example: Example) -> str:
    """The query comes first, so that a long dialogue is cut and not the query.

    >>> from supertiny.core.calls import Refusal
    >>> from supertiny.core.records import Turn
    >>> earlier = (Turn("dim it", Refusal.UNCLEAR),)
    >>> dialogue(Example(id="1", query="and here", context={"room": "hall"}, history=earlier))
    'and here | room: hall | Earlier: dim it -> Request unclear'
    """
    context = "; ".join(f"{key}: {value}" for key, value in example.context.items())
    latest_first = [f"Earlier: {turn.query} -> {answer_text(turn.answer)}" for turn in reversed(example.history)]
    return " | ".join(part for part in [example.query, context, *example.knowledge, *latest_first] if part)
