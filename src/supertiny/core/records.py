"""What the data files hold: the function pool, examples, the knowledge base. Checked once, here.

functions.json    a list of tools in the OpenAI schema, with `domain` beside `name`
knowledge.json    a list of {"term", "explanation"}
*.jsonl           one example a line (`Example`)
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supertiny.core.calls import (
    NAME,
    Answer,
    Function,
    Malformed,
    Parameter,
    Pool,
    Syntax,
    answer_from_json,
    answer_json,
)
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, read_jsonl, write_json, write_jsonl

TYPES = ("string", "integer", "number", "boolean", "array")


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier query of the dialogue and the answer it got."""

    query: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A query in its context, the functions offered for it, and the answers that are right."""

    id: str
    query: str
    context: dict[str, str] = field(default_factory=dict)
    """what the system sees of the moment, such as {"room": "kitchen", "time": "18:05"}"""
    history: tuple[Turn, ...] = ()
    """oldest first"""
    knowledge: tuple[str, ...] = ()
    """explanations of the query's entity terms, retrieved from the knowledge base"""
    candidates: tuple[str, ...] = ()
    """names of the functions offered, in the order shown"""
    answers: tuple[Answer, ...] = ()
    """every right answer, the reference first; empty: unlabelled"""
    template: str = ""
    """the sentence skeleton the query came from; splits never share one"""
    tags: tuple[str, ...] = ()
    """such as follow_up, room, knowledge, refusal, unseen"""


def read_functions(path: Path) -> dict[str, Function]:
    """The function pool by name, from a list of OpenAI tools; each fault names the entry and field."""
    tools = read_json(path)
    if not isinstance(tools, list) or not tools:
        raise UserError(f"{path}: expected a non-empty list of tools in the OpenAI schema")
    pool: dict[str, Function] = {}
    for number, tool in enumerate(tools):
        function = function_of_tool(tool, f"{path}, entry {number}")
        if function.name in pool:
            raise UserError(f"{path}, entry {number}: field 'name': {function.name!r} stands there twice")
        pool[function.name] = function
    return pool


def write_functions(path: Path, pool: Pool) -> None:
    """Write the pool as a list of OpenAI tools; `read_functions` gives it back."""
    write_json(path, [tool_json(function) for function in pool.values()])


def must_be_writable(pool: Pool, syntax: Syntax) -> None:
    """An error where a name of `pool` cannot stand in a call of this syntax."""
    names = {name: function.name for function in pool.values() for name in (function.name, *function.parameters)}
    wrong = [name for name in names if syntax is Syntax.python and not re.fullmatch(NAME, name)]
    if wrong:
        raise UserError(
            f"params.yaml: prompt.answer: python: function {names[wrong[0]]!r}: {wrong[0]!r} can be no name in a call "
            "(white space and ()[]{}=:,\"'\\ are its signs); rename it in your functions, or set prompt.answer: json"
        )


def function_of_tool(tool: Any, where: str) -> Function:
    """The function of a tool in the OpenAI schema; an error names `where` it stands."""
    body = _field(tool, "function", dict, where)
    name = _field(body, "name", str, where)
    where = f"{where} ({name})"
    schema = _field(body, "parameters", dict, where, {})
    required = _strings(schema, "required", where)
    parameters = {}
    for key, spec in _field(schema, "properties", dict, where, {}).items():
        kind = _field(spec, "type", str, f"{where}: parameter {key!r}")
        if kind not in TYPES:
            raise UserError(f"{where}: parameter {key!r}: field 'type': {kind!r} is none of {', '.join(TYPES)}")
        enum = tuple(_field(spec, "enum", list, f"{where}: parameter {key!r}", []))
        if not all(isinstance(value, str | int | float) for value in enum):
            raise UserError(f"{where}: parameter {key!r}: field 'enum': expected scalars, got {list(enum)!r}")
        description = _field(spec, "description", str, f"{where}: parameter {key!r}", "")
        parameters[key] = Parameter(kind, description, key in required, enum)
    for key in required:
        if key not in parameters:
            raise UserError(f"{where}: field 'required': {key!r} is not among the properties")
    return Function(name, _field(body, "description", str, where), parameters, _field(body, "domain", str, where, ""))


def tool_json(function: Function) -> dict[str, Any]:
    """One function as an OpenAI tool."""
    properties = {
        name: {
            "type": p.type,
            "description": p.description,
            **({"enum": list(p.enum)} if p.enum else {}),
            **({"items": {}} if p.type == "array" else {}),
        }
        for name, p in function.parameters.items()
    }
    return {
        "type": "function",
        "function": {
            "name": function.name,
            "domain": function.domain,
            "description": function.description,
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": [name for name, p in function.parameters.items() if p.required],
            },
        },
    }


def read_examples(path: Path, pool: Pool) -> list[Example]:
    """Every example of a file, its answers and candidates checked against `pool`."""
    examples: dict[str, Example] = {}
    for number, row in read_jsonl(path):
        example = _example(row, pool, f"{path}, line {number}")
        if example.id in examples:
            raise UserError(f"{path}, line {number}: field 'id': {example.id!r} stands there twice")
        examples[example.id] = example
    return list(examples.values())


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write one example a line; `read_examples` gives them back."""
    write_jsonl(path, (_example_json(example) for example in examples))


def _example_json(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "query": example.query,
        "context": example.context,
        "history": [{"query": turn.query, "answer": answer_json(turn.answer)} for turn in example.history],
        "knowledge": list(example.knowledge),
        "candidates": list(example.candidates),
        "answers": [answer_json(answer) for answer in example.answers],
        "template": example.template,
        "tags": list(example.tags),
    }


def _field(row: Any, name: str, kind: type, where: str, default: Any = None) -> Any:
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected an object, got {type(row).__name__}")
    value = row.get(name, default)
    if not isinstance(value, kind):
        found = "missing" if name not in row else f"expected {kind.__name__}, got {type(value).__name__}"
        raise UserError(f"{where}: field {name!r}: {found}")
    return value


def _strings(row: Any, name: str, where: str) -> tuple[str, ...]:
    values = _field(row, name, list, where, [])
    for value in values:
        if not isinstance(value, str):
            raise UserError(f"{where}: field {name!r}: expected strings, got {value!r}")
    return tuple(values)


def _example(row: Any, pool: Pool, where: str) -> Example:
    query = _field(row, "query", str, where)
    if not query.strip():
        raise UserError(f"{where}: field 'query': is empty")
    context = _field(row, "context", dict, where, {})
    for key, value in context.items():
        if not isinstance(value, str):
            raise UserError(f"{where}: field 'context.{key}': expected a string, got {value!r}")
    candidates = _strings(row, "candidates", where)
    for name in candidates:
        if name not in pool:
            raise UserError(f"{where}: field 'candidates': no function {name!r} in the pool")
    history = tuple(
        Turn(
            _field(turn, "query", str, f"{where}: field 'history[{i}]'"),
            _answer(turn.get("answer"), pool, f"{where}: field 'history[{i}].answer'"),
        )
        for i, turn in enumerate(_field(row, "history", list, where, []))
    )
    answers = tuple(
        _answer(value, pool, f"{where}: field 'answers[{i}]'")
        for i, value in enumerate(_field(row, "answers", list, where, []))
    )
    return Example(
        id=_field(row, "id", str, where),
        query=query,
        context=context,
        history=history,
        knowledge=_strings(row, "knowledge", where),
        candidates=candidates,
        answers=answers,
        template=_field(row, "template", str, where, ""),
        tags=_strings(row, "tags", where),
    )


def _answer(value: Any, pool: Pool, where: str) -> Answer:
    answer = answer_from_json(value, pool)
    if isinstance(answer, Malformed):
        raise UserError(f"{where}: {answer.fault} ({answer.detail})")
    return answer
