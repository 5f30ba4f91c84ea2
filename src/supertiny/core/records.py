"""What the data files hold: the function pool, examples, the knowledge base. Checked once, here.

functions.json    a list of tools in the OpenAI schema, with `domain` beside `name`; so is general_functions.json
knowledge.json    a list of {"term", "explanation"}
*.jsonl           one example a line (`Example`)
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from supertiny.core.calls import (
    NAME,
    Answer,
    Call,
    Function,
    Malformed,
    Parameter,
    Pool,
    Scalar,
    Syntax,
    answer_from_json,
    answer_json,
    misfit,
)
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, read_jsonl, write_json, write_jsonl

TYPES = ("string", "integer", "number", "boolean", "array")
TOOL_KEYS = ("type", "function")
FUNCTION_KEYS = ("name", "description", "parameters", "strict", "domain")
NOTES = ("title", "$comment", "default", "example", "examples", "format", "deprecated", "readOnly", "writeOnly")
"""keys of a JSON schema that shut out no value"""
SCHEMA_KEYS = ("type", "properties", "required", "additionalProperties", "description", "$schema", "$id", "$defs")
SPEC_KEYS = ("type", "description", "enum", "items")
OURS = "x-"
"""what a key begins with that is somebody's own"""
MAX_NAME = 64
"""characters of a function's name, as the OpenAI protocol has it, and of a parameter's"""
MARKS = "(),:?<>"
"""what stands between names in a prompt, or makes a tag of one"""


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier query of the dialogue and the answer it got."""

    query: str
    answer: Answer


SEEN, UNSEEN = "seen", "unseen"
"""tags of queries out of domain: whether their function is one of those trained on"""
REFUSAL, OUT_OF_SCOPE, MISSING = "refusal", "out_of_scope", "missing_function"
"""tags of what is to be refused; why: no function of the pool would do, or one would and is not offered"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A query in its context, the functions offered for it, and the answers that are right."""

    id: str
    query: str
    context: dict[str, str] = field(default_factory=dict)
    """what the system sees of the moment, such as {"room": "kitchen"}"""
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
    """such as follow_up, room, knowledge, refusal, unseen (its function is never trained on)"""

    @property
    def skeleton(self) -> str:
        """What queries that differ in values alone share: the template; without one the query stands alone.

        >>> Example(id="1", query="Vacuum  here").skeleton, Example(id="2", query="Dim it", template="dim {x}").skeleton
        ('vacuum here', 'dim {x}')
        """
        return self.template or " ".join(self.query.lower().split())


def read_functions(path: Path, *, empty: bool = False) -> dict[str, Function]:
    """The function pool by name, from a list of OpenAI tools; each fault names the entry and field; `empty`: may be."""
    tools = read_json(path)
    if not isinstance(tools, list) or not (tools or empty):
        raise UserError(f"{path}: expected a {'' if empty else 'non-empty '}list of tools in the OpenAI schema")
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
    """The function of a tool in the OpenAI schema; an error names `where` it stands.

    A schema says which calls there are: a key that is not understood would be a call that is misread, so it is refused.
    """
    body = _field(tool, "function", dict, where)
    if (kind := _field(tool, "type", str, where, "function")) != "function":
        raise UserError(f"{where}: field 'type': expected 'function', got {kind!r}")
    _must_be_known(tool, TOOL_KEYS, where)
    name = _field(body, "name", str, where)
    _must_be_name(name, f"{where}: field 'name'")
    where = f"{where} ({name})"
    _must_be_known(body, FUNCTION_KEYS, where)
    description = _field(body, "description", str, where, "")
    parameters = _parameters(_field(body, "parameters", dict, where, {}), where)
    return Function(name, description, parameters, _field(body, "domain", str, where, ""))


def _parameters(schema: dict[str, Any], where: str) -> dict[str, Parameter]:
    """The parameters in the schema of a function's arguments: an object of named properties, and nothing else."""
    if (kind := _field(schema, "type", str, f"{where}: parameters", "object")) != "object":
        raise UserError(f"{where}: field 'parameters.type': expected 'object', got {kind!r}")
    _must_be_known(schema, (*SCHEMA_KEYS, *NOTES), where, "parameters.")
    properties, required = _field(schema, "properties", dict, where, {}), _strings(schema, "required", where)
    if _field(schema, "additionalProperties", bool, where, False) and not properties:
        why = "a function that takes anything cannot be called here; name what it takes in 'properties'"
        raise UserError(f"{where}: field 'additionalProperties': {why}")
    for key in required:
        if key not in properties:
            raise UserError(f"{where}: field 'required': {key!r} is not among the properties")
    for key in properties:
        _must_be_name(key, f"{where}: parameter {key[:MAX_NAME]!r}")
    return {
        key: _parameter(spec, f"{where}: parameter {key!r}", key in required, TYPES) for key, spec in properties.items()
    }


def _parameter(spec: Any, where: str, required: bool, types: Sequence[str]) -> Parameter:
    """One parameter, or what the items of an array are."""
    if isinstance(spec, dict) and "type" not in spec:  # what stands there in its place is the better word
        _must_be_known(spec, (*SPEC_KEYS, *NOTES), where)
    kind = _field(spec, "type", str, where)
    if kind not in types:
        raise UserError(f"{where}: field 'type': {kind!r} is none of {', '.join(types)}")
    _must_be_known(spec, (*SPEC_KEYS, *NOTES), where)
    if "items" in spec and kind != "array":
        raise UserError(f"{where}: field 'items': only an array has items, this is {kind}")
    of_items = _field(spec, "items", dict, where, {})
    items = _parameter(of_items, f"{where}: items", False, TYPES[:-1]) if of_items else None
    return Parameter(kind, _field(spec, "description", str, where, ""), required, _enum(spec, kind, where), items)


def _enum(spec: dict[str, Any], kind: str, where: str) -> tuple[Scalar, ...]:
    """The values that are allowed, each of them one of its type; empty where the schema names none."""
    where, values = f"{where}: field 'enum'", _field(spec, "enum", list, where, [])
    if not all(isinstance(value, str | int | float) for value in values):
        raise UserError(f"{where}: expected scalars, got {values!r}")
    if "enum" in spec and not values:
        raise UserError(f"{where}: is empty, so that no value is allowed; name some, or leave it out")
    for value in values:
        if misfit(value, Parameter(kind)) or not _can_be_written(value):
            remedy = "what each value may be stands in items.enum" if kind == "array" else "mend the type or the value"
            raise UserError(f"{where}: {value!r} is no {kind} that can be written; {remedy}")
    return tuple(int(value) if kind == "integer" else value for value in values)


def _can_be_written(value: Scalar) -> bool:
    """Not a number that JSON has no word for, nor a whole one beyond the 64 bits that grammars count with."""
    return isfinite(value) if isinstance(value, float) else isinstance(value, str) or -(2**63) <= value < 2**63


def _must_be_known(row: dict[str, Any], known: Sequence[str], where: str, above: str = "") -> None:
    for key in row:
        if key not in known and not key.startswith(OURS):
            why = "is not understood here, and would be lost in silence; take it out, or say it in the description"
            raise UserError(f"{where}: field {above + key!r}: {why}")


def _must_be_name(name: str, where: str) -> None:
    """A name stands in prompts as it is, beside others: it can hold nothing that would part it from itself."""
    sound = name.isprintable() and name == name.strip() and not set(name) & set(MARKS)
    if not sound or not 0 < len(name) <= MAX_NAME:
        what = f"expected a name of 1 to {MAX_NAME} characters on one line, without any of {' '.join(MARKS)}"
        raise UserError(f"{where}: {what}, got {name[: 2 * MAX_NAME]!r}")


def tool_json(function: Function) -> dict[str, Any]:
    """One function as an OpenAI tool."""
    properties = {
        name: {
            "type": p.type,
            "description": p.description,
            **({"enum": list(p.enum)} if p.enum else {}),
            **({"items": _items_json(p.items)} if p.type == "array" else {}),
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


def _items_json(items: Parameter | None) -> dict[str, Any]:
    if items is None:
        return {}
    said = {"description": items.description, "enum": list(items.enum)}
    return {"type": items.type, **{key: value for key, value in said.items() if value}}


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
        candidates=_candidates(row, answers[:1], pool, where),
        answers=answers,
        template=_field(row, "template", str, where, ""),
        tags=_strings(row, "tags", where),
    )


def _candidates(row: Any, first: Sequence[Answer], pool: Pool, where: str) -> tuple[str, ...]:
    """The functions that the row itself offers: each once, and with them what its `first` answer calls, if it has one.

    That is the answer which is taught: no model could give it, and none should learn to call what is not offered.
    """
    names, where = _strings(row, "candidates", where), f"{where}: field 'candidates'"
    for at, name in enumerate(names):
        if name not in pool:
            raise UserError(f"{where}: no function {name!r} in the pool")
        if name in names[:at]:
            raise UserError(f"{where}: {name!r} stands there twice")
    for answer in first:
        if names and isinstance(answer, Call) and answer.name not in names:
            why = f"{answer.name!r}, which the first of the answers calls, is none of them"
            raise UserError(f"{where}: {why}; offer it, or leave candidates out")
    return names


def _answer(value: Any, pool: Pool, where: str) -> Answer:
    answer = answer_from_json(value, pool)
    if isinstance(answer, Malformed):
        raise UserError(f"{where}: {answer.fault} ({answer.detail})")
    return answer
