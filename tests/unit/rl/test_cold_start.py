"""Rule-made thoughts: short, deterministic, and of full reward for the answer they lead to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax, written
from supertiny.core.prompt import Source, named, read
from supertiny.core.records import Example
from supertiny.rl.rewards import Level, reward
from supertiny.rl.thoughts import made_up, rule_made, trace

POOL = {
    function.name: function
    for function in (
        Function("lock_door", "Locks a lock", {}, "lock"),
        Function("unlock_door", "Unlocks a lock", {}, "lock"),
        Function("get_lock_state", "Gets or checks the state of a lock", {}, "lock"),
        Function("set_light", "Sets the brightness or color of a light", {}, "light"),
        Function("turn_off_light", "Turns off a light", {}, "light"),
        Function("wild", "<think> is </answer> here, `No appropriate function`"),
    )
}
OFFERED = tuple(POOL)[:5]


def example(query, *answers, candidates=OFFERED):
    return Example(id="1", query=query, candidates=candidates, answers=answers)


@pytest.mark.parametrize(
    ("query", "answer", "thought"),
    [
        (
            "Unlock the door, please!",
            Call("unlock_door", {}),
            "unlock door: not lock_door: unlock_door",
        ),
        (
            "make the light red",
            Call("set_light", {}),
            "light: not turn_off_light: set_light",
        ),
        (
            "and now the other one",
            Call("lock_door", {}),
            "now the other one: not unlock_door: lock_door",
        ),
        ("eat tacos", Refusal.NO_FUNCTION, "eat tacos: no candidate does this: No appropriate function"),
        (
            "set the light to",
            Refusal.UNCLEAR,
            "set light: not set_light: it is open what is wanted: Request unclear",
        ),
    ],
)
def test_thoughts_worked_by_hand(query, answer, thought):
    assert made_up(example(query, answer), answer, POOL) == thought


def test_a_script_that_parts_no_words_is_told_apart_letter_by_letter():
    pool = {name: Function(name, about) for name, about in {"开灯": "打开灯", "关灯": "关掉灯"}.items()}
    said = example("请打开客厅", Call("开灯", {}), candidates=tuple(pool))
    assert made_up(said, said.answers[0], pool) == "打 开: not 关灯: 开灯"
    assert reward(trace(said, pool, Syntax.json).text, said.answers, pool, Syntax.json).level is Level.CORRECT


@pytest.mark.parametrize("syntax", Syntax)
def test_an_answer_that_spells_a_tag_has_no_thought(syntax):
    pool = {"note": Function("note", "Notes", {"text": Parameter("string")})}
    rows = [example("note it", Call("note", {"text": text}), candidates=("note",)) for text in ("tea", "</answer>")]
    assert [one.answer for one in rule_made(rows, pool, syntax)] == [written(Call("note", {"text": "tea"}), syntax)]


def test_another_right_function_is_not_argued_against():
    light, off = Call("set_light", {"brightness": 0}), Call("turn_off_light", {})
    said = made_up(example("the light off", off, light), off, POOL)
    assert said == "light off: turn_off_light"


def test_a_row_is_marked_as_rule_made():
    row = trace(example("lock the door", Call("lock_door", {})), POOL, Syntax.json)
    assert (row.id, row.answer, row.source) == ("1", '{"name":"lock_door","arguments":{}}', Source.RULE)


@given(
    st.text(min_size=1) | st.lists(st.sampled_from([*POOL, "<think>", "</answer>", "Request unclear"])).map(" ".join),
    st.sampled_from([*(Call(name, {}) for name in POOL), *Refusal]),
    st.lists(st.sampled_from(list(POOL)), unique=True, max_size=6),
)
def test_every_rule_made_reply_has_the_full_reward(query, answer, names):
    """Whatever stands in the query or in a document: the answer's function is last, and no tag is quoted."""
    candidates = tuple(dict.fromkeys([*names, *([answer.name] if isinstance(answer, Call) else [])]))
    one = example(query, answer, candidates=candidates)
    row = trace(one, POOL, Syntax.json)
    assert row == trace(one, POOL, Syntax.json)
    assert named(row.thought, [*candidates, *Refusal])[-1] == (answer.name if isinstance(answer, Call) else answer)
    assert read(row.text).answer == row.answer
    assert reward(row.text, [answer], {name: POOL[name] for name in candidates}, Syntax.json).level is Level.CORRECT
    assert len(row.thought.split()) <= 4 + 2 + 6 + 3


def test_a_rule_made_reply_ends_on_a_call_of_the_syntax_that_is_due():
    asked, due = example("lock the door", Call("lock_door", {})), Call("lock_door", {})
    row = trace(asked, POOL, Syntax.python)
    assert row.answer == "lock_door()" and row.text.endswith("<answer>lock_door()</answer>")
    offered = {name: POOL[name] for name in OFFERED}
    assert reward(row.text, [due], offered, Syntax.python).level is Level.CORRECT
    assert reward(row.text, [due], offered, Syntax.json).level is Level.UNPARSEABLE
