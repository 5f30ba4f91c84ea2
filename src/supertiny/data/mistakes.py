"""Wrong replies on purpose, one way of going wrong for each kind of `Failure`.

Each is wrong by construction against every accepted answer, and no judge is asked: an argument set that no accepted
answer has, a value of other words, a function or a refusal that no answer names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from supertiny.core.calls import Answer, Call, Function, Parameter, Pool, Refusal, Scalar, Value, answer_text
from supertiny.core.records import Example
from supertiny.data.near import near_misses
from supertiny.judge.numerals import ORDINALS, SMALL, TENS
from supertiny.judge.reference import Failure

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
    made: dict[str, Value] = {"string": name, "boolean": True, "array": [name]}
    return scene.rng.choice(list(parameter.enum) or seen or [made.get(parameter.type, 10)])


def fits(value: Value, parameter: Parameter) -> bool:
    """Whether the parameter's schema takes the value."""
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list}
    right = isinstance(value, kinds[parameter.type]) and isinstance(value, bool) == (parameter.type == "boolean")
    return right and (not parameter.enum or value in parameter.enum)


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
        left, right = set(one.casefold().split()), set(other.casefold().split())
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
