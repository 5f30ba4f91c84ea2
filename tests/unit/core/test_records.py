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
    answers=(Call("dim", {"area": "bedroom", "level": 50, "lamps": ["é", 2]}), Refusal.NO_FUNCTION),
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
        ({"function": {"name": "go"}}, "(go): field 'description': missing"),
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
    ],
)
def test_a_faulty_function_is_named(tmp_path, bad, fault):
    write_functions(tmp_path / "f.json", {"stop": POOL["stop"]})
    tools = [*json.loads((tmp_path / "f.json").read_text()), bad]
    (tmp_path / "f.json").write_text(json.dumps(tools))
    with pytest.raises(UserError, match=r"f\.json, entry 1.*" + re.escape(fault)):
        read_functions(tmp_path / "f.json")


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
