"""Frames: what a traditional voice assistant's downstream takes, a domain, an intent and slots of strings (paper 3.1).

The intent is the function's own name, so no two functions share a frame and no call needs its domain to come back: a
function without a domain is filed under OTHER, and nothing is lost by it. The two refusals have frames of their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from supertiny.adapter.slots import from_slot, to_slot
from supertiny.core.calls import Answer, Call, Fault, Function, Malformed, Pool, Refusal, Value, check_call

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
    slots = {name: to_slot(value, function.parameters[name].type) for name, value in answer.arguments.items()}
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
            arguments[name] = from_slot(text, parameter.type)
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
        if parameter.type == "array":
            yield Loss(
                function.name, name, "numbers and booleans among its items come back as text: items have no type"
            )
