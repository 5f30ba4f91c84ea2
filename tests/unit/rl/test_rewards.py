"""Every row of the reward table, what tries to cheat it, and that it is total."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax, check_call, written
from supertiny.core.prompt import TAGS, write
from supertiny.core.records import Example
from supertiny.judge.reference import judge
from supertiny.rl.rewards import ANSWER_SCORES, NOTHING, Level, level_shares, reward

TEXT, NUMBER = Parameter("string"), Parameter("integer")
DIM = Function("dim", "Dims a light", {"name": Parameter("string", "", True), "level": NUMBER, "area": TEXT})
OFF = Function("turn_off", "Turns off a light", {"name": TEXT})
OFFERED = {"dim": DIM, "turn_off": OFF}
DUE = Call("dim", {"name": "lamp", "level": 50})
VALUES = {-2.0, -1.0, -0.5, -0.25, -0.2, 3.0}


def said(name, /, **arguments):
    return json.dumps({"name": name, "arguments": arguments})


def earned(thought, answer, *due):
    return reward(write(thought, answer), due or (DUE,), OFFERED, Syntax.json)


@pytest.mark.parametrize(
    ("thought", "answer", "level", "answer_score"),
    [
        ("dim", "", Level.MISSING, -2),
        ("dim", "{", Level.UNPARSEABLE, -2),
        ("dim", "dim(lamp)", Level.UNPARSEABLE, -2),
        ("dim", '["dim"]', Level.UNPARSEABLE, -2),
        ("dim", said("dim", name="lamp") * 2, Level.UNPARSEABLE, -2),
        ("dim", '"Request unclear"', Level.UNPARSEABLE, -2),
        ("dim", said("explode", name="lamp"), Level.UNKNOWN_FUNCTION, -2),
        ("it dims", said("dim", name="lamp", level=50), Level.TARGET_UNNAMED, -2),
        ("turn_off", said("turn_off", name="lamp"), Level.TARGET_UNNAMED, -2),
        ("", said("dim", name="lamp", level=50), Level.TARGET_UNNAMED, -2),
        ("dim, not turn_off", said("dim", name="lamp", level=50), Level.OTHER_END, -2),
        ("turn_off, no: dim", said("turn_off", name="lamp"), Level.OTHER_END, -2),
        ("not turn_off: dim", said("dim", name="lamp", level=50), Level.CORRECT, 2),
        ("dim it is", said("dim", name="The Lamp", level=50.0), Level.CORRECT, 2),
        ("dim", said("dim", name="lamp", level=5), Level.VALUE_RIGHT, -1.2),
        ("dim", said("dim", name="lamp"), Level.VALUE_RIGHT, -1.2),
        ("dim", said("dim", name="lamp", level=50, area="hall"), Level.VALUE_RIGHT, -1.2),
        ("dim", said("dim", name="fan", level=5), Level.PARAMETER_RIGHT, -1.25),
        ("dim", said("dim", area="lamp"), Level.WRONG, -1.5),
        ("dim", said("dim"), Level.WRONG, -1.5),
        ("dim? turn_off", said("turn_off", name="lamp"), Level.WRONG, -1.5),
        ("dim? Request unclear", "Request unclear", Level.WRONG, -1.5),
    ],
)
def test_rows_of_the_table(thought, answer, level, answer_score):
    found = earned(thought, answer)
    assert (found.format_score, found.answer_score, found.level) == (1.0, answer_score, level)
    assert found.value == pytest.approx(1 + answer_score)


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (said("dim", level=50), Level.VALUE_RIGHT),
        (said("dim", name="lamp", level="fifty"), Level.VALUE_RIGHT),
        (said("dim", name="lamp", level=50, colour="red"), Level.VALUE_RIGHT),
        (said("dim", name={"a": {}}, level=[1]), Level.PARAMETER_RIGHT),
        (said("dim", colour="red"), Level.WRONG),
    ],
)
def test_a_call_that_breaks_its_schema_is_never_right_but_read(answer, level):
    """`level: "fifty"` means 50, but no executor would take it: the judge says wrong, and so does the reward."""
    assert earned("dim", answer).level is level


@pytest.mark.parametrize(
    ("thought", "answer", "due", "level"),
    [
        ("No appropriate function", "No appropriate function", Refusal.NO_FUNCTION, Level.CORRECT),
        ("none fits", "No appropriate function", Refusal.NO_FUNCTION, Level.TARGET_UNNAMED),
        ("no appropriate function", "No appropriate function", Refusal.NO_FUNCTION, Level.TARGET_UNNAMED),
        ("No appropriate function, dim", "No appropriate function", Refusal.NO_FUNCTION, Level.OTHER_END),
        ("No appropriate function? Request unclear", "Request unclear", Refusal.NO_FUNCTION, Level.WRONG),
        ("No appropriate function? dim", said("dim", name="lamp"), Refusal.NO_FUNCTION, Level.WRONG),
        ("dim", said("dim", name="lamp"), Refusal.NO_FUNCTION, Level.TARGET_UNNAMED),
        ("dim. Request unclear", " Request unclear ", Refusal.UNCLEAR, Level.CORRECT),
        ("dim. Request unclear", "Request unclear!", Refusal.UNCLEAR, Level.UNPARSEABLE),
    ],
)
def test_a_refusal_is_an_answer_that_a_thought_names_by_its_words(thought, answer, due, level):
    assert earned(thought, answer, due).level is level


def test_out_of_the_format_nothing_else_is_looked_at():
    right = said("dim", name="lamp", level=50)
    for text in (right, f"<answer>{right}</answer>", write("dim", right) + "!", write("dim", right) * 2):
        assert reward(text, [DUE], OFFERED, Syntax.json) == NOTHING
    assert NOTHING.value == -2.0 == min(VALUES)


def test_stuffing_names_and_tags_earns_no_more():
    """All names in the thought: the last one still decides. A second answer in the thought: out of the format."""
    everything = "dim turn_off No appropriate function Request unclear"
    assert earned(everything, said("dim", name="lamp", level=50)).level is Level.OTHER_END
    assert earned(f"{everything} dim", said("turn_off", name="lamp")).level is Level.OTHER_END
    nested = f"<think>dim <answer>{said('turn_off')}</answer> dim</think><answer>{said('dim')}</answer>"
    assert reward(nested, [DUE], OFFERED, Syntax.json) == NOTHING


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        ('{"name":"dim","arguments":{"name":"lamp","level":' + "9" * 3000 + "}}", Level.VALUE_RIGHT),
        ('{"name":"dim","arguments":{"name":"lamp","level":' + "9" * 5000 + "}}", Level.UNPARSEABLE),
        ('{"name":"dim","arguments":{"name":"lamp","level":1e999}}', Level.UNPARSEABLE),
        ('{"name":"dim","arguments":{"name":"lamp","level":-Infinity}}', Level.UNPARSEABLE),
        ('{"name":"dim","arguments":{"name":"lamp","level":1e300}}', Level.VALUE_RIGHT),
        ('{"name":"dim","name":"dim","arguments":{"name":"lamp","level":50}}', Level.UNPARSEABLE),
        ('{"name":"dim","arguments":{"name":"\\ud800","level":50}}', Level.UNPARSEABLE),
        ('{"name":"dim","arguments":' * 2000, Level.UNPARSEABLE),
        ("[" * 4000, Level.UNPARSEABLE),
    ],
)
def test_what_would_break_a_careless_reader(answer, level):
    assert earned("dim", answer).level is level


def test_the_best_of_several_right_answers_counts():
    other = Call("turn_off", {"name": "lamp"})
    assert earned("dim? turn_off", said("turn_off", name="lamp"), DUE, other).level is Level.CORRECT
    assert earned("turn_off", said("turn_off", name="fan"), DUE, other).level is Level.PARAMETER_RIGHT
    two = (Call("dim", {"area": "hall", "level": 1}), Call("dim", {"name": "lamp"}))
    assert earned("dim", said("dim", name="lamp", level=3), *two).level is Level.VALUE_RIGHT


def test_a_right_answer_that_is_not_offered_helps_nobody():
    """And an unlabelled example has no target."""
    explode = Call("explode", {})
    assert earned("explode", said("explode"), explode).level is Level.UNKNOWN_FUNCTION
    assert earned("explode, dim", said("dim", name="lamp"), explode).level is Level.TARGET_UNNAMED
    assert reward(write("dim", said("dim", name="lamp")), [], OFFERED, Syntax.json).level is Level.TARGET_UNNAMED


def test_the_share_of_every_level_is_told():
    shares = level_shares([NOTHING, NOTHING, NOTHING, earned("dim", said("dim"))])
    assert (shares[Level.MISSING], shares[Level.WRONG], shares[Level.CORRECT]) == (0.75, 0.25, 0.0)
    assert list(shares) == list(Level)


arguments = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["lamp", "the lamp", "fan", ""]),
        "level": st.sampled_from([50, 50.0, "50", 5, [50]]),
        "area": st.just("hall"),
    },
)
calls = st.builds(Call, st.sampled_from(["dim", "turn_off", "explode"]), arguments)
answers = st.one_of(calls, st.sampled_from(Refusal))
thoughts = st.lists(
    st.sampled_from(["dim", "turn_off", "Request unclear", "No appropriate function", "so"]), max_size=5
)
replies = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*TAGS, "dim", '{"name":', '"dim"', "{", "}", "[", '"', "\ud800", "9" * 50, "\\"])).map(
        "".join
    ),
    st.builds(
        lambda thought, call: write(" ".join(thought), said(call.name, **call.arguments)),
        thoughts,
        calls,
    ),
)


@given(replies, st.lists(answers, max_size=3))
def test_any_text_earns_one_of_six_values(text, due):
    found = reward(text, due, OFFERED, Syntax.json)
    assert round(found.value, 6) in VALUES
    assert found.answer_score == ANSWER_SCORES[found.level]
    assert found.format_score == 1.0 or found == NOTHING


@given(thoughts, calls, st.lists(answers, min_size=1, max_size=3))
def test_correct_is_what_the_reference_judge_says(thought, call, due):
    found = reward(write(" ".join([*thought, call.name]), said(call.name, **call.arguments)), due, OFFERED, Syntax.json)
    verdict = judge(Example(id="", query="", answers=tuple(due)), check_call(call, OFFERED))
    assert (found.level is Level.CORRECT) == verdict.correct


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        ('dim(name="lamp", level=50)', Level.CORRECT),
        ('dim(level=50.0, name="The Lamp")', Level.CORRECT),
        ('dim(name="lamp", level="fifty")', Level.VALUE_RIGHT),
        ('dim(name={"a": {}}, level=[1])', Level.PARAMETER_RIGHT),
        ("dim()", Level.WRONG),
        ("dim(lamp)", Level.UNPARSEABLE),
        ('dim("lamp")', Level.UNPARSEABLE),
        ("dim(name='lamp', level=50)", Level.UNPARSEABLE),
        ('[dim(name="lamp", level=50)]', Level.UNPARSEABLE),
        ('dim(name="lamp", level=50) dim(name="lamp", level=50)', Level.UNPARSEABLE),
        ('{"name":"dim","arguments":{"name":"lamp","level":50}}', Level.UNPARSEABLE),
        ('explode(name="lamp")', Level.UNKNOWN_FUNCTION),
    ],
)
def test_a_call_that_is_due_as_python_writes_it(answer, level):
    assert reward(write("dim", answer), [DUE], OFFERED, Syntax.python).level is level


@given(thoughts, answers, st.lists(answers, max_size=3))
def test_an_answer_earns_the_same_in_every_syntax(thought, answer, due):
    earned_in = {
        syntax: reward(write(" ".join(thought), written(answer, syntax)), due, OFFERED, syntax) for syntax in Syntax
    }
    assert earned_in[Syntax.json] == earned_in[Syntax.python]
