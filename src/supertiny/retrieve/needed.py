"""Which function an example needs: that of its reference answer."""

from collections.abc import Sequence

from supertiny.core.calls import Call
from supertiny.core.records import Example


def with_call(examples: Sequence[Example]) -> list[Example]:
    """Examples whose reference answer is a call."""
    return [example for example in examples if example.answers and isinstance(example.answers[0], Call)]


def needed(example: Example) -> str:
    """The name of the function that the reference answer of one of `with_call` calls."""
    answer = example.answers[0]
    assert isinstance(answer, Call), f"example {example.id!r} needs no function"
    return answer.name
