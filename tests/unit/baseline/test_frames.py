"""A call survives its frame, wherever `losses` does not say otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.baseline.frames import (
    OTHER,
    REFUSALS,
    REFUSED,
    Frame,
    Loss,
    domain_of,
    from_frame,
    from_slot,
    losses,
    to_frame,
    to_slot,
)
from supertiny.core.calls import Call, Fault, Function, Malformed, Parameter, Refusal, check_call
from supertiny.core.records import TYPES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "|", "\\", "\\|", "true", "7"]
)
VALUES = {
    "string": TEXT,
    "integer": st.integers() | st.integers(-(2**60), 2**60).map(float),
    "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "array": st.lists(TEXT, max_size=4),
}
MIXED = st.lists(TEXT | st.integers() | st.booleans(), max_size=4)


def functions() -> st.SearchStrategy[Function]:
    parameter = st.builds(Parameter, st.sampled_from(TYPES), required=st.booleans())
    names = st.sampled_from(["no_function", "unclear", "f", "turn on", "refusal", ""])
    domains = st.sampled_from(["", OTHER, REFUSED, "light", "no_function"])
    return st.builds(Function, names, st.just(""), st.dictionaries(TEXT, parameter, max_size=4), domains)


POOLS = st.lists(functions(), min_size=1, max_size=4).map(lambda found: {one.name: one for one in found})


@st.composite
def calls(draw, pool, values=VALUES):
    function = draw(st.sampled_from(list(pool.values())))
    arguments = {
        name: draw(st.sampled_from(parameter.enum) if parameter.enum else values[parameter.type])
        for name, parameter in function.parameters.items()
        if parameter.required or draw(st.booleans())
    }
    return Call(function.name, arguments)


def lost(call, pool):
    """Whether `losses` names what this call holds."""
    found = {(loss.function, loss.parameter) for loss in losses(pool)}
    texts_alone = all(isinstance(i, str) for v in call.arguments.values() if isinstance(v, list) for i in v)
    whole = (call.name, None) in found and not call.arguments
    return whole or (not texts_alone and any((call.name, name) in found for name in call.arguments))


@given(st.data(), POOLS)
def test_every_call_comes_back_from_its_frame_unless_losses_says_otherwise(data, pool):
    call = data.draw(calls(pool, VALUES | {"array": MIXED}))
    assert isinstance(check_call(call, pool), Call)
    frame = to_frame(call, pool)
    assert all(isinstance(text, str) for text in frame.slots.values())
    back = from_frame(frame, pool)
    if not lost(call, pool):
        assert back == call
        for name, value in call.arguments.items():  # 5.0 == 5 == True, so types are compared too
            whole = pool[call.name].parameters[name].type == "integer"
            assert type(back.arguments[name]) is (int if whole else type(value))


@given(data=st.data())
def test_every_call_of_the_real_pool_comes_back(data, home_pool):
    call = data.draw(calls(home_pool))
    assert from_frame(to_frame(call, home_pool), home_pool) == call


def test_the_real_pool_loses_nothing_and_every_reference_answer_comes_back(home_pool, home_answers):
    assert losses(home_pool) == []
    assert len(home_answers) > 300
    for answer in home_answers:
        assert from_frame(to_frame(answer, home_pool), home_pool) == answer


@given(POOLS)
def test_refusals_come_back_whatever_the_pool(pool):
    for refusal in Refusal:
        assert from_frame(to_frame(refusal, pool), pool) is refusal


@given(POOLS, st.builds(Frame, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3)), st.data())
def test_any_frame_is_read_without_an_exception(pool, frame, data):
    names = data.draw(st.sampled_from(list(pool.values())))
    for one in (frame, replace(frame, domain=domain_of(names), intent=names.name)):
        assert isinstance(from_frame(one, pool), Call | Refusal | Malformed)


def test_a_list_by_hand():
    r"""["a|b", "c\d", ""] is a\|b|c\\d| ; [] is one backslash, [""] is nothing at all."""
    assert to_slot(["a|b", "c\\d", ""], "array") == r"a\|b|c\\d|"
    assert from_slot(r"a\|b|c\\d|", "array") == ["a|b", "c\\d", ""]
    assert (to_slot([], "array"), to_slot([""], "array")) == ("\\", "")
    assert (from_slot("\\", "array"), from_slot("", "array")) == ([], [""])


DIM = Function("dim", "", {"level": Parameter("integer", required=True), "how": Parameter("string", enum=("soft",))})
POOL = {"dim": DIM}


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (Frame(OTHER, "glow"), Fault.UNKNOWN_FUNCTION),
        (Frame("light", "dim", {"level": "5"}), Fault.UNKNOWN_FUNCTION),
        (Frame(OTHER, "dim", {"level": "5", "tint": "red"}), Fault.UNKNOWN_PARAMETER),
        (Frame(OTHER, "dim", {"level": "five"}), Fault.WRONG_TYPE),
        (Frame(OTHER, "dim", {"level": "5", "how": "hard"}), Fault.NOT_ALLOWED),
        (Frame(OTHER, "dim"), Fault.MISSING_PARAMETER),
        (Frame(REFUSED, "no_function", {"level": "5"}), Fault.UNKNOWN_FUNCTION),
    ],
)
def test_a_frame_that_fits_no_function_says_why(frame, fault):
    assert from_frame(frame, POOL).fault is fault


@pytest.mark.parametrize("text", ["1e999", "nan", "inf", "0x10", "1_0", " 1", "٣", "1."])
def test_what_is_no_finite_number_is_refused(text):
    for kind in ("integer", "number"):
        with pytest.raises(ValueError, match="not a"):
            from_slot(text, kind)


def test_losses_names_function_parameter_and_reason():
    """A function that is called like a refusal, and a list whose items have no type, are all there is to lose."""
    pool = {
        "unclear": Function("unclear", "", {"tags": Parameter("array"), "n": Parameter("number")}, REFUSED),
        "fine": Function("fine", "", {"n": Parameter("number")}),
    }
    whole, items = losses(pool)
    assert whole == Loss("unclear", None, "its frame without slots is the refusal 'Request unclear'")
    assert (items.function, items.parameter) == ("unclear", "tags") and "come back as text" in items.why
    assert from_frame(to_frame(Call("unclear"), pool), pool) is Refusal.UNCLEAR
    assert to_frame(Call("unclear"), pool) == REFUSALS[Refusal.UNCLEAR]
    assert from_frame(to_frame(Call("unclear", {"tags": ["a", 3]}), pool), pool) == Call(
        "unclear", {"tags": ["a", "3"]}
    )


@pytest.mark.parametrize(
    ("items", "value"),
    [
        (Parameter("integer"), [5, 7]),
        (Parameter("number"), [0.5, 7, 2.0]),
        (Parameter("boolean"), [True, False]),
        (Parameter("string", enum=("mon", "a|b")), ["a|b", "mon"]),
        (Parameter("integer"), []),
    ],
)
def test_items_whose_type_the_schema_gives_come_back_as_they_were(items, value):
    pool = {"set": Function("set", "", {"to": Parameter("array", items=items)})}
    back = from_frame(to_frame(Call("set", {"to": value}), pool), pool)
    assert back == Call("set", {"to": value}) and [*map(type, back.arguments["to"])] == [*map(type, value)]
    assert losses(pool) == []
    assert from_frame(Frame(OTHER, "set", {"to": "noday"}), pool).fault in (Fault.WRONG_TYPE, Fault.NOT_ALLOWED)
