"""Functions, calls, and the one strict reader of what a model wrote (paper 3.1).

Model output is data. `parse_reply` never raises and never evaluates: whatever is wrong with a
reply comes back as a `Malformed` that names its kind.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

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


class Fault(StrEnum):
    """Why a reply is not a valid answer."""

    TOO_LONG = "too long"
    NOT_JSON = "not JSON"
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


def parse_reply(text: str, pool: Pool) -> Answer | Malformed:
    """Read one model reply strictly: a refusal, a call valid for `pool`, or what is wrong with it."""
    text = text.strip()
    if text in list(Refusal):
        return Refusal(text)
    value = read_value(text)
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
    """The reply as a model writes it: compact JSON, or the refusal's words.

    >>> answer_text(Call("turn_on_light", {"area": "kitchen"}))
    '{"name":"turn_on_light","arguments":{"area":"kitchen"}}'
    """
    if isinstance(answer, Refusal):
        return answer.value
    return json.dumps(answer_json(answer), ensure_ascii=False, separators=(",", ":"))


def answer_json(answer: Answer) -> Any:
    """The JSON value that stands for `answer` in data files; `answer_from_json` reads it back."""
    return str(answer) if isinstance(answer, Refusal) else {"name": answer.name, "arguments": answer.arguments}


def answer_from_json(value: Any, pool: Pool) -> Answer | Malformed:
    """The answer that a data file's JSON value stands for, under the same checks as a model's reply."""
    if isinstance(value, str):
        words = [refusal.value for refusal in Refusal]
        return Refusal(value) if value in words else Malformed(Fault.NOT_A_CALL, f"a text that is none of {words}")
    return parse_reply(json.dumps(value, ensure_ascii=False), pool)


def read_value(text: str) -> Any:
    """The JSON value that a model wrote, read strictly and within the bounds above, or what is wrong with it."""
    if len(text) > MAX_CHARS:
        return Malformed(Fault.TOO_LONG, f"{len(text)} characters, at most {MAX_CHARS}")
    if _depth(text) > MAX_DEPTH:
        return Malformed(Fault.TOO_DEEP, f"more than {MAX_DEPTH} levels")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except _FaultError as bad:
        return Malformed(bad.fault, bad.detail)
    except UnicodeEncodeError:
        return Malformed(Fault.LONE_SURROGATE, "a \\ud800-\\udfff escape without its partner")
    except ValueError as error:
        return Malformed(Fault.NOT_JSON, str(error))
    return value


@dataclass
class _FaultError(Exception):
    fault: Fault
    detail: str


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings, found without recursion."""
    deepest = depth = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
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
