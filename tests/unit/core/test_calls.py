"""The strict reader: every fault by name, its bounds, and two laws under fire."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import (
    MAX_CHARS,
    MAX_KEYS,
    Call,
    Fault,
    Function,
    Malformed,
    Parameter,
    Refusal,
    answer_from_json,
    answer_json,
    answer_text,
    parse_reply,
)

POOL = {
    "dim": Function(
        "dim",
        "Dim a light.",
        {
            "area": Parameter("string", required=True),
            "level": Parameter("integer"),
            "speed": Parameter("number"),
            "now": Parameter("boolean"),
            "lamps": Parameter("array"),
            "mode": Parameter("string", enum=("soft", "hard")),
            "days": Parameter("array", items=Parameter("string", enum=("mon", "tue"))),
            "hours": Parameter("array", items=Parameter("integer")),
        },
    ),
    "stop": Function("stop", "Stop everything."),
}


def dim(**arguments):
    return json.dumps({"name": "dim", "arguments": {"area": "hall", **arguments}})


@pytest.mark.parametrize(
    ("text", "fault", "detail"),
    [
        ('"' + "x" * MAX_CHARS + '"', Fault.TOO_LONG, str(MAX_CHARS)),
        ("", Fault.NOT_JSON, ""),
        ("turn on the light", Fault.NOT_JSON, ""),
        ('{"name":"stop","arguments":{}', Fault.NOT_JSON, ""),
        ('{"name":"stop","arguments":{}} and more', Fault.NOT_JSON, "Extra data"),
        ("{'name': 'stop', 'arguments': {}}", Fault.NOT_JSON, ""),
        ("[[[[[1]]]]]", Fault.TOO_DEEP, "4"),
        ("[" * 4000, Fault.TOO_DEEP, "4"),
        (json.dumps({str(i): 0 for i in range(MAX_KEYS + 1)}), Fault.TOO_MANY_KEYS, "65"),
        ('{"name":"stop","name":"dim","arguments":{}}', Fault.DUPLICATE_KEY, "'name'"),
        ('{"name":"dim","arguments":{"area":"a","area":"b"}}', Fault.DUPLICATE_KEY, "'area'"),
        ('{"name":"dim","arguments":{"area":"a","speed":NaN}}', Fault.NOT_FINITE, "NaN"),
        ('{"name":"dim","arguments":{"area":"a","speed":-Infinity}}', Fault.NOT_FINITE, "-Infinity"),
        ('{"name":"dim","arguments":{"area":"a","speed":1e999}}', Fault.NOT_FINITE, "1e999"),
        ('{"name":"dim","arguments":{"area":"\\ud800"}}', Fault.LONE_SURROGATE, "ud800"),
        ('{"\\udfff":1}', Fault.LONE_SURROGATE, "ud800"),
        ("42", Fault.NOT_A_CALL, "name"),
        ("[]", Fault.NOT_A_CALL, "name"),
        ('"stop"', Fault.NOT_A_CALL, "name"),
        ('{"name":"stop"}', Fault.NOT_A_CALL, "name"),
        ('{"name":"stop","arguments":{},"why":1}', Fault.NOT_A_CALL, "name"),
        ('{"name":1,"arguments":{}}', Fault.NOT_A_CALL, "name"),
        ('{"name":"stop","arguments":[]}', Fault.NOT_A_CALL, "name"),
        ("no appropriate function", Fault.NOT_JSON, ""),
        ('{"name":"fly","arguments":{}}', Fault.UNKNOWN_FUNCTION, "'fly'"),
        (dim(colour="red"), Fault.UNKNOWN_PARAMETER, "dim has no 'colour'"),
        ('{"name":"dim","arguments":{"level":1}}', Fault.MISSING_PARAMETER, "dim wants 'area'"),
        (dim(area=5), Fault.WRONG_TYPE, "dim.area wants string, got 5"),
        (dim(area=None), Fault.WRONG_TYPE, "dim.area"),
        (dim(level="5"), Fault.WRONG_TYPE, "dim.level wants integer"),
        (dim(level=5.5), Fault.WRONG_TYPE, "dim.level"),
        (dim(level=True), Fault.WRONG_TYPE, "dim.level"),
        (dim(speed=False), Fault.WRONG_TYPE, "dim.speed wants number"),
        (dim(now=1), Fault.WRONG_TYPE, "dim.now wants boolean"),
        (dim(lamps="a"), Fault.WRONG_TYPE, "dim.lamps wants array"),
        (dim(lamps=[["a"]]), Fault.WRONG_TYPE, "dim.lamps"),
        (dim(lamps=[None]), Fault.WRONG_TYPE, "dim.lamps"),
        (dim(mode="Soft"), Fault.NOT_ALLOWED, "dim.mode: 'Soft'"),
        (dim(days=["mon", "noday"]), Fault.NOT_ALLOWED, "dim.days: ['mon', 'noday']"),
        (dim(days=["mon", 1]), Fault.WRONG_TYPE, "dim.days wants array of string, got ['mon', 1]"),
        (dim(hours=[1.5]), Fault.WRONG_TYPE, "dim.hours wants array of integer, got [1.5]"),
        (dim(hours=[True]), Fault.WRONG_TYPE, "dim.hours"),
    ],
)
def test_every_fault_is_named_and_shown(text, fault, detail):
    reply = parse_reply(text, POOL)
    assert isinstance(reply, Malformed)
    assert reply.fault == fault
    assert detail in reply.detail


def test_every_fault_kind_is_tested_above():
    rows = test_every_fault_is_named_and_shown.pytestmark[0].args[1]
    assert {fault for _, fault, _ in rows} == set(Fault)


def test_a_fault_of_the_schema_still_gives_the_call():
    assert parse_reply(dim(level="5"), POOL).call == Call("dim", {"area": "hall", "level": "5"})
    assert parse_reply("[]", POOL).call is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"name":"stop","arguments":{}}', Call("stop", {})),
        (' \n{"arguments": {"area": "hall"}, "name": "dim"} ', Call("dim", {"area": "hall"})),
        (dim(level=5.0), Call("dim", {"area": "hall", "level": 5.0})),
        (dim(speed=5), Call("dim", {"area": "hall", "speed": 5})),
        (dim(now=True, lamps=["a", 1, False], mode="soft"), None),
        (dim(days=["tue", "mon", "tue"], hours=[1, 2.0]), None),
        (dim(days=[], hours=[]), None),
        (dim(area='[[[[[[ "{'), Call("dim", {"area": '[[[[[[ "{'})),
        ("No appropriate function", Refusal.NO_FUNCTION),
        (" Request unclear\n", Refusal.UNCLEAR),
    ],
)
def test_what_is_right_is_read(text, answer):
    assert parse_reply(text, POOL) == (answer or Call(**json.loads(text)))


def test_the_longest_reply_is_read_and_one_more_character_is_not():
    frame = len(dim(area=""))
    assert isinstance(parse_reply(dim(area="x" * (MAX_CHARS - frame)), POOL), Call)
    assert parse_reply(dim(area="x" * (MAX_CHARS - frame + 1)), POOL).fault == Fault.TOO_LONG


def test_a_data_file_may_say_as_much_in_any_script_as_a_model():
    answer = Call("dim", {"area": "厨" * 2000})
    assert parse_reply(answer_text(answer), POOL) == answer
    assert answer_from_json(answer_json(answer), POOL) == answer


JSON_LIKE = st.text(st.sampled_from('{}[]",:\\ue19.-+NaIntrfls name"dim"'), max_size=60)
MUTILATED = st.tuples(st.sampled_from([dim(level=5), dim(lamps=["a"])]), st.integers(0, 60), st.text(max_size=3)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
)


@given(st.text() | JSON_LIKE | MUTILATED)
def test_no_text_raises(text):
    assert isinstance(parse_reply(text, POOL), Call | Refusal | Malformed)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(json_values, json_values)
def test_no_json_value_raises(name, arguments):
    assert isinstance(
        parse_reply(json.dumps({"name": "dim", "arguments": {"area": arguments}}), POOL), Call | Malformed
    )
    answer_from_json({"name": name, "arguments": arguments}, POOL)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = words | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
calls = st.fixed_dictionaries(
    {"area": words},
    optional={
        "level": st.integers(),
        "speed": st.floats(allow_nan=False, allow_infinity=False),
        "now": st.booleans(),
        "lamps": st.lists(scalars, max_size=4),
        "mode": st.sampled_from(["soft", "hard"]),
    },
).map(lambda arguments: Call("dim", arguments))


@given(calls | st.sampled_from(Refusal))
def test_what_is_written_is_read_back(answer):
    assert parse_reply(answer_text(answer), POOL) == answer
    assert answer_from_json(json.loads(json.dumps(answer_json(answer))), POOL) == answer
