"""Frames: what a traditional voice assistant's downstream takes, a domain, an intent and slots of strings (paper 3.1).

The intent is the function's own name, so no two functions share a frame and no call needs its domain to come back: a
function without a domain is filed under OTHER, and nothing is lost by it. The two refusals have frames of their own.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from supertiny.core.calls import (
    Answer,
    Call,
    Fault,
    Function,
    Malformed,
    Parameter,
    Pool,
    Refusal,
    Scalar,
    Value,
    check_call,
)

BETWEEN, ESCAPE = "|", "\\"
_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ITEM = re.compile(r"((?:[^|\\]|\\.)*)(?:\||$)", re.DOTALL)


def to_slot(value: Value, type_name: str) -> str:
    r"""The string of a value that fits `type_name`.

    >>> to_slot(21.5, "number"), to_slot(True, "boolean"), to_slot(["milk", "oat|rye"], "array")
    ('21.5', 'true', 'milk|oat\\|rye')
    """
    if isinstance(value, list):
        return BETWEEN.join(map(_item, value)) if value else ESCAPE
    return _scalar(int(value) if type_name == "integer" else value)


def from_slot(text: str, type_name: str) -> Value:
    """The value that a slot's string stands for; ValueError where it is none of `type_name`.

    >>> from_slot("21", "integer"), from_slot("21", "number"), from_slot("21", "string"), from_slot("2|b", "array")
    (21, 21, '21', ['2', 'b'])
    """
    return _READERS[type_name](text)


def slot(value: Value, parameter: Parameter) -> str:
    """The string of a value that fits `parameter`; `value_in` gives it back.

    >>> minutes = Parameter("array", items=Parameter("integer"))
    >>> slot([5, 10.0], minutes), value_in("5|10", minutes)
    ('5|10', [5, 10])
    """
    whole = parameter.items is not None and parameter.items.type == "integer"
    if whole and isinstance(value, list):
        value = [int(item) for item in value]
    return to_slot(value, parameter.type)


def value_in(text: str, parameter: Parameter) -> Value:
    """The value that a slot's string stands for; ValueError where it is none of the parameter's type."""
    value = from_slot(text, parameter.type)
    if not parameter.items or not isinstance(value, list):
        return value
    items = [from_slot(str(item), parameter.items.type) for item in value]
    return [item for item in items if not isinstance(item, list)]


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _item(value: Scalar) -> str:
    return _scalar(value).replace(ESCAPE, ESCAPE * 2).replace(BETWEEN, ESCAPE + BETWEEN)


def _text(text: str) -> str:
    return text


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"not an integer: {text!r}")
    return int(text)


def _number(text: str) -> int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"not a finite number: {text!r}")
    return float(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"neither true nor false: {text!r}")
    return text == "true"


def _array(text: str) -> Value:
    if text == ESCAPE:
        return []
    items: list[Scalar] = []
    at = 0
    while found := _ITEM.match(text, at):
        items.append(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL))
        at = found.end()
        if not found[0].endswith(BETWEEN) or found.end(1) == found.end():
            break
    if not found or at < len(text):
        raise ValueError(f"a backslash escapes nothing: {text!r}")
    return items


_READERS: dict[str, Callable[[str], Value]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _array,
}


OTHER = "other"
"""domain of a function whose document names none"""
REFUSED = "refusal"
"""domain of the two frames that are no calls"""


@dataclass(frozen=True, slots=True)
class Frame:
    """A legacy frame; slot order carries no meaning."""

    domain: str
    intent: str
    slots: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loss:
    """What does not come back from a frame as it went in."""

    function: str
    parameter: str | None
    """None: the function as a whole"""
    why: str


REFUSALS = {
    Refusal.NO_FUNCTION: Frame(REFUSED, "no_function"),
    Refusal.UNCLEAR: Frame(REFUSED, "unclear"),
}
_RESERVED = {frame.intent: refusal for refusal, frame in REFUSALS.items()}


def domain_of(function: Function) -> str:
    """The domain under which a function's frames are filed."""
    return function.domain or OTHER


def to_frame(answer: Answer, pool: Pool) -> Frame:
    """The frame of a refusal, or of a call that fits `pool`; what does not come back from it is in `losses(pool)`.

    >>> from supertiny.core.calls import Parameter
    >>> dim = Function("dim", "Dims", {"level": Parameter("integer")}, "light")
    >>> to_frame(Call("dim", {"level": 50}), {"dim": dim})
    Frame(domain='light', intent='dim', slots={'level': '50'})
    """
    if isinstance(answer, Refusal):
        return REFUSALS[answer]
    function = pool[answer.name]
    slots = {name: slot(value, function.parameters[name]) for name, value in answer.arguments.items()}
    return Frame(domain_of(function), answer.name, slots)


def from_frame(frame: Frame, pool: Pool) -> Answer | Malformed:
    """The answer that a frame stands for, its slots typed by the function's schema, or what is wrong with it."""
    if frame.domain == REFUSED and frame.intent in _RESERVED and not frame.slots:
        return _RESERVED[frame.intent]
    function = pool.get(frame.intent)
    if function is None or domain_of(function) != frame.domain:
        return Malformed(Fault.UNKNOWN_FUNCTION, f"no intent {frame.intent!r} in domain {frame.domain!r}")
    arguments: dict[str, Value] = {}
    for name, text in frame.slots.items():
        parameter = function.parameters.get(name)
        if parameter is None:
            return Malformed(Fault.UNKNOWN_PARAMETER, f"{function.name} has no {name!r}", Call(function.name))
        try:
            arguments[name] = value_in(text, parameter)
        except ValueError as error:
            return Malformed(Fault.WRONG_TYPE, f"{function.name}.{name}: {error}", Call(function.name))
    return check_call(Call(function.name, arguments), pool)


def losses(pool: Pool) -> list[Loss]:
    """Everything of `pool` that a frame cannot hold; every other call comes back equal to what it was.

    A whole number of an integer parameter comes back as an integer (5.0 as 5), which is equal, so no loss.
    """
    return [loss for function in pool.values() for loss in _losses(function)]


def report(pool: Pool, answers: Sequence[Answer]) -> dict[str, Any]:
    """What the adapter makes of a pool: its frames, how many of `answers` come back equal, every loss."""
    return {
        "functions": len(pool),
        "domains": len({domain_of(function) for function in pool.values()}),
        "answers": len(answers),
        "come_back": sum(from_frame(to_frame(answer, pool), pool) == answer for answer in answers),
        "losses": [asdict(loss) for loss in losses(pool)],
    }


def _losses(function: Function) -> Iterator[Loss]:
    if domain_of(function) == REFUSED and function.name in _RESERVED:
        yield Loss(function.name, None, f"its frame without slots is the refusal {_RESERVED[function.name].value!r}")
    for name, parameter in function.parameters.items():
        if parameter.type == "array" and parameter.items is None:
            why = "numbers and booleans among its items come back as text: its schema gives items no type"
            yield Loss(function.name, name, why)
