"""Slot values and the words that say them: which words are a value (to train), which value words are (to answer)."""

from collections.abc import Iterable
from functools import lru_cache

from supertiny.adapter.slots import to_slot
from supertiny.baseline.reading import Reading, Span
from supertiny.core.calls import Call, Parameter, Scalar, Value
from supertiny.judge.normalise import Quantity, normalise, same
from supertiny.judge.numerals import SMALL, TENS

MAX_WORDS = 12
"""words of the longest value that is looked for as it is written"""
MAX_NUMERAL_WORDS = 4
"""words of the longest number in words"""
_NUMERALS = {*SMALL, *TENS, "hundred", "minus", "negative"}

Said = list[tuple[str, Span]]
"""parameters with the characters that say their values"""


def align(call: Call, reading: Reading) -> tuple[Said, dict[str, Value]]:
    """Where the text says each argument, and the arguments that it nowhere says; no two of them share a word.

    Longer values first, so that "kitchen light" is not cut by "kitchen"; a list is said where all of its items are.
    """
    words = reading.words()
    said: Said = []
    unsaid: dict[str, Value] = {}
    for name, value in sorted(call.arguments.items(), key=lambda item: (-len(str(item[1])), item[0])):
        spans: list[Span] = []
        for item in value if isinstance(value, list) else [value]:
            found = _find(item, reading.text, words, [span for _, span in said] + spans)
            if found is None:
                break
            spans.append(found)
        else:
            said += [(name, span) for span in spans]
            if spans:
                continue
        unsaid[name] = value
    return sorted(said, key=lambda one: one[1]), unsaid


def value_of(texts: list[str], parameter: Parameter) -> str | None:
    """The slot for what the tagged words say, by the parameter's schema; None where they say nothing it can hold.

    >>> value_of(["fifty"], Parameter("integer")), value_of(["locked"], Parameter("string", enum=("LOCKED", "OPEN")))
    ('50', 'LOCKED')
    >>> value_of(["a lot"], Parameter("number")) is None, value_of(["milk", "rye"], Parameter("array"))
    (True, 'milk|rye')
    """
    if parameter.type == "array":
        return to_slot(list(texts), "array")
    text = texts[0]
    choices: Iterable[Scalar] = (True, False) if parameter.type == "boolean" else parameter.enum
    if parameter.type == "boolean" or parameter.enum:
        return next((to_slot(choice, parameter.type) for choice in choices if same(choice, text)), None)
    if parameter.type == "string":
        return text
    meaning = normalise(text)
    if not isinstance(meaning, Quantity):
        return None
    whole = meaning.number.denominator == 1
    if parameter.type == "integer" and not whole:
        return None
    return to_slot(int(meaning.number) if whole else float(meaning.number), parameter.type)


def _find(value: Scalar, text: str, parts: list[list[Span]], taken: list[Span]) -> Span | None:
    """The first part that says `value`, as written if it can be, in other words if not; there, the fewest words."""
    for words in parts:
        free = [span for span in words if not any(start < span[1] and span[0] < end for start, end in taken)]
        for matches, sizes in ((_written, _sizes_as_written(value)), (_meant, _sizes_as_meant(value))):
            for size in sizes:
                for at in range(len(free) - size + 1):
                    span = (free[at][0], free[at + size - 1][1])
                    if matches(value, text[slice(*span)]):
                        return span
    return None


def _sizes_as_written(value: Scalar) -> range:
    size = len(str(value).split())
    return range(size, min(2 * size, MAX_WORDS) + 1)  # "3D-printer" may be one word or three


def _sizes_as_meant(value: Scalar) -> range:
    if isinstance(value, str):
        size = len(value.split())
        return range(max(1, size - 1), min(size + 1, MAX_WORDS) + 1)
    return range(1, MAX_NUMERAL_WORDS + 1)


def _written(value: Scalar, text: str) -> bool:
    return not isinstance(value, bool) and text.casefold() == str(value).casefold()


def _meant(value: Scalar, text: str) -> bool:
    first = text.split()[0].casefold() if text else ""
    numeral = first in _NUMERALS or first[:1].isdigit() or first.split("-")[0] in TENS
    return (isinstance(value, str) or numeral) and _same(value, text)


_same = lru_cache(maxsize=1 << 18, typed=True)(same)
