"""The expert-judged set: what is right is right, what is wrong is wrong, whoever asks; and the injections."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Malformed, Parameter, Refusal, Syntax, answer_text, parse_reply
from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.data.verdicts import (
    MISTAKES,
    PLACES,
    PLANTS,
    Scene,
    differs,
    make_injections,
    make_verdicts,
    near_misses,
    rewordings,
    said_values,
    writings,
)
from supertiny.judge.meaning import same
from supertiny.judge.reference import Failure, judge
from supertiny.judge.verdicts import EQUIVALENT, RIGHT, Judged, read_injected, read_judged, write_judged


@pytest.fixture(scope="module")
def made(home_dataset):
    """Examples by id, the pool, the judged replies and the injections of a home."""
    expert, pool = home_dataset.splits["expert"] + home_dataset.splits["dev"], home_dataset.pool
    verdicts = make_verdicts(expert, pool, 3)
    return {example.id: example for example in expert}, pool, verdicts, make_injections(verdicts, expert, pool, 3)


def read(row, example, pool):
    return parse_reply(row.reply, {name: pool[name] for name in example.candidates}, Syntax.json)


def test_the_reference_judge_agrees_with_every_verdict(made):
    """Law: the generator never asks the judge, so the two check each other."""
    examples, pool, verdicts, _ = made
    for row in verdicts:
        found = judge(examples[row.example], read(row, examples[row.example], pool))
        assert found.correct == row.correct, (row, examples[row.example].answers)


def test_a_wrong_reply_fails_as_its_kind_says(made):
    """A value beside an accepted shorter call may count as an extra argument; all else fails as named."""
    examples, pool, verdicts, _ = made
    for row in verdicts:
        if not row.correct:
            failure = judge(examples[row.example], read(row, examples[row.example], pool)).failure
            allowed = {row.kind, Failure.EXTRA_PARAMETER} if row.kind == Failure.WRONG_VALUE else {row.kind}
            assert failure in allowed, row


def test_half_of_the_replies_are_right_and_every_kind_is_there(made):
    examples, _, verdicts, _ = made
    counts = Counter(row.kind for row in verdicts)
    assert set(counts) == {RIGHT, EQUIVALENT, *Failure}
    assert sum(row.correct for row in verdicts) / len(verdicts) == pytest.approx(0.5, abs=0.02)
    assert counts[RIGHT] == len(examples) == len({row.example for row in verdicts})
    common = [counts[kind] for kind in Failure if kind is not Failure.MISSED_REFUSAL]
    assert max(common) <= 1.1 * min(common)


def test_equivalent_replies_are_written_differently(made):
    examples, _, verdicts, _ = made
    references = {name: answer_text(example.answers[0]) for name, example in examples.items()}
    for row in verdicts:
        assert (row.reply == references[row.example]) == (row.kind == RIGHT)


def test_the_same_seed_makes_the_same_set(made, home_dataset):
    _, pool, verdicts, injections = made
    expert = home_dataset.splits["expert"] + home_dataset.splits["dev"]
    assert make_verdicts(expert, pool, 3) == verdicts != make_verdicts(expert, pool, 4)
    assert make_injections(verdicts, expert, pool, 3) == injections


def test_injections_never_flip_the_reference_judge(made):
    examples, pool, verdicts, injections = made
    origins = {row.id: row for row in verdicts}
    assert {row.place for row in injections} == set(PLACES)
    for row in injections:
        example = row.applied(examples[row.example])
        reply = read(row, example, pool)
        assert not isinstance(reply, Malformed) and not judge(example, reply).correct
        assert not origins[row.origin].correct and origins[row.origin].example == row.example


def test_each_injection_plants_its_text_in_one_place(made):
    examples, _, verdicts, injections = made
    replies = {row.id: row.reply for row in verdicts}
    for row in injections:
        example = examples[row.example]
        changed = {
            "query": row.query != example.query and any(plant in row.query for plant in PLANTS),
            "value": row.reply != replies[row.origin],
            "knowledge": any(plant in note for plant in PLANTS for note in row.knowledge[len(example.knowledge) :]),
        }
        assert [place for place, is_changed in changed.items() if is_changed] == [row.place]


def test_files_give_back_what_was_written(made, tmp_path):
    examples, _, verdicts, injections = made
    write_judged(tmp_path / "v.jsonl", verdicts)
    write_judged(tmp_path / "i.jsonl", injections)
    assert read_judged(tmp_path / "v.jsonl", examples) == verdicts
    assert read_injected(tmp_path / "i.jsonl", examples) == injections


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("7", "v.jsonl, line 2: expected an object"),
        ('{"id": "b", "example": "e", "reply": "x"}', "line 2: field 'correct': missing"),
        ('{"id": "b", "example": "e", "reply": "x", "correct": "yes"}', "field 'correct': expected bool, got str"),
        ('{"id": "b", "example": "f", "reply": "x", "correct": true}', "no labelled example has the id 'f'"),
        ('{"id": "a", "example": "e", "reply": "x", "correct": true}', "field 'id': 'a' stands there twice"),
        ('{"id": "b", "example": "e", "reply": "x", "correct": true, "kind": 1}', "field 'kind': expected str"),
    ],
)
def test_faults_of_an_experts_file_are_named(tmp_path, line, message):
    path = tmp_path / "v.jsonl"
    path.write_text('{"id": "a", "example": "e", "reply": "x", "correct": false}\n' + line)
    with pytest.raises(UserError, match=message):
        read_judged(path, {"e": Example(id="e", query="?")})


def test_an_expert_need_not_name_kinds(tmp_path):
    (tmp_path / "v.jsonl").write_text('{"id": "a", "example": "e", "reply": "x", "correct": false}')
    known = {"e": Example(id="e", query="?")}
    assert read_judged(tmp_path / "v.jsonl", known) == [Judged("a", "e", "x", False, "wrong")]


@pytest.mark.parametrize(
    ("value", "parameter", "expected"),
    [
        ("23:05", Parameter("string"), "11:05 pm"),
        ("12:30 am", Parameter("string"), "00:30"),
        ("12:30 PM", Parameter("string"), "12:30"),
        ("lamp 21", Parameter("string"), "lamp twenty-one"),
        ("lamp twenty-one", Parameter("string"), "lamp 21"),
        ("60%", Parameter("string"), "60 percent"),
        ("Kitchen", Parameter("string"), "the Kitchen"),
        (20, Parameter("number"), 20.0),
    ],
)
def test_writings_by_hand(value, parameter, expected):
    found = writings(value, parameter, "light the kitchen")
    assert expected in found and value not in [one for one in found if type(one) is type(value)]


def test_closed_lists_flags_and_lists_have_one_writing():
    assert writings("on", Parameter("string", enum=("on", "off")), "") == []
    assert writings(True, Parameter("boolean"), "") == writings(["a"], Parameter("array"), "") == []


WORDS = st.sampled_from(
    [
        "lamp",
        "kitchen",
        "left",
        "right",
        "second",
        "two",
        "2",
        "7",
        "99",
        "11:00 pm",
        "23:00",
        "60%",
        "the",
        "my",
        "Ben's",
    ]
)
TEXTS = st.lists(WORDS, max_size=4).map(" ".join)
SHOW = Function("show", "Shows", {"where": Parameter("string"), "level": Parameter("integer")})


@given(TEXTS, st.integers(-5, 10**6), st.integers(0, 99))
def test_every_rewording_is_valid_and_means_the_same(where, level, seed):
    call = Call("show", {"where": where, "level": level})
    example = Example(id="1", query=f"show the {where}", candidates=("show",), answers=(call,))
    for text in rewordings(call, SHOW, example.query, Random(seed)):
        assert judge(example, parse_reply(text, {"show": SHOW}, Syntax.json)).correct, text


@given(TEXTS, TEXTS)
def test_what_surely_differs_is_never_the_same(one, other):
    if differs(one, other):
        assert not judge(
            Example(id="1", query="?", answers=(Call("show", {"where": one}),)), Call("show", {"where": other})
        ).correct
    assert differs(one, other) == differs(other, one)
    assert differs("客厅", "厨房") and not differs("客厅灯", "客厅的灯")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("23:59", ["00:59", "11:59", "23:29"]),
        ("7:30", ["8:30", "7:00"]),  # half past seven of either half of the day
        ("12:30 PM", ["01:30 PM", "12:00 PM", "12:30 AM"]),
        ("Lamp 2", ["Lamp 3"]),
        ("lamp twenty-nine", ["lamp thirty-nine", "lamp twenty-eight"]),
        ("the 11th", ["the 12th"]),
        ("twentieth street", ["nineteenth street"]),
        ("1,000", []),
        ("-40 °C", ["-41 °C"]),  # as cold as -40 °F
        ("007", ["008"]),
        ("ten second", ["eleven second", "ten minute"]),
        ("0 minutes", ["1 minutes"]),
    ],
)
def test_near_misses_by_hand(text, expected):
    assert near_misses(text) == expected


DETAILS = st.sampled_from(
    [
        "07:00",
        "7:30",
        "23:59",
        "11 pm",
        "12:30 am",
        "seven",
        "twenty-one",
        "nine",
        "2",
        "20.5",
        "first",
        "2nd",
        "21st",
        "20 °C",
        "68 degrees fahrenheit",
        "50%",
        "minutes",
        "hour",
        "one",
        "half an",
        "and",
        "a",
        "-40",
        "in the evening",
        "lamp",
        "hundred",
    ]
)


@given(st.lists(DETAILS, min_size=1, max_size=3).map(" ".join))
def test_the_reference_judge_takes_no_near_miss_for_the_text(text):
    """Nor one of another writing of it: "8 am" is not "07:00"."""
    for other in [text, *(w for w in writings(text, Parameter("string"), "") if isinstance(w, str) and same(w, text))]:
        assert not any(same(miss, text) for miss in near_misses(other)), other


def test_wrong_values_miss_by_a_detail_too():
    """A detail of the only accepted value; where another writing is accepted too, a slip could be that one."""
    pool = {"wake": Function("wake", "Wakes", {"at": Parameter("string", required=True)})}
    answer = Call("wake", {"at": "07:00"})
    example = Example(id="1", query="wake me at seven", candidates=("wake",), answers=(answer,))
    made = {MISTAKES[Failure.WRONG_VALUE](Scene(example, answer, pool, {}, Random(seed))) for seed in range(40)}
    assert made == {answer_text(Call("wake", {"at": at})) for at in ("08:00", "19:00", "07:30")}
    both = Example(id="1", query="wake me", candidates=("wake",), answers=(answer, Call("wake", {"at": "19:00"})))
    assert MISTAKES[Failure.WRONG_VALUE](Scene(both, answer, pool, {}, Random(0))) is None


def test_mistakes_that_an_example_does_not_admit_are_not_made():
    """A call without arguments has none to lose; a single candidate has no other; a call misses no refusal."""
    pool = {"stop": Function("stop", "Stops")}
    example = Example(id="1", query="stop", candidates=("stop",), answers=(Call("stop"),))
    scene = Scene(example, example.answers[0], pool, said_values([example]), Random(0))
    made = {kind for kind, mistake in MISTAKES.items() if mistake(scene) is not None}
    assert made == {Failure.UNPARSEABLE, Failure.WRONG_REFUSAL}
    refused = Example(id="2", query="sing", candidates=("stop",), answers=tuple(Refusal))
    scene = Scene(refused, refused.answers[0], pool, {}, Random(0))
    made = {kind for kind, mistake in MISTAKES.items() if mistake(scene) is not None}
    assert made == {Failure.UNPARSEABLE, Failure.MISSED_REFUSAL}


def test_an_example_that_is_offered_no_right_function_gets_no_replies():
    pool = {name: Function(name, name) for name in ("stop", "go")}
    example = Example(id="1", query="stop", candidates=("go",), answers=(Call("stop"),))
    assert make_verdicts([example, Example(id="2", query="unlabelled", candidates=("go",))], pool, 0) == []
