"""Functions, calls, and the one strict reader of what a model wrote (paper 3.1).

Model output is data. `parse_reply` never raises and never evaluates: whatever is wrong with a
reply comes back as a `Malformed` that names its kind.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")
Scalar = str | int | float | bool
Value = Scalar | list[Scalar]
SCALARS = ("string", "number", "boolean")
"""what a scalar is in JSON, where a whole number is a number"""

MAX_CHARS, MAX_DEPTH, MAX_KEYS = 4096, 4, 64
"""Bounds of one reply: characters, nesting of brackets, keys of one object."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument a function takes."""

    type: str
    """string | integer | number | boolean | array (of scalars)"""
    description: str = ""
    required: bool = False
    enum: tuple[Scalar, ...] = ()
    """the only values allowed; empty: any"""
    items: "Parameter | None" = None
    """of an array: what each of its values is, a scalar; None: any scalar"""

    @property
    def kind(self) -> str:
        """Its type in words."""
        return f"{self.type} of {self.items.type}" if self.items else self.type


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the pool, as its document describes it."""

    name: str
    description: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    domain: str = ""


Pool = Mapping[str, Function]


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; argument order carries no meaning."""

    name: str
    arguments: dict[str, Value] = field(default_factory=dict)


class Refusal(StrEnum):
    """The two replies that are no calls."""

    NO_FUNCTION = "No appropriate function"
    UNCLEAR = "Request unclear"


Answer = Call | Refusal


class Syntax(StrEnum):
    """How a call is written; parameter files say it by the names, which is how OmegaConf reads an enum."""

    json = "json"
    """{"name": "dim", "arguments": {"level": 5}}"""
    python = "python"
    """dim(level=5)"""


class Fault(StrEnum):
    """Why a reply is not a valid answer; but for the first two the same in every syntax."""

    NOT_JSON = "not JSON"
    NOT_PYTHON = "not a Python call"
    TOO_LONG = "too long"
    TOO_DEEP = "too deep"
    TOO_MANY_KEYS = "too many keys"
    DUPLICATE_KEY = "duplicate key"
    NOT_FINITE = "not a finite number"
    LONE_SURROGATE = "lone surrogate"
    NOT_A_CALL = "not a call"
    UNKNOWN_FUNCTION = "unknown function"
    UNKNOWN_PARAMETER = "unknown parameter"
    MISSING_PARAMETER = "missing parameter"
    WRONG_TYPE = "wrong type"
    NOT_ALLOWED = "value not allowed"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A reply that is no answer: the kind of fault, what showed it, and the call as far as it was read."""

    fault: Fault
    detail: str
    call: Call | None = None


def parse_reply(text: str, pool: Pool, syntax: Syntax) -> Answer | Malformed:
    """Read one model reply strictly: a refusal, a call valid for `pool`, or what is wrong with it."""
    text = text.strip()
    if text in list(Refusal):
        return Refusal(text)
    value = read_value(text) if syntax is Syntax.json else _read_python(text)
    if isinstance(value, Malformed):
        return value
    if not (
        isinstance(value, dict)
        and set(value) == {"name", "arguments"}
        and isinstance(value["name"], str)
        and isinstance(value["arguments"], dict)
    ):
        return Malformed(Fault.NOT_A_CALL, 'expected {"name": string, "arguments": object}')
    return check_call(Call(value["name"], value["arguments"]), pool)


def check_call(call: Call, pool: Pool) -> Call | Malformed:
    """The call itself where it fits its function's schema, else the first fault."""
    function = pool.get(call.name)
    if function is None:
        return Malformed(Fault.UNKNOWN_FUNCTION, repr(call.name), call)
    for name, value in call.arguments.items():
        parameter = function.parameters.get(name)
        if parameter is None:
            return Malformed(Fault.UNKNOWN_PARAMETER, f"{call.name} has no {name!r}", call)
        if fault := misfit(value, parameter):
            why = f": {value!r}" if fault is Fault.NOT_ALLOWED else f" wants {parameter.kind}, got {value!r}"
            return Malformed(fault, f"{call.name}.{name}{why}", call)
    for name, parameter in function.parameters.items():
        if parameter.required and name not in call.arguments:
            return Malformed(Fault.MISSING_PARAMETER, f"{call.name} wants {name!r}", call)
    return call


def misfit(value: Any, parameter: Parameter) -> Fault | None:
    """What is wrong with a value that stands for `parameter`; None: it fits.

    >>> days = Parameter("array", items=Parameter("string", enum=("mon", "tue")))
    >>> misfit(["tue"], days), str(misfit(["sun"], days)), str(misfit([1], days))
    (None, 'value not allowed', 'wrong type')
    """
    if not _has_type(value, parameter.type):
        return Fault.WRONG_TYPE
    if parameter.enum and value not in parameter.enum:
        return Fault.NOT_ALLOWED
    wrong = [misfit(item, parameter.items) for item in value] if parameter.items else []
    return next(filter(None, wrong), None)


def answer_text(answer: Answer) -> str:
    """The answer as data files and keys have it, and as a model writes it in `Syntax.json`: compact JSON, or the words.

    >>> answer_text(Call("turn_on_light", {"area": "kitchen"}))
    '{"name":"turn_on_light","arguments":{"area":"kitchen"}}'
    """
    if isinstance(answer, Refusal):
        return answer.value
    return json.dumps(answer_json(answer), ensure_ascii=False, separators=(",", ":"))


def written(answer: Answer, syntax: Syntax) -> str:
    """The reply as a model writes it; `parse_reply` reads it back.

    >>> written(Call("dim", {"area": "the \\"den\\"", "level": 5, "now": True}), Syntax.python)
    'dim(area="the \\\\"den\\\\"", level=5, now=True)'
    """
    if isinstance(answer, Refusal) or syntax is Syntax.json:
        return answer_text(answer)
    arguments = ", ".join(f"{name}={python_literal(value)}" for name, value in answer.arguments.items())
    return f"{answer.name}({arguments})"


def python_literal(value: Any) -> str:
    """A JSON value as Python writes it, but for strings, which keep JSON's escapes: one way to write each."""
    match value:
        case None | bool():
            return str(value)
        case list():
            return f"[{', '.join(map(python_literal, value))}]"
        case dict():
            return "{" + ", ".join(f"{_text(key)}: {python_literal(inner)}" for key, inner in value.items()) + "}"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


NAME = r"""[^\s()\[\]{}=:,"'\\]+"""
"""a function or a parameter that a call in Python's syntax can name: none of its signs, no white space"""


def answer_json(answer: Answer) -> Any:
    """The JSON value that stands for `answer` in data files; `answer_from_json` reads it back."""
    return str(answer) if isinstance(answer, Refusal) else {"name": answer.name, "arguments": answer.arguments}


def answer_from_json(value: Any, pool: Pool) -> Answer | Malformed:
    """The answer that a data file's JSON value stands for, under the same checks as a model's reply."""
    if isinstance(value, str):
        words = [refusal.value for refusal in Refusal]
        return Refusal(value) if value in words else Malformed(Fault.NOT_A_CALL, f"a text that is none of {words}")
    return parse_reply(json.dumps(value, ensure_ascii=False), pool, Syntax.json)


def read_value(text: str) -> Any:
    """The JSON value that a model wrote, read strictly and within the bounds above, or what is wrong with it."""
    return _bounded(text, _depth(text, "[{", "]}"), _from_json, Fault.NOT_JSON)


def _read_python(text: str) -> Any:
    """The same of a call as Python writes it: its value in JSON; one bracket stands there for JSON's two."""
    return _bounded(text, 1 + _depth(text, "([{", ")]}"), lambda said: _PythonCall(said).read(), Fault.NOT_PYTHON)


def _bounded(text: str, depth: int, read: Callable[[str], Any], unreadable: Fault) -> Any:
    """What `read` gives, or what is wrong; nothing is read that is too long or too deep."""
    if len(text) > MAX_CHARS:
        return Malformed(Fault.TOO_LONG, f"{len(text)} characters, at most {MAX_CHARS}")
    if depth > MAX_DEPTH:
        return Malformed(Fault.TOO_DEEP, f"more than {MAX_DEPTH} levels")
    try:
        value = read(text)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except _FaultError as bad:
        return Malformed(bad.fault, bad.detail)
    except UnicodeEncodeError:
        return Malformed(Fault.LONE_SURROGATE, "a \\ud800-\\udfff escape without its partner")
    except ValueError as error:
        return Malformed(unreadable, str(error))
    return value


def _from_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


_STRING = r'"(?:[^"\\]|\\.)*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])"
_WORD = r"(?:True|False|None|-?(?:nan|NaN|inf|Infinity))\b"
_WORDS = {"True": True, "False": False, "None": None}
_SPACE = r"[ \t\r\n]*"


class _PythonCall:
    """One call as `written` writes it, read by recursive descent: nothing is evaluated, and no other Python is known.

        call  = NAME "(" [NAME "=" value {"," NAME "=" value}] ")"
        value = JSON's string or number | "True" | "False" | "None" | "[" [value {"," value}] "]"
              | "{" [string ":" value {"," string ":" value}] "}"

    White space stands between them as in JSON. How deep a text goes was looked at before.
    """

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def read(self) -> dict[str, Any]:
        """The call as JSON has it; _FaultError or ValueError where the text is none."""
        name = self._take(NAME, "(")
        arguments = self._value() if name is None else _object(self._several(self._argument, ")"))
        if self._at < len(self._text):
            raise self._unexpected("the end")
        if name is None:
            raise _FaultError(Fault.NOT_A_CALL, "expected function(parameter=value, ...)")
        return {"name": name, "arguments": arguments}

    def _argument(self) -> tuple[str, Any]:
        name = self._take(NAME, "=")
        value = self._value()
        if name is None:
            raise _FaultError(Fault.NOT_A_CALL, f"{value!r} stands without its parameter's name")
        return name, value

    def _entry(self) -> tuple[str, Any]:
        key = self._take(_STRING, ":")
        if key is None:
            raise self._unexpected('"key":')
        return json.loads(key), self._value()

    def _value(self) -> Any:
        if (text := self._take(_STRING)) is not None:
            return json.loads(text)
        if (number := self._take(_NUMBER)) is not None:
            return _float(number) if {*".eE"}.intersection(number) else int(number)
        if (word := self._take(_WORD)) is not None:
            return _WORDS[word] if word in _WORDS else _constant(word)
        if self._take("", "[") is not None:
            return self._several(self._value, "]")
        if self._take("", "{") is not None:
            return _object(self._several(self._entry, "}"))
        raise self._unexpected("a value")

    def _several(self, read: Callable[[], T], end: str) -> list[T]:
        """What `read` reads, again and again, with commas between, up to the sign `end`."""
        found: list[T] = []
        while self._take("", end) is None:
            if found and self._take("", ",") is None:
                raise self._unexpected(f"a comma or {end}")
            found.append(read())
        return found

    def _take(self, pattern: str, sign: str = "") -> str | None:
        """What matches here, gone past with `sign` and white space behind it; None: not here, and nothing gone past."""
        rule = f"({pattern}){_SPACE}{re.escape(sign)}{_SPACE}"
        found = re.compile(rule, re.DOTALL).match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found[1] if found else None

    def _unexpected(self, wanted: str) -> ValueError:
        return ValueError(f"expected {wanted} at character {self._at}, got {self._text[self._at :][:20]!r}")


@dataclass
class _FaultError(Exception):
    fault: Fault
    detail: str


def _depth(text: str, opening: str, closing: str) -> int:
    """Deepest nesting of brackets outside strings, found without recursion."""
    deepest = depth = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in opening:
            depth += 1
            deepest = max(deepest, depth)
        elif char in closing:
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise _FaultError(Fault.TOO_MANY_KEYS, f"{len(pairs)} keys, at most {MAX_KEYS}")
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _FaultError(Fault.DUPLICATE_KEY, repr(key))
        found[key] = value
    return found


def _constant(name: str) -> float:
    raise _FaultError(Fault.NOT_FINITE, name)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _FaultError(Fault.NOT_FINITE, text)
    return value


def _has_type(value: Any, type_name: str) -> bool:
    if type_name == "array":
        return isinstance(value, list) and all(isinstance(item, str | int | float | bool) for item in value)
    if type_name == "boolean" or isinstance(value, bool):
        return type_name == "boolean" and isinstance(value, bool)
    if type_name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, {"string": str, "number": int | float}[type_name])
