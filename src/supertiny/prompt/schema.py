"""The answers a list of functions admits, as a JSON schema: for constrained decoding in any engine."""

from collections.abc import Iterable
from typing import Any

from supertiny.core.calls import Function, Parameter


def call_schema(functions: Iterable[Function]) -> dict[str, Any]:
    """The schema of a call of one of `functions`, arguments in document order, nothing else allowed."""
    return {"anyOf": [_one(function) for function in functions]}


def _one(function: Function) -> dict[str, Any]:
    arguments = {
        "type": "object",
        "properties": {name: _value(parameter) for name, parameter in function.parameters.items()},
        "required": [name for name, parameter in function.parameters.items() if parameter.required],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"name": {"const": function.name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _value(parameter: Parameter) -> dict[str, Any]:
    if parameter.enum:
        return {"enum": list(parameter.enum)}
    return {"type": "array", "items": {}} if parameter.type == "array" else {"type": parameter.type}
