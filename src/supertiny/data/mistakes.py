"""Wrong replies on purpose, one way of going wrong for each kind of `Failure`.

Each is wrong by construction against every accepted answer, and no judge is asked: an argument set that no accepted
answer has, a value of other words, a function or a refusal that no answer names.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from supertiny.core.calls import Answer, Call, Function, Parameter, Pool, Refusal, Scalar, Value, answer_text, misfit
from supertiny.core.prompt import spaced
from supertiny.core.records import Example
from supertiny.judge.meaning import ORDINALS, SMALL, TENS
from supertiny.judge.reference import Failure

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


Values = Mapping[str, Sequence[Value]]
"""by parameter name, what calls have said there"""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a mistake is made from."""

    example: Example
    answer: Answer
    """an accepted answer that can be given; mistakes start from it"""
    offered: Pool
    values: Values
    rng: Random


Mistake = Callable[[Scene], str | None]
"""the reply, or None where this example admits no such mistake"""


def said_values(examples: Sequence[Example]) -> dict[str, list[Value]]:
    """What the accepted calls of `examples` say, by parameter name, in order of appearance."""
    found: dict[str, list[Value]] = {}
    for example in examples:
        for answer in example.answers:
            for name, value in answer.arguments.items() if isinstance(answer, Call) else ():
                if value not in found.setdefault(name, []):
                    found[name].append(value)
    return found


def unparseable(scene: Scene) -> str | None:
    """The right answer where a strict reader cannot take it: cut short, in prose, in Python's syntax."""
    text = answer_text(scene.answer)
    if not isinstance(scene.answer, Call):
        return scene.rng.choice([text[: len(text) // 2], f"Sorry: {text}.", "I'm sorry, I can't do that."])
    call = scene.answer
    arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
    ways = [text[: len(text) * 2 // 3], f"Sure! {text}", f"{call.name}({arguments})", f"```json\n{text}\n```"]
    return scene.rng.choice([*ways, repr({"name": call.name, "arguments": call.arguments})])


def wrong_function(scene: Scene) -> str | None:
    """Another candidate, with the arguments that it shares with the right call."""
    if not isinstance(scene.answer, Call):
        return None
    accepted = {answer.name for answer in scene.example.answers if isinstance(answer, Call)}
    others = [function for name, function in scene.offered.items() if name not in accepted]
    return _call_of(scene.rng.choice(others), scene.answer.arguments, scene) if others else None


def missing_parameter(scene: Scene) -> str | None:
    """The right call without an argument that no accepted answer leaves out."""
    if not isinstance(scene.answer, Call):
        return None
    call, known = scene.answer, _argument_sets(scene)
    ways = [{k: v for k, v in call.arguments.items() if k != name} for name in call.arguments]
    ways = [way for way in ways if frozenset(way) not in known]
    return answer_text(Call(call.name, scene.rng.choice(ways))) if ways else None


def extra_parameter(scene: Scene) -> str | None:
    """The right call with an argument that no accepted answer has beside the others."""
    if not isinstance(scene.answer, Call):
        return None
    call, known = scene.answer, _argument_sets(scene)
    parameters = scene.offered[call.name].parameters
    names = [n for n in parameters if n not in call.arguments and frozenset((*call.arguments, n)) not in known]
    if not names:
        return None
    name = scene.rng.choice(names)
    return answer_text(Call(call.name, call.arguments | {name: _some_value(name, parameters[name], scene)}))


def wrong_value(scene: Scene) -> str | None:
    """The right call with one argument that says something else than every accepted answer does."""
    if not isinstance(scene.answer, Call):
        return None
    call, ways = scene.answer, []
    for name, parameter in scene.offered[call.name].parameters.items():
        if name in call.arguments:
            ways += [(name, other) for other in _other_values(name, parameter, call.arguments[name], scene)[:4]]
    if not ways:
        return None
    name, value = scene.rng.choice(ways)
    return answer_text(Call(call.name, call.arguments | {name: value}))


def wrong_refusal(scene: Scene) -> str | None:
    """A refusal that is not among the accepted answers."""
    others = [refusal for refusal in Refusal if refusal not in scene.example.answers]
    return scene.rng.choice(others).value if others else None


def missed_refusal(scene: Scene) -> str | None:
    """A candidate called where a refusal is due."""
    if isinstance(scene.answer, Call) or not scene.offered:
        return None
    return _call_of(scene.rng.choice(list(scene.offered.values())), {}, scene)


def _argument_sets(scene: Scene) -> set[frozenset[str]]:
    """The parameters that accepted calls of the answer's function fill."""
    name = scene.answer.name if isinstance(scene.answer, Call) else ""
    return {frozenset(a.arguments) for a in scene.example.answers if isinstance(a, Call) and a.name == name}


def _call_of(function: Function, arguments: Mapping[str, Value], scene: Scene) -> str:
    """A valid call of `function`: the arguments that fit its schema, and any value where one is still required."""
    chosen: dict[str, Value] = {}
    for name, parameter in function.parameters.items():
        if name in arguments and fits(arguments[name], parameter):
            chosen[name] = arguments[name]
        elif parameter.required:
            chosen[name] = _some_value(name, parameter, scene)
    return answer_text(Call(function.name, chosen))


def _some_value(name: str, parameter: Parameter, scene: Scene) -> Value:
    seen = [value for value in scene.values.get(name, ()) if fits(value, parameter)]
    if parameter.items and not seen:
        item = _some_value(name, parameter.items, scene)
        return [] if isinstance(item, list) else [item]
    made: dict[str, Value] = {"string": name, "boolean": True, "array": [name]}
    return scene.rng.choice(list(parameter.enum) or seen or [made.get(parameter.type, 10)])


def fits(value: Value, parameter: Parameter) -> bool:
    """Whether the parameter's schema takes the value."""
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list}
    right = isinstance(value, kinds[parameter.type]) and isinstance(value, bool) == (parameter.type == "boolean")
    return right and misfit(value, parameter) is None


def _other_values(name: str, parameter: Parameter, value: Value, scene: Scene) -> list[Value]:
    """Values of another meaning: a slip of the value itself, what the moment offers, then what others said."""
    calls = [answer for answer in scene.example.answers if isinstance(answer, Call)]
    accepted = [call.arguments[name] for call in calls if name in call.arguments]
    near: list[Value] = []
    slips = near_misses(value) if isinstance(value, str) and not parameter.enum else []
    scene.rng.shuffle(slips)
    if isinstance(value, str) and not parameter.enum:
        near = [text for text in scene.example.context.values() if text in scene.values.get(name, ())]
        turns = [turn.answer for turn in scene.example.history if isinstance(turn.answer, Call)]
        near += [answer.arguments[name] for answer in turns if name in answer.arguments]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        near = [value + step for step in (1, 5, 10, -1, -5) if value + step >= 0]
    rest = [*parameter.enum, *scene.values.get(name, ())]
    scene.rng.shuffle(rest)
    found = [other for other in near + rest if fits(other, parameter)]
    sure = [other for other in found if all(differs(other, one) for one in accepted)]
    return [*(slips[:2] if all(one == value for one in accepted) else []), *sure]


def differs(one: Value, other: Value) -> bool:
    """Whether two values surely mean different things: other numbers, or texts that each hold a word of their own.

    Cautious: numbers and numerals inside texts are not compared, so "1st floor" and "first floor" count as unsure;
    `near_misses` makes texts that differ just there.

    >>> differs("left lamp", "right lamp"), differs("the Lamp", "lamp"), differs("lamp 2", "lamp two"), differs(5, 5.0)
    (True, False, False, False)
    """
    if isinstance(one, str) and isinstance(other, str):
        left, right = (set(spaced(each.casefold()).split()) for each in (one, other))
        return all(own and all(map(_is_plain, own)) for own in (left - right, right - left))
    return type(one) is not str and type(other) is not str and one != other


def _is_plain(word: Scalar) -> bool:
    return isinstance(word, str) and word.isalpha() and not {word} & {*SMALL, *TENS, *ORDINALS, "a", "an", "the", "my"}


MISTAKES: dict[Failure, Mistake] = {
    Failure.UNPARSEABLE: unparseable,
    Failure.WRONG_FUNCTION: wrong_function,
    Failure.MISSING_PARAMETER: missing_parameter,
    Failure.EXTRA_PARAMETER: extra_parameter,
    Failure.WRONG_VALUE: wrong_value,
    Failure.WRONG_REFUSAL: wrong_refusal,
    Failure.MISSED_REFUSAL: missed_refusal,
}
