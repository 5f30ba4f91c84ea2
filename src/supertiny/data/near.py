"""Texts that differ from one in a detail that changes what they mean: the number, the half of the day, the unit.

Just what a judge must read to tell "07:00" from "08:00", and what a careless one takes for another writing. Each is
wrong by how it is made, in one place, and no judge is asked.
"""

import re
from collections.abc import Iterator

from supertiny.judge.numerals import ORDINALS, SMALL, TENS

_WORDS = {number: word for word, number in [*SMALL.items(), *TENS.items()] if number}
_NTH = {number: word for word, number in ORDINALS.items()}
_NUMERAL = rf"(?:\d+|{'|'.join(_WORDS.values())})"
_CLOCK = re.compile(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])")
_DIGITS = re.compile(r"(?<![\d.,:])\d+(?![\d:,]|st\b|nd\b|rd\b|th\b)")
_NTH_DIGITS = re.compile(r"(?<![\d.,:])(\d+)(?:st|nd|rd|th)\b")
_CARDINAL = re.compile(rf"\b(?:{'|'.join(_WORDS.values())})\b")
_ORDINAL = re.compile(rf"\b(?:{'|'.join(ORDINALS)})\b")
_HALF_DAY = re.compile(rf"\b({_NUMERAL} ?)([ap])(?=\.?m\b)")
_SPAN = re.compile(rf"\b({_NUMERAL}[ -]?)(second|minute|hour|day)(?=s?\b)")
_SCALE = re.compile(r"(?<=\d)( ?)(°c|°f|celsius|fahrenheit)\b|(?<=degrees )()(celsius|fahrenheit)\b")
_OTHER_UNIT = {
    **{"second": "minute", "minute": "hour", "hour": "minute", "day": "hour"},
    **{"°c": "°F", "°f": "°C", "celsius": "fahrenheit", "fahrenheit": "celsius"},
}


def near_misses(text: str) -> list[str]:
    """Texts that say something else than `text` in one detail, each once; none where it holds no such detail.

    >>> near_misses("07:00"), near_misses("lamp 2"), near_misses("20 °C")
    (['08:00', '19:00', '07:30'], ['lamp 3'], ['21 °C', '20 °F'])
    >>> near_misses("seven pm"), near_misses("the second lamp"), near_misses("desk lamp")
    (['eight pm', 'seven am'], ['the third lamp'], [])
    """
    said = text.casefold()
    if len(said) != len(text):  # a letter that folds to two: places would not agree
        return []
    found = [
        text[:start] + (into.upper() if text[start:end].isupper() else into) + text[end:]
        for start, end, into in _changes(said)
    ]
    return list(dict.fromkeys(found))


def _changes(said: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, what stands there instead)."""
    for clock in _CLOCK.finditer(said):
        yield from ((*clock.span(), other) for other in _other_times(clock))
    for number in _DIGITS.finditer(said):
        yield (*number.span(), str(int(number[0]) + 1).zfill(len(number[0])))
    for number in _NTH_DIGITS.finditer(said):
        yield (*number.span(), _nth(int(number[1]) + 1))
    for word in _CARDINAL.finditer(said):
        yield (*word.span(), _WORDS[_next((SMALL | TENS)[word[0]])])
    for word in _ORDINAL.finditer(said):
        if not re.search(rf"\b{_NUMERAL}[ -]$", said[: word.start()]):  # "ten second" is a duration
            rank = ORDINALS[word[0]]
            yield (*word.span(), _NTH[rank - 1 if rank in (9, 19, 20) else rank + 1])
    for half in _HALF_DAY.finditer(said):
        yield (*half.span(2), "p" if half[2] == "a" else "a")
    spans = list(_SPAN.finditer(said))
    for span in spans if len(spans) == 1 else ():  # of several, one may be named for another: 60 minutes, 1 hour
        if not re.fullmatch(r"0+\D*", span[1]):
            yield (*span.span(2), _OTHER_UNIT[span[2]])
    for scale in _SCALE.finditer(said):
        if not re.search("40|forty", said):  # minus forty is the same on both scales
            unit = 2 if scale[2] else 4
            yield (*scale.span(unit), _OTHER_UNIT[scale[unit]])


def _other_times(clock: re.Match[str]) -> list[str]:
    """Another hour, where only a 24-hour clock writes so the other half of the day, another minute."""
    hour, minute, width = int(clock[1]), int(clock[2]), len(clock[1])
    spoken = re.match(r" ?([ap]\.?m\b|o.?clock|in the)", clock.string[clock.end() :])
    hours = [hour % 12 + 1] if spoken else [(hour + 1) % 24]
    hours += [(hour + 12) % 24] if not spoken and (clock[1][0] == "0" or hour > 12) else []
    return [f"{other:0{width}d}:{minute:02d}" for other in hours] + [f"{clock[1]}:{(minute + 30) % 60:02d}"]


def _next(number: int) -> int:
    """The neighbour of a number, of the same form: "twenty-nine" has no next unit, nor has ninety a next ten.

    >>> [_next(number) for number in (1, 9, 19, 20, 90, 41)]
    [2, 8, 18, 30, 80, 42]
    """
    if number in (9, 19, 90):
        return number - (10 if number == 90 else 1)
    return number + (10 if 20 <= number < 90 and number % 10 == 0 else 1)


def _nth(number: int) -> str:
    """A number as "22nd"."""
    end = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{end}"
