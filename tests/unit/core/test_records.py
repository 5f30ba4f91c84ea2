"""The door: what is written is read back, and every fault names file, line and field."""

import json
import re

import pytest

from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax
from supertiny.core.errors import UserError
from supertiny.core.records import (
    Example,
    Turn,
    must_be_writable,
    read_examples,
    read_functions,
    write_examples,
    write_functions,
)

POOL = {
    "dim": Function(
        "dim",
        "Dim a light.",
        {
            "area": Parameter("string", "where", required=True),
            "level": Parameter("integer", "percent", enum=(10, 50)),
            "lamps": Parameter("array"),
            "days": Parameter("array", "when", items=Parameter("string", "of the week", enum=("mon", "tue"))),
            "hours": Parameter("array", items=Parameter("integer")),
        },
        domain="light",
    ),
    "stop": Function("stop", "Stop."),
}
FULL = Example(
    id="1",
    query="and the bedroom too",
    context={"room": "kitchen"},
    history=(Turn("dim the hall", Call("dim", {"area": "hall"})), Turn("hm", Refusal.UNCLEAR)),
    knowledge=("bedroom: upstairs",),
    candidates=("dim", "stop"),
    answers=(
        Call("dim", {"area": "bedroom", "level": 50, "lamps": ["é", 2], "days": ["tue", "mon"]}),
        Refusal.NO_FUNCTION,
    ),
    template="and the {area} too",
    tags=("follow_up",),
)


def test_functions_are_read_back(tmp_path):
    write_functions(tmp_path / "f.json", POOL)
    assert read_functions(tmp_path / "f.json") == POOL
    assert list(read_functions(tmp_path / "f.json")) == list(POOL)


def test_examples_are_read_back(tmp_path):
    examples = [FULL, Example(id="2", query="stop")]
    write_examples(tmp_path / "e.jsonl", examples)
    assert read_examples(tmp_path / "e.jsonl", POOL) == examples


def test_a_user_may_write_the_least(tmp_path):
    (tmp_path / "e.jsonl").write_text('{"id": "1", "query": "stop"}\n')
    assert read_examples(tmp_path / "e.jsonl", POOL) == [Example(id="1", query="stop")]


GOOD = {"id": "2", "query": "dim the hall", "answers": [{"name": "dim", "arguments": {"area": "hall"}}]}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"id": None}, "field 'id': expected str, got NoneType"),
        ({"id": 7}, "field 'id': expected str, got int"),
        ({"id": "1"}, "field 'id': '1' stands there twice"),
        ({"query": ["x"]}, "field 'query': expected str, got list"),
        ({"query": " \t"}, "field 'query': is empty"),
        ({"context": []}, "field 'context': expected dict"),
        ({"context": {"room": 5}}, "field 'context.room': expected a string, got 5"),
        ({"knowledge": "x"}, "field 'knowledge': expected list"),
        ({"knowledge": [1]}, "field 'knowledge': expected strings, got 1"),
        ({"tags": [None]}, "field 'tags': expected strings, got None"),
        ({"template": 1}, "field 'template': expected str"),
        ({"candidates": ["fly"]}, "field 'candidates': no function 'fly' in the pool"),
        ({"candidates": [["dim"]]}, "field 'candidates': expected strings"),
        ({"candidates": ["dim", "stop", "dim"]}, "field 'candidates': 'dim' stands there twice"),
        ({"candidates": ["stop"]}, "field 'candidates': 'dim', which the first of the answers calls, is none of them"),
        ({"history": {}}, "field 'history': expected list"),
        ({"history": [3]}, "field 'history[0]': expected an object, got int"),
        ({"history": [{"answer": "Request unclear"}]}, "field 'history[0]': field 'query': missing"),
        ({"history": [{"query": "x"}]}, "field 'history[0].answer': not a call"),
        ({"answers": {}}, "field 'answers': expected list"),
        ({"answers": ["maybe"]}, "field 'answers[0]': not a call (a text that is none of"),
        ({"answers": ['{"name":"dim","arguments":{}}']}, "field 'answers[0]': not a call (a text that is none of"),
        (
            {"answers": ["Request unclear", {"name": "fly", "arguments": {}}]},
            "field 'answers[1]': unknown function ('fly')",
        ),
        ({"answers": [{"name": "dim", "arguments": {}}]}, "field 'answers[0]': missing parameter (dim wants 'area')"),
        ({"answers": [{"name": "dim", "arguments": {"area": "a", "level": 20}}]}, "value not allowed (dim.level: 20)"),
        (
            {"answers": [{"name": "dim", "arguments": {"area": "a", "days": ["mon", "noday"]}}]},
            "value not allowed (dim.days: ['mon', 'noday'])",
        ),
        (
            {"answers": [{"name": "dim", "arguments": {"area": "a", "hours": [1.5]}}]},
            "wrong type (dim.hours wants array of integer, got [1.5])",
        ),
    ],
)
def test_a_faulty_example_is_named(tmp_path, changed, fault):
    write_examples(tmp_path / "e.jsonl", [FULL])
    with (tmp_path / "e.jsonl").open("a") as file:
        file.write("\n" + json.dumps({**GOOD, **changed}) + "\n")
    with pytest.raises(UserError, match=r"e\.jsonl, line 3: .*" + re.escape(fault)):
        read_examples(tmp_path / "e.jsonl", POOL)


@pytest.mark.parametrize("key", ["id", "query"])
def test_a_missing_field_is_named(tmp_path, key):
    (tmp_path / "e.jsonl").write_text(json.dumps({k: v for k, v in GOOD.items() if k != key}))
    with pytest.raises(UserError, match=rf"e\.jsonl, line 1: field '{key}': missing"):
        read_examples(tmp_path / "e.jsonl", POOL)


@pytest.mark.parametrize("row", ["3", "[]", "null", '"x"'])
def test_a_row_that_is_no_object_is_named(tmp_path, row):
    (tmp_path / "e.jsonl").write_text(row)
    with pytest.raises(UserError, match=r"e\.jsonl, line 1: expected an object"):
        read_examples(tmp_path / "e.jsonl", POOL)


def tool(parameters=None, **body):
    schema = {"type": "object", "properties": {"area": {"type": "string"}}} if parameters is None else parameters
    return {"type": "function", "function": {"name": "go", "description": "Go.", "parameters": schema, **body}}


def area(**spec):
    return tool({"properties": {"area": {"type": "string", **spec}}})


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (3, "expected an object, got int"),
        ({}, "field 'function': missing"),
        ({"function": []}, "field 'function': expected dict, got list"),
        ({"function": {"description": "x"}}, "field 'name': missing"),
        (tool(description=1), "(go): field 'description': expected str, got int"),
        (tool(domain=1), "(go): field 'domain': expected str"),
        (tool(name="stop"), "field 'name': 'stop' stands there twice"),
        (tool([]), "(go): field 'parameters': expected dict"),
        (tool({"properties": []}), "(go): field 'properties': expected dict"),
        (tool({"properties": {"area": "string"}}), "(go): parameter 'area': expected an object"),
        (tool({"properties": {"area": {}}}), "(go): parameter 'area': field 'type': missing"),
        (area(type="object"), "(go): parameter 'area': field 'type': 'object' is none of string, integer"),
        (area(description=2), "(go): parameter 'area': field 'description': expected str"),
        (area(enum="x"), "(go): parameter 'area': field 'enum': expected list"),
        (area(enum=["x", None]), "(go): parameter 'area': field 'enum': expected scalars"),
        (tool({"required": ["area"]}), "(go): field 'required': 'area' is not among the properties"),
        (tool({"required": [1]}), "(go): field 'required': expected strings"),
        ({**tool(), "type": "custom"}, "field 'type': expected 'function', got 'custom'"),
        ({**tool(), "parameters": {}}, "field 'parameters': is not understood here"),
        (tool(input_schema={}), "(go): field 'input_schema': is not understood here"),
        (tool({"anyOf": [{"type": "object", "properties": {}}]}), "(go): field 'parameters.anyOf': is not understood"),
        (tool({"type": "object", "properties": {}, "allOf": []}), "(go): field 'parameters.allOf': is not understood"),
        (tool({"$ref": "#/x"}), "(go): field 'parameters.$ref': is not understood here"),
        (tool({"patternProperties": {".*": {}}}), "(go): field 'parameters.patternProperties': is not understood"),
        (tool({"type": "array", "items": {}}), "(go): field 'parameters.type': expected 'object', got 'array'"),
        (tool({"type": ["object", "null"]}), "(go): parameters: field 'type': expected str, got list"),
        (tool({"additionalProperties": {"type": "string"}}), "(go): field 'additionalProperties': expected bool"),
        (tool({"additionalProperties": True}), "(go): field 'additionalProperties': a function that takes anything"),
        (area(minimum=1), "(go): parameter 'area': field 'minimum': is not understood here"),
        (area(const="x"), "(go): parameter 'area': field 'const': is not understood here"),
        (area(nullable=True), "(go): parameter 'area': field 'nullable': is not understood here"),
        (tool({"properties": {"area": {"$ref": "#/x"}}}), "(go): parameter 'area': field '$ref': is not understood"),
    ],
)
def test_a_faulty_function_is_named(tmp_path, bad, fault):
    write_functions(tmp_path / "f.json", {"stop": POOL["stop"]})
    tools = [*json.loads((tmp_path / "f.json").read_text()), bad]
    (tmp_path / "f.json").write_text(json.dumps(tools))
    with pytest.raises(UserError, match=r"f\.json, entry 1.*" + re.escape(fault)):
        read_functions(tmp_path / "f.json")


@pytest.mark.parametrize(
    "name",
    ["", " ", "\n", "wave\nlock(): Locks", "a\u2028b", "a\tb", "lock()", "a, b", "<think>", "go ", "w" * 65, "\ud800"],
)
def test_a_name_that_could_not_stand_in_a_prompt_is_refused(tmp_path, name):
    """Whose name it is, too: a function's or a parameter's."""
    of_parameter = tool({"properties": {name: {"type": "string"}}})
    for bad, field in ((tool(name=name), "field 'name'"), (of_parameter, "parameter")):
        (tmp_path / "f.json").write_text(json.dumps([bad]))
        with pytest.raises(UserError, match=rf"f\.json, entry 0.*{field}.*: expected a name of 1 to 64 characters"):
            read_functions(tmp_path / "f.json")


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"type": "string", "enum": [1, 2, 3]}, "field 'enum': 1 is no string that can be written; mend the type"),
        ({"type": "integer", "enum": [1, "2"]}, "field 'enum': '2' is no integer"),
        ({"type": "integer", "enum": [1.5]}, "field 'enum': 1.5 is no integer"),
        ({"type": "integer", "enum": [True]}, "field 'enum': True is no integer"),
        ({"type": "integer", "enum": [2**63]}, f"field 'enum': {2**63} is no integer"),
        ({"type": "number", "enum": ["1"]}, "field 'enum': '1' is no number"),
        ({"type": "number", "enum": [float("nan")]}, "field 'enum': nan is no number"),
        ({"type": "number", "enum": [float("inf")]}, "field 'enum': inf is no number"),
        ({"type": "boolean", "enum": [1]}, "field 'enum': 1 is no boolean"),
        ({"type": "array", "enum": ["mon"]}, "field 'enum': 'mon' is no array that can be written; what each"),
        ({"type": "array", "enum": [["mon"]]}, "field 'enum': expected scalars"),
        ({"type": "string", "enum": []}, "field 'enum': is empty, so that no value is allowed"),
        ({"type": "string", "items": {"type": "string"}}, "field 'items': only an array has items, this is string"),
        ({"type": "array", "items": True}, "field 'items': expected dict, got bool"),
        ({"type": "array", "items": [{"type": "string"}]}, "field 'items': expected dict, got list"),
        ({"type": "array", "items": {"enum": ["a"]}}, "items: field 'type': missing"),
        ({"type": "array", "items": {"anyOf": []}}, "items: field 'anyOf': is not understood here"),
        ({"type": "array", "items": {"type": "object", "properties": {}}}, "items: field 'type': 'object' is none of"),
        ({"type": "array", "items": {"type": "array", "items": {}}}, "items: field 'type': 'array' is none of string"),
        ({"type": "array", "items": {"type": "string", "enum": [1]}}, "items: field 'enum': 1 is no string"),
        ({"type": "array", "items": {"type": "string", "pattern": "x"}}, "items: field 'pattern': is not understood"),
        ({"type": "array", "minItems": 1}, "field 'minItems': is not understood here"),
        ({"type": "array", "prefixItems": []}, "field 'prefixItems': is not understood here"),
    ],
)
def test_a_parameter_that_no_value_could_fit_or_that_would_be_misread_is_refused(tmp_path, spec, fault):
    (tmp_path / "f.json").write_text(json.dumps([tool({"properties": {"area": spec}})]))
    with pytest.raises(UserError, match=r"entry 0 \(go\): parameter 'area': " + re.escape(fault)):
        read_functions(tmp_path / "f.json")


def test_what_shuts_out_no_call_may_stand_in_a_schema(tmp_path):
    levels = {"type": "integer", "enum": [1.0, 2], "title": "Level", "default": 1, "examples": [1], "x-own": {}}
    plain = {"type": "string", "format": "date", "description": "when", "deprecated": False}
    lamps = {"type": "array", "items": {"type": "string", "title": "One"}}
    schema = {
        "$schema": "x", "type": "object", "additionalProperties": False, "description": "d", "$defs": {},
        "properties": {"level": levels, "day": plain, "lamps": lamps, "any": {"type": "array", "items": {}}},
    }  # fmt: skip
    tools = [{"function": {"name": "stop"}}, tool(schema, strict=True, name="房间.开-灯")]
    (tmp_path / "f.json").write_text(json.dumps(tools))
    assert read_functions(tmp_path / "f.json") == {
        "stop": Function("stop", ""),
        "房间.开-灯": Function(
            "房间.开-灯",
            "Go.",
            {
                "level": Parameter("integer", enum=(1, 2)),
                "day": Parameter("string", "when"),
                "lamps": Parameter("array", items=Parameter("string")),
                "any": Parameter("array"),
            },
        ),
    }
    levels = read_functions(tmp_path / "f.json")["房间.开-灯"].parameters["level"].enum
    assert [type(one) for one in levels] == [int, int]


def test_a_key_that_stands_twice_is_no_schema(tmp_path):
    (tmp_path / "f.json").write_text('[{"function": {"name": "go", "parameters": {"type": "object", "properties": '
                                     '{"a": {"type": "string"}, "a": {"type": "integer"}}}}}]')  # fmt: skip
    with pytest.raises(UserError, match=r"f\.json is not valid JSON: the key 'a' stands twice"):
        read_functions(tmp_path / "f.json")


def test_candidates_of_a_row_may_lack_what_its_first_answer_does_not_call(tmp_path):
    """A refusal, another right answer, an earlier turn, no answer at all; and none given is none."""
    stop, dim = {"name": "stop", "arguments": {}}, {"name": "dim", "arguments": {"area": "a"}}
    rows = [
        {"answers": ["No appropriate function", dim], "candidates": ["stop"]},
        {"answers": [stop, dim], "candidates": ["stop"]},
        {"candidates": ["stop"], "history": [{"query": "x", "answer": dim}]},
        {"answers": [dim], "candidates": []},
    ]
    lines = [json.dumps({"id": str(n), "query": "x", **row}) for n, row in enumerate(rows)]
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    assert [one.candidates for one in read_examples(tmp_path / "e.jsonl", POOL)] == [("stop",)] * 3 + [()]


@pytest.mark.parametrize("content", ["[]", "{}", "3"])
def test_a_pool_that_is_no_list_is_refused(tmp_path, content):
    (tmp_path / "f.json").write_text(content)
    with pytest.raises(UserError, match=r"f\.json: expected a non-empty list of tools"):
        read_functions(tmp_path / "f.json")


@pytest.mark.parametrize(
    "name", ["dim it", "", "dim(", "a=b", 'the"lamp', "a,b", "x\\y", "a\u00a0b", "[x]", "{x}", "a:b"]
)
@pytest.mark.parametrize("as_function", [True, False])
def test_a_name_that_no_call_as_python_writes_it_can_hold_is_an_error(name, as_function):
    one = Function(name, "") if as_function else Function("dim", "", {name: Parameter("string")})
    pool = {"stop": POOL["stop"], one.name: one}
    must_be_writable(pool, Syntax.json)
    with pytest.raises(UserError, match=r"prompt.answer: python: function .* can be no name .* prompt.answer: json"):
        must_be_writable(pool, Syntax.python)
    must_be_writable(POOL, Syntax.python)
