"""A reply that thinks first: `<think>...</think><answer>...</answer>`, written and read in one place (App. B).

The answer is the call or the refusal as the compressed prompt wants it. The thought ends with what it decides on: the
last function that it names, or the refusal by its words, is the answer's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from supertiny.core.calls import Answer, Call, Fault, Malformed, Pool, parse_reply

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
"""Each stands in a reply exactly once, in this order."""
THINKS = "thinks"
"""entry of the config.json of a model that writes this format, and not the answer alone"""


class TagFault(StrEnum):
    """Why a reply is not in the format; where several things are wrong, the first in this order."""

    MISSING = "missing tag"
    REPEATED = "repeated tag"
    ORDER = "tags out of order"
    OUTSIDE = "text outside the tags"


@dataclass(frozen=True, slots=True)
class Thought:
    """A reply in its two parts, without the white space around them."""

    thought: str
    answer: str
    """what stands between the answer tags: any text"""


class Source(StrEnum):
    """Who thought it."""

    RULE = "rule"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Trace:
    """One row of chain-of-thought data: what a model is taught to write for the example of this id."""

    id: str
    thought: str
    answer: str
    """the call or the refusal, as written"""
    source: Source

    @property
    def text(self) -> str:
        """The whole reply."""
        return write(self.thought, self.answer)


def write(thought: str, answer_text: str) -> str:
    """The reply of these two parts; `read` gives them back. ValueError where a part holds a tag itself.

    >>> write("turns it on: turn_on_fan", '{"name":"turn_on_fan","arguments":{}}')
    '<think>turns it on: turn_on_fan</think><answer>{"name":"turn_on_fan","arguments":{}}</answer>'
    """
    held = [tag for tag in TAGS if tag in thought or tag in answer_text]
    if held:
        raise ValueError(f"a thought or an answer holds {held[0]}: no reader could tell it from the format's own")
    return f"<think>{thought}</think><answer>{answer_text}</answer>"


def read(text: str) -> Thought | TagFault:
    """The parts of a reply, or why it has none; total.

    Strict: each tag exactly once in the whole reply (so none is nested or quoted), in order, and nothing but white
    space before, between and after the two parts. Tags are these very characters: `<THINK>` and `< think >` are text.

    >>> read(" <think>fan: turn_on_fan</think> <answer>Request unclear</answer>")
    Thought(thought='fan: turn_on_fan', answer='Request unclear')
    >>> read("<think><think>x</think></think><answer>y</answer>")
    <TagFault.REPEATED: 'repeated tag'>
    """
    counts = [text.count(tag) for tag in TAGS]
    if 0 in counts:
        return TagFault.MISSING
    if max(counts) > 1:
        return TagFault.REPEATED
    at = [text.index(tag) for tag in TAGS]
    if at != sorted(at):
        return TagFault.ORDER
    # no tag is part of another, so that ascending starts mean disjoint tags
    starts = [start + len(tag) for start, tag in zip(at, TAGS, strict=True)]
    outside = text[: at[0]] + text[starts[1] : at[2]] + text[starts[3] :]
    if outside.strip():
        return TagFault.OUTSIDE
    return Thought(text[starts[0] : at[1]].strip(), text[starts[2] : at[3]].strip())


def read_answer(text: str, pool: Pool) -> Answer | Malformed:
    """The answer of a small model that may think first; a reply with a tag must be in the format. Total.

    >>> read_answer("<think>open</think><answer>Request unclear</answer>", {})
    <Refusal.UNCLEAR: 'Request unclear'>
    """
    if not any(tag in text for tag in TAGS):
        return parse_reply(text, pool)
    parts = read(text)
    return Malformed(Fault.NOT_A_CALL, parts.value) if isinstance(parts, TagFault) else parse_reply(parts.answer, pool)


def head(answer: Answer) -> str:
    """What a thought calls an answer: the function's name, or the words of the refusal."""
    return answer.name if isinstance(answer, Call) else answer.value


def named(thought: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that stand in `thought` as whole words, in its order and as often as they do.

    Case counts, and of names that share a place the longest is meant.

    >>> named("not unlock_door but lock_door.", ["lock_door", "unlock_door"])
    ['unlock_door', 'lock_door']
    """
    longest_first = sorted({name for name in names if name}, key=lambda name: (-len(name), name))
    if not longest_first:
        return []
    return re.findall(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", thought)


def last_named(thought: str, names: Iterable[str]) -> str | None:
    """The name that the thought ends on, whatever words follow it; None where it has none of them."""
    found = named(thought, names)
    return found[-1] if found else None
