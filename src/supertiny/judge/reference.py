"""The reference judge: a reply is right when it means the same as one of the example's answers (paper Eq. 2, 6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from supertiny.core.calls import Answer, Call, Malformed, Refusal
from supertiny.core.records import Example
from supertiny.judge.meaning import same


class Failure(StrEnum):
    """What is wrong with a reply; where several things are, the first in this order."""

    UNPARSEABLE = "unparseable"
    WRONG_FUNCTION = "wrong function"
    MISSING_PARAMETER = "missing parameter"
    EXTRA_PARAMETER = "extra parameter"
    WRONG_VALUE = "wrong value"
    WRONG_REFUSAL = "wrong refusal"
    """a refusal where a call, or the other refusal, was due"""
    MISSED_REFUSAL = "missed refusal"
    """a call where a refusal was due"""


_ORDER = list(Failure)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one reply: right, or its kind of failure; `exact` is strict equality with the reference."""

    correct: bool
    failure: Failure | None
    exact: bool


def judge(example: Example, reply: Answer | Malformed) -> Verdict:
    """Compare `reply` with every accepted answer; total, and nothing is right for an unlabelled example.

    A malformed reply is never right, for no executor would run it. Where it holds a call, the call tells the failure.

    >>> example = Example(id="1", query="lights to half", answers=(Call("dim", {"level": 50}),))
    >>> judge(example, Call("dim", {"level": "50 %"}))
    Verdict(correct=True, failure=None, exact=False)
    >>> judge(example, Call("dim", {"level": 5})).failure
    <Failure.WRONG_VALUE: 'wrong value'>
    """
    if isinstance(reply, Malformed):
        if reply.call is None:
            return Verdict(False, Failure.UNPARSEABLE, False)
        return Verdict(False, _nearest(example, reply.call) or Failure.WRONG_VALUE, False)
    failure = _nearest(example, reply)
    exact = bool(example.answers) and _identical(reply, example.answers[0])
    return Verdict(failure is None, failure, exact)


def has_right_head(example: Example, reply: Answer | Malformed) -> bool:
    """Whether the reply names the function, or the refusal, of an accepted answer, whatever its arguments."""
    said = reply.call if isinstance(reply, Malformed) else reply
    return said is not None and any(_head(said) == _head(answer) for answer in example.answers)


def _nearest(example: Example, reply: Answer) -> Failure | None:
    """The failure against the accepted answer with the fewest faults; one of the same function is always nearer."""
    if not example.answers:
        return Failure.WRONG_REFUSAL if isinstance(reply, Refusal) else Failure.WRONG_FUNCTION
    ranked = [(_head(reply) != _head(answer), _faults(reply, answer)) for answer in example.answers]
    _, faults = min(ranked, key=lambda rank: (rank[0], len(rank[1]), [_ORDER.index(fault) for fault in rank[1]]))
    return faults[0] if faults else None


def _faults(reply: Answer, answer: Answer) -> list[Failure]:
    """Everything in which `reply` differs from `answer`, in the order of `Failure`."""
    if isinstance(reply, Refusal):
        return [] if reply == answer else [Failure.WRONG_REFUSAL]
    if isinstance(answer, Refusal):
        return [Failure.MISSED_REFUSAL]
    if reply.name != answer.name:
        return [Failure.WRONG_FUNCTION]
    said, due = reply.arguments, answer.arguments
    missing = [Failure.MISSING_PARAMETER for name in due if name not in said]
    extra = [Failure.EXTRA_PARAMETER for name in said if name not in due]
    wrong = [Failure.WRONG_VALUE for name in due if name in said and not same(said[name], due[name])]
    return missing + extra + wrong


def _head(answer: Answer) -> str:
    return answer.name if isinstance(answer, Call) else answer.value


def _identical(left: Any, right: Any) -> bool:
    """Equality that also tells 1, 1.0 and True apart."""
    if type(left) is not type(right):
        return False
    if isinstance(left, Call):
        return left.name == right.name and _identical(left.arguments, right.arguments)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_identical(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_identical, left, right))
    return bool(left == right)


Reply = Answer | Malformed
Judge = Callable[[Sequence[Example], Sequence[Reply]], list[Verdict]]


def by_reference(examples: Sequence[Example], replies: Sequence[Reply]) -> list[Verdict]:
    """The reference judge, which knows the accepted answers of each example."""
    return [judge(*pair) for pair in zip(examples, replies, strict=True)]


def verdict(example: Example, reply: Reply, failure: Failure | None) -> Verdict:
    """What a judge without the accepted answers says: right where it names no failure.

    A malformed reply is never right, for no executor would run it; its failure is then the reader's.
    """
    if isinstance(reply, Malformed):
        return judge(example, reply)
    return Verdict(failure is None, failure, judge(example, reply).exact)
