"""The strict reader: every fault by name, in both syntaxes, its bounds, and the laws under fire."""

import ast
import json

import pytest
from hypothesis import assume, given
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
    Syntax,
    answer_from_json,
    answer_json,
    answer_text,
    parse_reply,
    written,
)
from tests.schemas import functions_and_calls

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
UNREADABLE = {Syntax.json: Fault.NOT_JSON, Syntax.python: Fault.NOT_PYTHON}
DEEP, MANY = "[" * 4000, MAX_KEYS + 1


def dim(**arguments):
    return json.dumps({"name": "dim", "arguments": {"area": "hall", **arguments}})


def dim_python(**arguments):
    return written(Call("dim", {"area": "hall", **arguments}), Syntax.python)


BOTH = [  # in JSON, as Python writes it, fault, what is shown of it
    ('"' + "x" * MAX_CHARS + '"', f'f(a="{"x" * MAX_CHARS}")', Fault.TOO_LONG, str(MAX_CHARS)),
    ("[[[[[1]]]]]", "[[[[1]]]]", Fault.TOO_DEEP, "4"),
    (dim(lamps=[[["a"]]]), dim_python(lamps=[[["a"]]]), Fault.TOO_DEEP, "4"),
    (dim(lamps={"a": {"b": {}}}), dim_python(lamps={"a": {"b": {}}}), Fault.TOO_DEEP, "4"),
    (DEEP, DEEP, Fault.TOO_DEEP, "4"),
    ('{"a":' * 800, "f(a=" * 800, Fault.TOO_DEEP, "4"),
    (
        json.dumps({str(i): 0 for i in range(MANY)}),
        f"dim({', '.join(f'a{i}=0' for i in range(MANY))})",
        Fault.TOO_MANY_KEYS,
        "65",
    ),
    (
        dim(lamps={str(i): 0 for i in range(MANY)}),
        dim_python(lamps={str(i): 0 for i in range(MANY)}),
        Fault.TOO_MANY_KEYS,
        "65",
    ),
    (
        '{"name":"dim","arguments":{"area":"a","area":"b"}}',
        'dim(area="a", area="b")',
        Fault.DUPLICATE_KEY,
        "'area'",
    ),
    (
        '{"name":"dim","arguments":{"area":{"a":1,"\\u0061":1}}}',
        'dim(area={"a": 1, "\\u0061": 1})',
        Fault.DUPLICATE_KEY,
        "'a'",
    ),
    ('{"name":"dim","arguments":{"area":"a","speed":NaN}}', 'dim(area="a", speed=nan)', Fault.NOT_FINITE, "a"),
    ('{"name":"dim","arguments":{"speed":-Infinity}}', "dim(speed=-inf)", Fault.NOT_FINITE, "-"),
    ('{"name":"dim","arguments":{"lamps":[Infinity]}}', "dim(lamps=[Infinity])", Fault.NOT_FINITE, "Infinity"),
    ('{"name":"dim","arguments":{"area":"a","speed":1e999}}', 'dim(area="a", speed=1e999)', Fault.NOT_FINITE, "1e999"),
    ('{"name":"dim","arguments":{"area":"\\ud800"}}', 'dim(area="\\ud800")', Fault.LONE_SURROGATE, "ud800"),
    ('{"name":"dim","arguments":{"area":"\ud800"}}', 'dim(area="\ud800")', Fault.LONE_SURROGATE, "ud800"),
    ("42", "42", Fault.NOT_A_CALL, "expected"),
    ("[]", "[]", Fault.NOT_A_CALL, "expected"),
    ('"stop"', '"stop"', Fault.NOT_A_CALL, "expected"),
    ('{"name":"stop","arguments":[1]}', "stop(1)", Fault.NOT_A_CALL, "name"),
    ('{"name":"fly","arguments":{}}', "fly()", Fault.UNKNOWN_FUNCTION, "'fly'"),
    (dim(colour="red"), dim_python(colour="red"), Fault.UNKNOWN_PARAMETER, "dim has no 'colour'"),
    ('{"name":"dim","arguments":{"level":1}}', "dim(level=1)", Fault.MISSING_PARAMETER, "dim wants 'area'"),
    (dim(area=5), dim_python(area=5), Fault.WRONG_TYPE, "dim.area wants string, got 5"),
    (dim(area=None), dim_python(area=None), Fault.WRONG_TYPE, "dim.area"),
    (dim(area={"a": 1}), dim_python(area={"a": 1}), Fault.WRONG_TYPE, "dim.area"),
    (dim(level="5"), dim_python(level="5"), Fault.WRONG_TYPE, "dim.level wants integer"),
    (dim(level=5.5), dim_python(level=5.5), Fault.WRONG_TYPE, "dim.level"),
    (dim(level=True), dim_python(level=True), Fault.WRONG_TYPE, "dim.level"),
    (dim(speed=False), dim_python(speed=False), Fault.WRONG_TYPE, "dim.speed wants number"),
    (dim(now=1), dim_python(now=1), Fault.WRONG_TYPE, "dim.now wants boolean"),
    (dim(lamps="a"), dim_python(lamps="a"), Fault.WRONG_TYPE, "dim.lamps wants array"),
    (dim(lamps=[["a"]]), dim_python(lamps=[["a"]]), Fault.WRONG_TYPE, "dim.lamps"),
    (dim(lamps=[None]), dim_python(lamps=[None]), Fault.WRONG_TYPE, "dim.lamps"),
    (dim(mode="Soft"), dim_python(mode="Soft"), Fault.NOT_ALLOWED, "dim.mode: 'Soft'"),
    (dim(days=["mon", "sun"]), dim_python(days=["mon", "sun"]), Fault.NOT_ALLOWED, "dim.days: ['mon', 'sun']"),
    (
        dim(days=["mon", 1]),
        dim_python(days=["mon", 1]),
        Fault.WRONG_TYPE,
        "dim.days wants array of string, got ['mon', 1]",
    ),
    (dim(days=[["mon"]]), dim_python(days=[["mon"]]), Fault.WRONG_TYPE, "dim.days"),
    (dim(days=[None]), dim_python(days=[None]), Fault.WRONG_TYPE, "dim.days"),
    (dim(hours=[1.5]), dim_python(hours=[1.5]), Fault.WRONG_TYPE, "dim.hours wants array of integer, got [1.5]"),
    (dim(hours=[True]), dim_python(hours=[True]), Fault.WRONG_TYPE, "dim.hours"),
    (dim(hours=1), dim_python(hours=1), Fault.WRONG_TYPE, "dim.hours wants array of integer, got 1"),
]
JSON_ALONE = [
    ('{"name":"stop","name":"dim","arguments":{}}', Fault.DUPLICATE_KEY, "'name'"),
    ('{"name":"stop"}', Fault.NOT_A_CALL, "name"),
    ('{"name":"stop","arguments":{},"why":1}', Fault.NOT_A_CALL, "name"),
    ('{"name":1,"arguments":{}}', Fault.NOT_A_CALL, "name"),
]
UNREAD = {
    Syntax.json: [
        "", "turn on the light", "no appropriate function", '{"name":"stop","arguments":{}',
        '{"name":"stop","arguments":{}} and more', "{'name': 'stop', 'arguments': {}}", 'dim(area="hall")', "stop()",
        '{"name":"stop","arguments":{}}{"name":"stop","arguments":{}}', '{"name":"dim","arguments":{"area":True}}',
    ],
    Syntax.python: [
        "", "turn on the light", "no appropriate function", "stop", "stop(", "stop())", "stop() and more",
        "stop()stop()", "stop()\n\nstop()", "[stop()]", "home.stop", "()", "stop()()", "stop().dim()",
        'print(f"{stop()}")',
        "dim(area='hall')", 'dim(area="hall",)', 'dim(, area="hall")', 'dim(area="hall" level=5)', 'dim(area)',
        'dim(area="hall", kitchen)', "dim(area=hall)", "dim(area=stop())", "dim(*[1])", 'dim(**{"area": "hall"})',
        'dim(area="a" "b")', 'dim(area="a" + "b")', 'dim(area=("a",))', 'dim(area=("a"))', 'dim(lamps={"a", "b"})',
        'dim(area=r"a")', 'dim(area=b"a")', 'dim(area="""a""")', 'dim(area="a\\x41")', "dim(area=\"\\'\")",
        'dim(area="a\nb")', 'dim(area="open)', "dim(now=true)", "dim(area=null)", "dim(now=not True)", "dim(now=Truer)",
        "dim(level=007)", "dim(level=+5)", "dim(level=1_000)", "dim(level=0x10)", "dim(level=5.)", "dim(level=.5)",
        "dim(level=5L)", "dim(level=1+1)", "dim(level=2**9)", "dim(level=- 5)", "dim(level=5e)", "dim(level=\u0665)",
        "dim(level=5) # it", "dim(level:=5)", "dim(level==5)", "dim(lamps=[1,])", "dim(lamps=[1 2])", "dim(lamps=[1)",
        'dim(lamps={"a": 1,})', "dim(lamps={a: 1})", "dim(lamps={1: 1})", 'dim(lamps={"a"})', "lambda: 0",
        "__import__('os').system('true')", 'await dim(area="hall")', "dim(area=\u201chall\u201d)", 'dim\xa0(area="a")',
    ],
}  # fmt: skip
ROWS = [
    *((Syntax.json, one, fault, detail) for one, _, fault, detail in BOTH),
    *((Syntax.python, one, fault, detail) for _, one, fault, detail in BOTH),
    (Syntax.json, '{"\\udfff":1}', Fault.LONE_SURROGATE, "ud800"),
    (Syntax.python, 'dim(lamps={"\\udfff": 1})', Fault.LONE_SURROGATE, "ud800"),
    *((Syntax.json, *row) for row in JSON_ALONE),
    *((syntax, text, UNREADABLE[syntax], "") for syntax, texts in UNREAD.items() for text in texts),
    (Syntax.json, '{"name":"stop","arguments":{}} and more', Fault.NOT_JSON, "Extra data"),
    (Syntax.python, "stop() and more", Fault.NOT_PYTHON, "expected the end at character 7, got 'and more'"),
    (Syntax.python, "stop(area)", Fault.NOT_PYTHON, "expected a value at character 5, got 'area)'"),
    (Syntax.python, '{"name":"stop","arguments":{}}', Fault.NOT_A_CALL, "function(parameter=value"),
    (Syntax.python, 'dim("hall", 5)', Fault.NOT_A_CALL, "'hall' stands without its parameter's name"),
    (Syntax.python, "dim(True)", Fault.NOT_A_CALL, "True"),
]


@pytest.mark.parametrize(("syntax", "text", "fault", "detail"), ROWS)
def test_every_fault_is_named_and_shown(syntax, text, fault, detail):
    reply = parse_reply(text, POOL, syntax)
    assert isinstance(reply, Malformed)
    assert reply.fault == fault
    assert detail in reply.detail


@pytest.mark.parametrize("syntax", Syntax)
def test_every_fault_kind_is_tested_above(syntax):
    found = {fault for one, _, fault, _ in ROWS if one is syntax}
    assert found == set(Fault) - {one for other, one in UNREADABLE.items() if other is not syntax}


@pytest.mark.parametrize("syntax", Syntax)
def test_a_fault_of_the_schema_still_gives_the_call(syntax):
    call = Call("dim", {"area": "hall", "level": "5"})
    assert parse_reply(written(call, syntax), POOL, syntax).call == call
    assert parse_reply("[]", POOL, syntax).call is None


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
    assert parse_reply(text, POOL, Syntax.json) == (answer or Call(**json.loads(text)))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("stop()", Call("stop", {})),
        (' \n dim ( level = -5 ,\tarea\n= "hall" ) ', Call("dim", {"area": "hall", "level": -5})),
        ('dim(area="hall",level=5.0)', Call("dim", {"area": "hall", "level": 5.0})),
        ('dim(speed=-0.5e+3, area="")', Call("dim", {"area": "", "speed": -500.0})),
        (
            'dim(area="hall", now=True, lamps=["a", 1, False], mode="soft")',
            Call("dim", {"area": "hall", "now": True, "lamps": ["a", 1, False], "mode": "soft"}),
        ),
        (
            'dim(area="hall", days=["tue", "mon", "tue"], hours=[1, 2.0])',
            Call("dim", {"area": "hall", "days": ["tue", "mon", "tue"], "hours": [1, 2.0]}),
        ),
        ('dim(area="hall", days=[], hours=[])', Call("dim", {"area": "hall", "days": [], "hours": []})),
        ('dim(area="((((( \\"[[[[ \'{{{{\\\\", lamps=[ ])', Call("dim", {"area": "((((( \"[[[[ '{{{{\\", "lamps": []})),
        ('dim(area="\\u00e9\\/\\ud83d\\ude00\\n")', Call("dim", {"area": "é/😀\n"})),
        ('dim(area="a", level=' + "9" * 4000 + ")", Call("dim", {"area": "a", "level": int("9" * 4000)})),
        ("No appropriate function", Refusal.NO_FUNCTION),
        (" Request unclear\n", Refusal.UNCLEAR),
    ],
)
def test_what_is_right_is_read_as_python_writes_it(text, answer):
    assert parse_reply(text, POOL, Syntax.python) == answer


def test_a_call_is_written_as_python_writes_it():
    call = Call("dim", {"area": "the \"den\"\n'é'", "level": 5, "speed": 0.5, "now": True, "lamps": ["a", 1, False]})
    assert written(call, Syntax.python) == (
        'dim(area="the \\"den\\"\\n\'é\'", level=5, speed=0.5, now=True, lamps=["a", 1, False])'
    )
    assert written(Call("stop"), Syntax.python) == "stop()"
    assert written(Refusal.UNCLEAR, Syntax.python) == "Request unclear"
    nested = Call("f", {"x": {"a b": [None, {"c": False}], "d": {}}})
    assert written(nested, Syntax.python) == 'f(x={"a b": [None, {"c": False}], "d": {}})'


@pytest.mark.parametrize("syntax", Syntax)
def test_the_longest_reply_is_read_and_one_more_character_is_not(syntax):
    frame = len(written(Call("dim", {"area": ""}), syntax))
    for length, fault in ((MAX_CHARS - frame, None), (MAX_CHARS - frame + 1, Fault.TOO_LONG)):
        reply = parse_reply(written(Call("dim", {"area": "x" * length}), syntax), POOL, syntax)
        assert getattr(reply, "fault", None) == fault


@pytest.mark.parametrize("syntax", Syntax)
def test_a_data_file_may_say_as_much_in_any_script_as_a_model(syntax):
    answer = Call("dim", {"area": "厨" * 2000})
    assert parse_reply(written(answer, syntax), POOL, syntax) == answer
    assert answer_from_json(answer_json(answer), POOL) == answer


@pytest.mark.parametrize("name", ["weather.get", "2fa-enable", "a/b", "größe", "from", "x$y"])
def test_a_name_may_be_more_than_pythons_are(name):
    pool = {name: Function(name, "", {name: Parameter("integer")})}
    call = Call(name, {name: 5})
    assert parse_reply(written(call, Syntax.python), pool, Syntax.python) == call


SIGNS = '{}[]()=",:\\ue19.-+NaIntrfls Te name"dim"'
LIKE = st.text(st.sampled_from(SIGNS), max_size=60)
MUTILATED = st.tuples(
    st.sampled_from([dim(level=5), dim(lamps=["a"]), dim_python(level=5), dim_python(lamps=["a"], now=True)]),
    st.integers(0, 60),
    st.text(max_size=3),
).map(lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :])


@given(st.text() | LIKE | MUTILATED, st.sampled_from(Syntax))
def test_no_text_raises(text, syntax):
    assert isinstance(parse_reply(text, POOL, syntax), Call | Refusal | Malformed)


@given(st.text(st.sampled_from(SIGNS), max_size=30) | MUTILATED)
def test_whatever_is_read_as_a_python_call_is_one_to_python(text):
    """The oracle: Python's own grammar, of keywords and literals alone. No more is read than Python itself would."""
    assume("\\" not in text)  # JSON and Python share most escapes, not all
    reply = parse_reply(text, POOL, Syntax.python)
    if isinstance(reply, Call):
        call = ast.parse(f"({text.strip()})", mode="eval").body
        assert isinstance(call, ast.Call) and not call.args and call.func.id == reply.name
        assert {one.arg: ast.literal_eval(one.value) for one in call.keywords} == reply.arguments


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(json_values, json_values, st.sampled_from(Syntax))
def test_no_json_value_raises(name, arguments, syntax):
    text = written(Call("dim", {"area": arguments}), syntax)
    assert isinstance(parse_reply(text, POOL, syntax), Call | Malformed)
    answer_from_json({"name": name, "arguments": arguments}, POOL)


@given(st.sampled_from(list(POOL["dim"].parameters)), json_values | st.lists(st.sampled_from(["mon", "sun", 1, 1.5])))
def test_both_syntaxes_read_the_same_or_find_the_same_fault(parameter, value):
    found = []
    for syntax in Syntax:
        reply = parse_reply(written(Call("dim", {"area": "hall", parameter: value}), syntax), POOL, syntax)
        found.append((reply.fault, reply.call) if isinstance(reply, Malformed) else reply)
    assert repr(found[0]) == repr(found[1])


@given(functions_and_calls(), st.sampled_from(Syntax))
def test_what_is_written_is_read_back_whatever_the_schema(pair, syntax):
    function, call = pair
    reply = parse_reply(written(call, syntax), {function.name: function}, syntax)
    assert repr(reply) == repr(call), "types too: 1, 1.0 and True differ"


@given(st.sampled_from(Refusal), st.sampled_from(Syntax))
def test_a_refusal_is_the_same_words_in_every_syntax(refusal, syntax):
    assert parse_reply(written(refusal, syntax), POOL, syntax) == refusal == answer_text(refusal)


@given(functions_and_calls())
def test_a_data_file_gives_an_answer_back(pair):
    function, call = pair
    assert answer_from_json(json.loads(json.dumps(answer_json(call))), {function.name: function}) == call
