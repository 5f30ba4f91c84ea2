"""When two argument values mean the same: numbers, times, units, case, articles, punctuation (paper 4.1: "11:00 pm").

A value is read as one of five meanings (`Meaning`), and meanings are compared by `same`. A number inside a name is
part of the name: "lamp two" is "lamp 2", never "lamp" nor "lamp 3". Two rules keep the reading from taking too much:
codes with a leading zero ("007") stay text, and so does every unit that is not listed here ("5 dollars").
"""

import math
import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from supertiny.core.prompt import spaced

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINAL = """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"""

SMALL = {word: n for n, word in enumerate(_SMALL.split())}
TENS = {word: n * 10 for n, word in enumerate(_TENS.split(), 2)}
SCALES = {"thousand": 1000, "million": 1000000}
ORDINALS = {word: n for n, word in enumerate(_ORDINAL.split(), 1)}


def digits_for_words(words: list[str]) -> list[str]:
    """The words with every numeral among them in digits; everything else untouched.

    >>> digits_for_words("two hundred and five lamps on floor twenty one point five".split())
    ['205', 'lamps', 'on', 'floor', '21.5']
    >>> digits_for_words("one twenty and twenty second".split())
    ['1', '20', 'and', '22nd']
    """
    said: list[str] = []
    at = 0
    while at < len(words):
        after_number = bool(said) and said[-1][-1].isdigit()
        word, end = _ordinal(words, at) if not after_number else ("", at)  # "ten second" is a duration
        if end == at:
            word, end = _cardinal(words, at)
        said.append(word)
        at = end
    return said


def _ordinal(words: list[str], at: int) -> tuple[str, int]:
    """The ordinal that starts at `at`, as "22nd", and where it ends (`at` itself: there is none)."""
    tens = TENS.get(words[at], 0)
    end = at + (tens > 0)
    number = ORDINALS.get(words[end], 0) if end < len(words) else 0
    if number == 0 or (tens and number > 9):
        return "", at
    return f"{tens + number}" + {1: "st", 2: "nd", 3: "rd"}.get(number, "th"), end + 1


def _cardinal(words: list[str], at: int) -> tuple[str, int]:
    """The number that starts at `at` in digits, else the word there; and where it ends."""
    number, end = _whole(words, at)
    if end == at:
        return words[at], at + 1
    decimals, end = _decimals(words, end)
    return (f"{number}.{decimals}" if decimals else str(number)), end


def _whole(words: list[str], at: int) -> tuple[int, int]:
    """The whole number that starts at `at`, and where it ends (`at` itself: there is none)."""
    total, end, ceiling = 0, at, 10**9
    while ceiling > 1:
        start = end + (end > at and words[end : end + 1] == ["and"])
        group, after = _below_thousand(words, start)
        scale = SCALES.get(words[after], 1) if after < len(words) else 1
        if after == start or (end > at and group == 0) or scale >= ceiling:
            break
        total, end, ceiling = total + group * scale, after + (scale > 1), scale
    return total, end


def _below_thousand(words: list[str], at: int) -> tuple[int, int]:
    """The number from 0 to 999 that starts at `at`, and where it ends."""
    number, end = _below_hundred(words, at)
    if words[end : end + 1] != ["hundred"] or (end > at and number == 0):
        return number, end
    number, end = 100 * (number if end > at else 1), end + 1
    joined = end + (words[end : end + 1] == ["and"])
    rest, after = _below_hundred(words, joined)
    return (number + rest, after) if after > joined and rest else (number, end)


def _below_hundred(words: list[str], at: int) -> tuple[int, int]:
    word = words[at] if at < len(words) else ""
    if word not in TENS:
        return SMALL.get(word, 0), at + (word in SMALL)
    ones, end = _digit(words, at + 1)
    return (TENS[word] + ones, end) if ones else (TENS[word], at + 1)


def _digit(words: list[str], at: int) -> tuple[int, int]:
    number = SMALL.get(words[at], 10) if at < len(words) else 10
    return (number, at + 1) if number < 10 else (0, at)


def _decimals(words: list[str], at: int) -> tuple[str, int]:
    """The digits after a spoken "point", and where they end."""
    digits, end, after = "", at, at + 1
    if words[at : at + 1] == ["point"]:
        while (found := _digit(words, after))[1] > after:
            digits, end = f"{digits}{found[0]}", found[1]
            after = end
    return digits, end


_SIGNS = ("°", "degree", "degrees", "deg")
_SCALES = {"c": "celsius", "celsius": "celsius", "centigrade": "celsius", "f": "fahrenheit", "fahrenheit": "fahrenheit"}
UNITS = {
    "": "",
    "%": "percent",
    "kelvin": "kelvin",
    **{scale: unit for scale, unit in _SCALES.items() if len(scale) > 1},
    **dict.fromkeys(_SIGNS, "degree"),
    **{f"{sign} {scale}": unit for sign in _SIGNS for scale, unit in _SCALES.items()},
}
"""Units that a bare number may leave out, because its parameter implies them; a lone "c" may be a name ("gate 5c")."""

SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("day", "days"), 86400),
    **dict.fromkeys(("week", "weeks"), 604800),
}
"""Units of a duration; a bare number is no duration, for it could be any of them."""

HALVES = {"am": 0, "in morning": 0, "pm": 12, "in afternoon": 12, "in evening": 12}
"""Hours that the words after a clock time add."""

_NUMBER = r"-?(?:0|[1-9]\d{0,29})(?:\.\d{1,30})?"
_QUANTITY = re.compile(rf"({_NUMBER})(?: (.+))?")
_SPAN = re.compile(rf"({_NUMBER}) ({'|'.join(SECONDS)})")
_JOINT = re.compile(rf"\b({'|'.join(SECONDS)}) (?:and )?(?=\d)")
_CLOCK = re.compile(rf"(\d\d?)(?:[:. ]([0-5]\d))?(?::([0-5]\d))? (oclock|{'|'.join(HALVES)})")
_SEAM = re.compile(r"(?<=\d)(?!(?:st|nd|rd|th)\b)(?=[^\W\d])|(?<=[^\W\d])(?=\d)|(?=[%°])|(?<=[%°])")
_CLOCK_24 = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, "" where none was said."""

    number: Fraction
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in seconds after midnight."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time in seconds."""

    seconds: Fraction


@dataclass(frozen=True, slots=True)
class Text:
    """Words without case, articles and punctuation, their numbers in digits."""

    words: str


@dataclass(frozen=True, slots=True)
class Several:
    """The items of a list: sorted where all are text (rooms, days, items), in their order otherwise (a colour)."""

    items: tuple["Meaning", ...]


Meaning = Quantity | Clock | Duration | Text | Several


def same(left: Any, right: Any) -> bool:
    """Whether two argument values mean the same; true of any value and itself.

    >>> same(20, "twenty"), same("20 °C", "20 degrees"), same("20 °C", "20 °F"), same("50 %", 50)
    (True, True, False, True)
    >>> same("11:00 pm", "23:00"), same("the Kitchen", "kitchen"), same("kitchen", "kitchen lamp"), same("1", "11")
    (True, True, False, False)
    """
    return _agree(normalise(left), normalise(right))


def normalise(value: Any) -> Meaning:
    """What `value` means. Total: what is no scalar and no list is the text of its `repr`.

    >>> normalise("twenty-one degrees").number, normalise("11 p.m.").seconds // 3600, normalise("half an hour").seconds
    (Fraction(21, 1), 23, Fraction(1800, 1))
    >>> normalise("The Living-Room  lamp two!").words
    'living room lamp 2'
    """
    if isinstance(value, bool):
        return Text("true" if value else "false")
    if isinstance(value, int):
        return Quantity(Fraction(value))
    if isinstance(value, float) and math.isfinite(value):
        return Quantity(Fraction(repr(value)))
    if isinstance(value, str):
        return _read(value)
    if isinstance(value, list) and not any(isinstance(item, list) for item in value):
        items = [normalise(item) for item in value]
        texts = [item.words for item in items if isinstance(item, Text)]
        return Several(tuple(map(Text, sorted(texts))) if len(texts) == len(items) else tuple(items))
    return Text(_repr(value))


def _agree(left: Meaning, right: Meaning) -> bool:
    if isinstance(left, Several) and isinstance(right, Several):
        return len(left.items) == len(right.items) and all(map(_agree, left.items, right.items))
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        units = {left.unit, right.unit}
        vague = "" in units or ("degree" in units and units <= {"degree", "celsius", "fahrenheit"})
        return left.number == right.number and (vague or len(units) == 1)
    return left == right


def _read(text: str) -> Meaning:
    words = _words(text)
    return _duration(words) or _clock(words) or _quantity(words) or Text(words)


def _words(text: str) -> str:
    """The text in lower case, one space between words, without articles and punctuation, numbers in digits."""
    clean = unicodedata.normalize("NFKC", text.replace("º", "°")).casefold()
    clean = clean.replace("\u2212", "-").replace("&", " and ")
    clean = re.sub(r"['\u2019`]|(?<=[^\W\d])\.|(?<=\d),(?=\d{3}(?!\d))", "", clean)  # it's, p.m., 1,000
    words = " ".join(_without_articles(spaced(_without_punctuation(clean)).split()))
    apart = _SEAM.sub(" ", words)
    said = " ".join(digits_for_words(apart.split()))
    return re.sub(r"\bper ?cent\b", "%", said) or " ".join(text.casefold().split())


def _without_punctuation(text: str) -> str:
    """Spaces in its place; what carries meaning stays: 1.5, 23:00, -5, and the signs %, # and @."""
    kept = {found.start() for found in re.finditer(r"(?<=\d)[.:](?=\d)|(?<!\S)-(?=\d)|[%#@]", text)}
    return "".join(
        " " if unicodedata.category(char)[0] == "P" and at not in kept else char for at, char in enumerate(text)
    )


def _without_articles(words: list[str]) -> list[str]:
    """Without `the` and `my` anywhere and a leading `a`, which counts one before a unit of time ("an hour").

    Inside, `a` may be a name ("vitamin a", "zone a"); where nothing else is left, the words stay.
    """
    if len(words) > 1 and words[0] in ("a", "an"):
        words = ["1", *words[1:]] if words[1] in SECONDS else words[1:]
    return [word for word in words if word not in ("the", "my")] or words


def _duration(words: str) -> Duration | None:
    """Such as "1 hour and 30 minutes" or "half an hour"."""
    said = re.sub(r"^half an? ", "0.5 ", words)
    said = re.sub(r"^(\d+) and a half ", r"\1.5 ", said)
    total = Fraction(0)
    for part in _JOINT.sub(r"\1,", said).split(","):
        span = _SPAN.fullmatch(part)
        if span is None:
            return None
        total += Fraction(span[1]) * SECONDS[span[2]]
    return Duration(total)


def _clock(words: str) -> Clock | None:
    if words in ("noon", "midnight"):
        return Clock(12 * 3600 if words == "noon" else 0)
    spoken, written = _CLOCK.fullmatch(re.sub(r"\b([ap]) m$", r"\1m", words)), _CLOCK_24.fullmatch(words)
    found = spoken or written
    if found is None:
        return None
    hour = int(found[1])
    if spoken:
        if not 1 <= hour <= 12:
            return None
        hour = hour if spoken[4] == "oclock" else hour % 12 + HALVES[spoken[4]]
    return Clock(hour * 3600 + int(found[2] or 0) * 60 + int(found[3] or 0))


def _quantity(words: str) -> Quantity | None:
    found = _QUANTITY.fullmatch(re.sub(r"^(?:minus|negative) (?=\d)", "-", words))
    unit = UNITS.get(found[2] or "") if found else None
    return None if found is None or unit is None else Quantity(Fraction(found[1]), unit)


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:  # a value too deep or too long to write
        return f"<{type(value).__name__}>"
