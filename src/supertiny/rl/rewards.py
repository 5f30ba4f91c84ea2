"""What a reply earns: S_format + S_answer (paper App. B). Rules alone, no trainer, no model.

A reply out of the format holds no answer: it earns 0 + -2. The six totals are 3, -0.2, -0.25, -0.5, -1 and -2.
A refusal is an answer like any other, named in a thought by its words. It has no parameters: it is right, or -1.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from supertiny.core.calls import Answer, Call, Malformed, Pool, Refusal, Syntax, parse_reply
from supertiny.core.prompt import TagFault, Thought, head, named, read
from supertiny.core.records import Example
from supertiny.judge.meaning import same
from supertiny.judge.reference import judge


class Level(StrEnum):
    """What came of the answer; the first in this order that applies."""

    MISSING = "no answer"
    """the reply is out of the format, or nothing stands between the answer tags"""
    UNPARSEABLE = "unparseable"
    """neither a refusal nor a call in the syntax that is due"""
    UNKNOWN_FUNCTION = "unknown function"
    """a call of a function that is not offered"""
    TARGET_UNNAMED = "target not named"
    """the thought names no function, and no refusal, of a right answer"""
    OTHER_END = "thought ends elsewhere"
    """the last function or refusal that the thought names is not the answer's"""
    CORRECT = "correct"
    """the reference judge says so"""
    VALUE_RIGHT = "a value right"
    """function right, and at least one parameter right in name and value"""
    PARAMETER_RIGHT = "a parameter right"
    """function right, and at least one parameter right in name"""
    WRONG = "wrong"
    """otherwise: another function, another refusal, or no parameter of the right ones"""


ANSWER_SCORES = {
    Level.MISSING: -2.0,
    Level.UNPARSEABLE: -2.0,
    Level.UNKNOWN_FUNCTION: -2.0,
    Level.TARGET_UNNAMED: -2.0,
    Level.OTHER_END: -2.0,
    Level.CORRECT: 2.0,
    Level.VALUE_RIGHT: -1.2,
    Level.PARAMETER_RIGHT: -1.25,
    Level.WRONG: -1.5,
}
"""S_answer of every level."""


@dataclass(frozen=True, slots=True)
class Reward:
    """What one reply earned."""

    format_score: float
    """1 or 0"""
    answer_score: float
    """2 | -1.2 | -1.25 | -1.5 | -2"""
    level: Level

    @property
    def value(self) -> float:
        """The sum of both."""
        return self.format_score + self.answer_score


def reward(text: str, answers: Sequence[Answer], offered: Pool, syntax: Syntax) -> Reward:
    """What the reply `text` earns where `answers` are right and the functions of `offered` could be called. Total.

    Right answers whose functions are not offered count for nothing: no reply can give them. Without any other, and
    for an unlabelled example, no thought names the target.

    >>> from supertiny.core.calls import Function
    >>> fan = Call("turn_on_fan", {})
    >>> reply = '<think>on: turn_on_fan</think><answer>{"name": "turn_on_fan", "arguments": {}}</answer>'
    >>> reward(reply, [fan], {"turn_on_fan": Function("turn_on_fan", "Turns on a fan")}, Syntax.json).value
    3.0
    """
    parts = read(text)
    if isinstance(parts, TagFault):
        return _reward(0.0, Level.MISSING)
    return _reward(1.0, _level(parts, answers, offered, syntax))


def level_shares(rewards: Sequence[Reward]) -> dict[Level, float]:
    """The share of each level, also of those that nobody reached."""
    return {level: sum(one.level is level for one in rewards) / len(rewards) for level in Level}


NOTHING = Reward(0.0, ANSWER_SCORES[Level.MISSING], Level.MISSING)
"""The lowest reward, that of a reply out of the format."""


def _reward(format_score: float, level: Level) -> Reward:
    return Reward(format_score, ANSWER_SCORES[level], level)


def _level(parts: Thought, due: Sequence[Answer], offered: Pool, syntax: Syntax) -> Level:
    if not parts.answer:
        return Level.MISSING
    reply = parse_reply(parts.answer, offered, syntax)
    said = reply.call if isinstance(reply, Malformed) else reply
    if said is None:
        return Level.UNPARSEABLE
    if isinstance(said, Call) and said.name not in offered:
        return Level.UNKNOWN_FUNCTION
    mentions = named(parts.thought, [*offered, *map(str, Refusal)])
    if not {head(one) for one in due}.intersection(mentions):
        return Level.TARGET_UNNAMED
    if mentions[-1] != head(said):
        return Level.OTHER_END
    if judge(Example(id="", query="", answers=tuple(due)), reply).correct:
        return Level.CORRECT
    return _partly(said, due)


def _partly(said: Answer, due: Sequence[Answer]) -> Level:
    """How near a wrong answer comes to the right ones of its function; a call that breaks its schema is read too."""
    if isinstance(said, Refusal):
        return Level.WRONG
    level = Level.WRONG
    for answer in due:
        if isinstance(answer, Call) and answer.name == said.name:
            common = said.arguments.keys() & answer.arguments.keys()
            if any(same(said.arguments[name], answer.arguments[name]) for name in common):
                return Level.VALUE_RIGHT
            level = Level.PARAMETER_RIGHT if common else level
    return level
