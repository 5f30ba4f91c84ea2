"""Other words: the answer stays right, nothing collides, and the way back leads to what was there."""

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter, Refusal, check_call
from supertiny.core.records import Example, Turn
from supertiny.sft.substitute import (
    NOUNS,
    PARAMETERS,
    SMALL,
    VERB_WORDS,
    VERBS,
    Substitution,
    _renamed,
    _singular,
    substituted,
    substitution,
)

TEXT, STATE = Parameter("string", "the light"), Parameter("string", enum=("on", "dim light"))
LIST, DAYS = Parameter("array", items=Parameter("string")), Parameter("array", items=Parameter("string", enum=("fan",)))
POOL = {
    function.name: function
    for function in [
        Function("turn_on_light", "Turns on a light; Lights!", {"name": TEXT, "area": TEXT}),
        Function("turn_off_light", "", {"name": TEXT, "target": TEXT}),
        Function("set_fan", "Sets fans", {"name": TEXT, "fan_mode": LIST, "speed": Parameter("integer")}),
        Function("adjust_fan", "", {"item": TEXT, "name": TEXT}),
        Function("getValveState", "", {"state": STATE}),
        Function("all-batteries", "", {"battery": LIST}),
        Function("cancel_timer", "", {"days": DAYS, "room": TEXT}),
        Function("unlock", "", {}),
        Function("\u6253\u5f00_\u706f", "", {"name": TEXT}),
    ]
}
WORDS = [
    "light", "Lights", "LIGHT", "lighting", "skylight", "fan", "fans", "fan-mode", "the", "valve", "valves.", "battery",
    "batteries", "timer", "timers'", "room", "on", "plum", "pencils", "\u706f",
    "\u6253\u5f00light", "light_1", "dim light",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)


@st.composite
def calls(draw, texts):
    function = POOL[draw(st.sampled_from(sorted(POOL)))]

    def value(parameter):
        if parameter.enum:
            return draw(st.sampled_from(parameter.enum))
        if parameter.type == "array":
            return [value(parameter.items)]
        return draw(st.integers(0, 9)) if parameter.type == "integer" else copied()

    def copied():
        text = draw(st.sampled_from(texts))
        start = draw(st.integers(0, len(text) - 1))
        return text[start : draw(st.integers(start + 1, len(text)))]

    return Call(function.name, {name: value(parameter) for name, parameter in function.parameters.items()})


@st.composite
def examples(draw):
    """Rows behind one list, whose answers copy any part of what is shown, the middle of words too."""
    offered = tuple(draw(st.permutations(sorted(POOL)))[: draw(st.integers(1, len(POOL)))])
    rows = []
    for number in range(draw(st.integers(1, 4))):
        query, note, place, earlier = (draw(TEXTS) for _ in range(4))
        answer = draw(st.one_of(calls([query, note, place, earlier]), st.sampled_from(list(Refusal))))
        history = (Turn(earlier, draw(calls([earlier]))),)
        rows.append(
            Example(
                id=str(number),
                query=query,
                context={"room": place},
                knowledge=(note,),
                history=history,
                candidates=offered,
                answers=(answer,),
            )
        )
    return rows


def strings(answer):
    values = answer.arguments.values() if isinstance(answer, Call) else ()
    return [one for value in values for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def shown(example):
    return [
        example.query,
        *example.knowledge,
        *example.context.values(),
        *(text for turn in example.history for text in (turn.query, *strings(turn.answer))),
    ]


def back(how):
    return Substitution(
        {other: one for one, other in how.nouns.items()},
        {other: one for one, other in how.names.items()},
        {how.names[name]: {other: one for one, other in each.items()} for name, each in how.parameters.items()},
    )


@settings(max_examples=300)
@given(examples(), st.integers(0, 50))
def test_the_answer_stays_right_and_the_way_back_is_known(rows, seed):
    how = substitution(rows, POOL, Random(seed))
    said, pool = substituted(rows, POOL, Random(seed))
    assert (said, pool) == substituted(rows, POOL, Random(seed))
    assert all(how.names[name] == name or how.names[name] not in POOL for name in how.names)
    assert len(set(how.names.values())) == len(how.names)
    for before, after in zip(rows, said, strict=True):
        assert len(set(after.candidates)) == len(before.candidates)
        pairs = [(before.answers[0], after.answers[0]), (before.history[0].answer, after.history[0].answer)]
        for one, other in pairs:
            if isinstance(one, Refusal):
                assert other is one
                continue
            assert (other.name in after.candidates) == (one.name in before.candidates)
            assert check_call(other, pool) == other, "the arguments are the function's"
        for value, now in zip(strings(before.answers[0]), strings(after.answers[0]), strict=True):
            for text, then in zip(shown(before), shown(after), strict=True):
                assert value not in text or now in then
        assert back(how).example(after, pool) == before
    for name, new in how.names.items():
        assert back(how).function(pool[new]) == POOL[name]
        assert {new: pool[new].parameters} and len(pool[new].parameters) == len(POOL[name].parameters)
        enums = [parameter.enum for parameter in pool[new].parameters.values()]
        assert enums == [parameter.enum for parameter in POOL[name].parameters.values()], "values of enums stay"


def asked(query, *names, **fields):
    return Example(id="1", query=query, candidates=names, answers=(Call(names[0]),), **fields)


def test_nouns_change_everywhere_and_verbs_in_names_alone():
    row = asked("Turn on the Lights, lights!", "turn_on_light", "turn_off_light", knowledge=("desk: light",))
    for seed in range(9):
        (said,), pool = substituted([row], POOL, Random(seed))
        verb, _, noun = said.answers[0].name.rpartition("_")
        assert noun in NOUNS and verb.replace("_", " ") in VERBS["turn on"]
        plural = pool[said.answers[0].name].description.removeprefix(f"Turns on a {noun}; ").rstrip("!")
        assert said.query == f"Turn on the {plural}, {plural.lower()}!" and said.knowledge == (f"desk: {noun}",)
        assert said.candidates[1].endswith(f"_{noun}")


@pytest.mark.parametrize("query", ["the lighting of the light", "a skylight", "light_1 and the light", "no lamp"])
def test_a_noun_that_stands_inside_a_longer_word_or_nowhere_stays(query):
    (said,), _ = substituted([asked(query, "turn_on_light")], POOL, Random(0))
    assert said.query == query and said.answers[0].name.endswith("_light")


def test_a_noun_that_a_query_means_and_does_not_say_stays():
    """Nothing would lead from the dark to a plum; a refusal means none."""
    said = asked("the light", "turn_on_light", "set_fan")
    silent = replace(said, query="it is dark")
    assert not substitution([said, silent], POOL, Random(0)).nouns
    assert substitution([said, replace(silent, answers=(Refusal.UNCLEAR,))], POOL, Random(0)).nouns
    known = replace(silent, history=(Turn("light off", Call("turn_off_light")),))
    assert substitution([said, known], POOL, Random(0)).nouns


def test_what_an_enum_or_the_context_says_stays():
    pool = {"get_shade": Function("get_shade", "", {"kind": Parameter("string", enum=("shade",))})}
    (said,), _ = substituted([asked("is the shade open", "get_shade")], pool, Random(0))
    assert said.query == "is the shade open"
    pool = {"get_room": Function("get_room", "")}
    (said,), _ = substituted([asked("this room", "get_room", context={"room": "hall"})], pool, Random(0))
    assert said.query == "this room" and said.context == {"room": "hall"}


def test_a_synonym_that_begins_a_name_of_the_pool_is_not_taken():
    names = ["set_fan", *(f"{verb}_valve" for verb in VERBS["set"][1:])]
    pool = {name: Function(name, "") for name in names}
    assert {substitution([asked("q", "set_fan")], pool, Random(n)).names["set_fan"] for n in range(9)} == {"adjust_fan"}


def test_a_parameter_keeps_its_name_where_the_other_is_taken():
    found = [substitution([asked("q", "turn_off_light")], POOL, Random(n)).parameters for n in range(20)]
    assert {one["turn_off_light"]["name"] for one in found} == {*PARAMETERS["name"], "name"} - {"target"}
    assert all(one["turn_off_light"]["target"] == "target" for one in found)


def test_a_history_that_calls_what_is_not_offered_speaks_in_the_same_words():
    row = asked("and the light", "turn_on_light", history=(Turn("light off", Call("turn_off_light")),))
    (said,), pool = substituted([row], POOL, Random(0))
    noun = said.answers[0].name.rpartition("_")[2]
    assert said.history[0].query == f"{noun} off" and said.history[0].answer.name.endswith(noun)
    assert said.history[0].answer.name in pool and said.history[0].answer.name not in said.candidates


def test_more_nouns_than_there_are_words_for_stay(monkeypatch):
    monkeypatch.setattr("supertiny.sft.substitute.NOUNS", ("plum",))
    (said,), _ = substituted([asked("light fan", "turn_on_light", "set_fan")], POOL, Random(0))
    assert sorted(said.query.split()) == ["light", "plum"]


def test_the_lists_of_words_say_one_thing_each():
    verbs = [other for others in VERBS.values() for other in others]
    assert not [one for one, other in combinations([*verbs, *VERBS], 2) if one == other]
    assert not [one for one in verbs for other in [*verbs, *VERBS] if one.startswith(f"{other} ")]
    parameters = [other for others in PARAMETERS.values() for other in others]
    assert len({*parameters, *PARAMETERS}) == len(parameters) + len(PARAMETERS)
    assert len(set(NOUNS)) == len(NOUNS) > 150 and not set(NOUNS) & (SMALL | VERB_WORDS | {*parameters, *PARAMETERS})
    assert all(_singular(noun) == noun and noun.isascii() and noun.islower() for noun in NOUNS)


def test_names_keep_the_way_they_are_written():
    names = ["turn_on_fan", "TurnOnFan", "turnOnFans", "turn-on.fan", "TURN_ON_FAN", "fan_turn_on", "turn_on"]
    found = [_renamed(name, {"turn on": "power up"}, {"fan": "plum", "fans": "plums"}) for name in names]
    assert found == [
        "power_up_plum", "PowerUpPlum", "powerUpPlums", "power-up.plum", "POWER_UP_PLUM", "plum_turn_on", "power_up",
    ]  # fmt: skip


def test_rows_without_their_words_are_as_they_were():
    row = replace(asked("\u6253\u5f00\u706f", "\u6253\u5f00_\u706f"), answers=(Refusal.UNCLEAR,))
    (said,), pool = substituted([row], POOL, Random(0))
    assert said == row and set(pool) == set(POOL)
