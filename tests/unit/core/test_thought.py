"""The format of a thinking reply: one strict reader, and which function a thought ends on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Malformed, Parameter, Refusal, Syntax
from supertiny.core.prompt import TAGS, Source, TagFault, Thought, Trace, named, read, read_answer, write

pieces = st.lists(st.sampled_from([*TAGS, " ", "\n", "x", "<", ">", "think", "/"]), max_size=9).map("".join)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", TagFault.MISSING),
        ("<think>a</think>", TagFault.MISSING),
        ("<think>a</think><answer>b", TagFault.MISSING),
        ("<THINK>a</THINK><answer>b</answer>", TagFault.MISSING),
        ("< think>a</think><answer>b</answer>", TagFault.MISSING),
        ("<think>a</think><answer>b</answer><answer>b</answer>", TagFault.REPEATED),
        ("<think><think>a</think></think><answer>b</answer>", TagFault.REPEATED),
        ("<think>a</think><answer>b <answer> c</answer>", TagFault.REPEATED),
        ("<answer>b</answer><think>a</think>", TagFault.ORDER),
        ("<think>a<answer>b</answer></think>", TagFault.ORDER),
        ("<think>a<answer></think>b</answer>", TagFault.ORDER),
        ("</think>a<think><answer>b</answer>", TagFault.ORDER),
        ("well: <think>a</think><answer>b</answer>", TagFault.OUTSIDE),
        ("<think>a</think> so <answer>b</answer>", TagFault.OUTSIDE),
        ("<think>a</think><answer>b</answer>.", TagFault.OUTSIDE),
    ],
)
def test_what_is_not_the_format_is_named(text, fault):
    assert read(text) is fault


def test_white_space_around_the_parts_does_not_count():
    assert read("\n<think> a\nb </think>\t <answer>\nc </answer>\n") == Thought("a\nb", "c")
    assert read("<think></think><answer></answer>") == Thought("", "")


@given(pieces, pieces)
def test_what_is_written_is_read_and_nothing_else_is_written(thought, answer):
    if any(tag in part for tag in TAGS for part in (thought, answer)):
        with pytest.raises(ValueError, match="holds <"):
            write(thought, answer)
    else:
        assert read(write(thought, answer)) == Thought(thought.strip(), answer.strip())


@given(pieces)
def test_whatever_is_read_holds_each_tag_once(text):
    found = read(text)
    if isinstance(found, Thought):
        assert [text.count(tag) for tag in TAGS] == [1, 1, 1, 1]
        assert "".join(text.split()) == "".join(write(found.thought, found.answer).split())


@pytest.mark.parametrize(
    ("thought", "last"),
    [
        ("it locks: lock_door", "lock_door"),
        ("lock_door? no, unlock_door.", "unlock_door"),
        ("unlock_door", "unlock_door"),
        ("relock_door, lock_doors, xlock_door_y", None),
        ("Lock_Door", None),
        ("`lock_door`(name) it is, for the door", "lock_door"),
        ("lock_door: No appropriate function", "No appropriate function"),
        ("get_timer_status", "get_timer_status"),
        ("", None),
    ],
)
def test_the_last_name_is_a_whole_word(thought, last):
    names = ["lock_door", "unlock_door", "get_time", "get_timer_status", "No appropriate function"]
    assert (named(thought, names) or [None])[-1] == last


def test_of_names_that_share_a_place_the_longest_is_meant():
    assert named("play, play-all and a.play", ["play", "play-all", "a.play"]) == ["play", "play-all", "a.play"]
    assert named("anything", []) == [] == named("any", [""])


def test_a_trace_is_the_reply_it_teaches():
    assert Trace("1", "t", "a", Source.RULE).text == "<think>t</think><answer>a</answer>"


TAGGED = Call("note", {"text": "<answer>, </think>"})


@pytest.mark.parametrize(
    ("text", "syntax", "answer"),
    [
        ("Request unclear", Syntax.json, Refusal.UNCLEAR),
        ("Request unclear", Syntax.python, Refusal.UNCLEAR),
        (" <think>so: lock</think><answer>No appropriate function</answer>", Syntax.json, Refusal.NO_FUNCTION),
        ('<think>lock</think><answer>{"name":"lock","arguments":{}}</answer>', Syntax.json, Call("lock")),
        ('{"name":"note","arguments":{"text":"<answer>, </think>"}}', Syntax.json, TAGGED),
        ("<think>lock</think> <answer>lock()</answer>", Syntax.python, Call("lock")),
        (" lock()", Syntax.python, Call("lock")),
        (' note(text="<answer>, </think>")', Syntax.python, TAGGED),
    ],
)
def test_an_answer_is_read_with_or_without_a_thought(text, syntax, answer):
    pool = {"lock": Function("lock", ""), "note": Function("note", "", {"text": Parameter("string")})}
    assert read_answer(text, pool, syntax) == answer


@pytest.mark.parametrize("text", ["<think>x</think>Request unclear", "Request unclear</answer>", "<answer></answer>"])
def test_a_reply_with_a_tag_out_of_the_format_is_no_answer(text):
    assert isinstance(read_answer(text, {}, Syntax.json), Malformed)
