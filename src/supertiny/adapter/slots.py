"""One slot: an argument's value as the string that a legacy frame holds, and back by the parameter's type.

A list is written item by item, `|` between; inside an item `|` and the backslash follow a backslash. The empty list is
one lone backslash, which no item is written as, so that it differs from a list of one empty text.
"""

import math
import re
from collections.abc import Callable

from supertiny.core.calls import Scalar, Value

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
