"""Which part of an answer a token writes, so that a divergence can be looked at part by part."""

import re
from collections.abc import Sequence
from enum import StrEnum

NAME = re.compile(r'"name":"((?:[^"\\]|\\.)*)"')
PARAMETER = re.compile(r'[{,]"((?:[^"\\]|\\.)*)":')


class Slot(StrEnum):
    """A part of an answer."""

    FUNCTION = "function name"
    PARAMETER = "parameter names"
    VALUE = "values"
    SYNTAX = "syntax"
    REFUSAL = "refusal"
    END = "end"


def token_slots(text: str, offsets: Sequence[tuple[int, int]]) -> list[Slot]:
    """The slot of each token of the answer `text`, from its character span; an empty span is the end token.

    A token that spans several slots counts to the one with most of its characters, of equal ones to the later.

    >>> text = '{"name":"go","arguments":{"to":"den"}}'
    >>> spans = [(0, 9), (9, 11), (11, 27), (27, 29), (29, 31), (31, 36), (36, 38), (38, 38)]
    >>> [str(slot) for slot in token_slots(text, spans)]
    ['syntax', 'function name', 'syntax', 'parameter names', 'syntax', 'values', 'syntax', 'end']
    """
    chars = _char_slots(text)

    def slot(start: int, end: int) -> Slot:
        covered = chars[start:end]
        return max(reversed(covered), key=covered.count) if covered else Slot.END

    return [slot(start, end) for start, end in offsets]


def _char_slots(text: str) -> list[Slot]:
    start, name = text.find("{"), NAME.search(text)
    opened = text.find('"arguments":{')
    if start < 0 or name is None or opened < 0:
        return [Slot.REFUSAL] * len(text)
    slots = [Slot.SYNTAX] * len(text)
    slots[name.start(1) : name.end(1)] = [Slot.FUNCTION] * len(name[1])
    at = opened + len('"arguments":')
    while key := PARAMETER.match(text, at):
        slots[key.start(1) : key.end(1)] = [Slot.PARAMETER] * len(key[1])
        at = _value_end(text, key.end())
        slots[key.end() : at] = [Slot.VALUE] * (at - key.end())
    return slots


def _value_end(text: str, start: int) -> int:
    """Where the JSON value that starts at `start` ends: at the first comma or brace outside strings and lists."""
    depth, quoted, at = 0, False, start
    while at < len(text) and (quoted or depth or text[at] not in ",}"):
        if text[at] == "\\":
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif not quoted:
            depth += {"[": 1, "]": -1}.get(text[at], 0)
        at += 1
    return at
