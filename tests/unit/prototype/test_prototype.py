"""The full prompt, its in-context examples, its replies, and what one change at a time does."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.ask import ChatConfig, Generation
from supertiny.core.calls import Call, Fault, Function, Malformed, Parameter, Refusal
from supertiny.core.chat_prompt import full_chat, parse_full, reply_schema, reply_text
from supertiny.core.errors import UserError
from supertiny.core.records import Example, Turn
from supertiny.prototype.ablation import ablate, fewer
from supertiny.prototype.config import ChangeConfig, PrototypeConfig
from supertiny.prototype.prototype import Prototype, fixed, nearest, parsed, remembered

POOL = {
    "dim": Function("dim", "Dims a light", {"level": Parameter("integer", required=True), "area": Parameter("string")}),
    "lock": Function("lock", "Locks a door"),
    "wait": Function("wait", "Waits"),
}
CFG = PrototypeConfig(
    examples="nearest", num_examples=1, thought=False, documents="description", knowledge=True, constrained=True,
    chat=ChatConfig(temperature=0.0, max_new_tokens=50),
)  # fmt: skip


def ask(name, query, answer=Refusal.UNCLEAR, **more):
    return Example(id=name, query=query, candidates=("dim", "lock"), answers=(answer,), **more)


EXPERT = [ask("e1", "dim it", Call("dim", {"level": 5})), ask("e2", "lock up", Call("lock")), ask("e3", "do it")]


def letters(texts):
    """Embeds by the letters of the query."""
    found = np.array([[text.split(" | ")[0].count(chr(97 + i)) for i in range(26)] for text in texts], dtype=float)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_the_conversation_shows_examples_then_functions_context_and_query():
    example = ask("1", "dim the troll", context={"room": "hall"}, knowledge=("the troll: a lamp",))
    turn = replace(example, history=(Turn("hello", Refusal.UNCLEAR), Turn("lock", Call("lock"))))
    chat = full_chat(turn, EXPERT[:2], POOL, thought=False, documents="description", constrained=True)
    assert [role for role, _ in chat.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert chat.messages[2][1] == '{"answer":{"name":"dim","arguments":{"level":5}}}'
    assert chat.messages[0][1].endswith("Functions:\ndim(level, area?): Dims a light\nlock(): Locks a door")
    assert chat.messages[-1][1] == (
        "room: hall\nNote: the troll: a lamp\nEarlier: hello\nAnswer: Request unclear\n"
        'Earlier: lock\nAnswer: {"name":"lock","arguments":{}}\nQuery: dim the troll'
    )
    assert full_chat(turn, [], POOL, thought=False, documents="signature", constrained=False).schema is None


@pytest.mark.parametrize("thought", [True, False])
@pytest.mark.parametrize("answer", [Call("dim", {"level": 5, "area": 'the "lab"'}), Call("lock"), *Refusal])
def test_what_the_examples_show_is_what_is_read(answer, thought):
    text = reply_text(answer, POOL, thought)
    assert parse_full(text, POOL) == answer
    assert list(json.loads(text)) == list(reply_schema(list(POOL.values()), thought)["properties"])


def test_the_schema_has_the_name_before_the_arguments():
    """A model writes what it calls before it writes with what."""
    chat = full_chat(ask("1", "q"), [], POOL, thought=True, documents="description", constrained=True)
    schema = json.loads(chat.schema)
    assert list(schema["properties"]) == ["thought", "answer"]
    assert list(schema["properties"]["answer"]["anyOf"][0]["properties"]) == ["name", "arguments"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", Fault.NOT_JSON),
        ('{"thought":"x"}', Fault.NOT_A_CALL),
        ('{"answer":"Request unclear","more":1}', Fault.NOT_A_CALL),
        ('{"answer":{"name":"fly","arguments":{}}}', Fault.UNKNOWN_FUNCTION),
        ('{"answer":{"name":"dim","arguments":{}}}', Fault.MISSING_PARAMETER),
        ('{"answer":"Request unclear","answer":"Request unclear"}', Fault.DUPLICATE_KEY),
        ('"Request unclear"', Fault.NOT_A_CALL),
    ],
)
def test_what_is_wrong_with_a_reply_is_named(text, fault):
    assert parse_full(text, POOL).fault is fault


@given(st.text(max_size=200))
def test_no_reply_ever_raises(text):
    assert isinstance(parse_full(text, POOL), Call | Refusal | Malformed)


def test_the_nearest_example_stands_last():
    (found,) = nearest([ask("1", "locked")], EXPERT, 2, letters)
    assert found[-1].id == "e2" and len(found) == 2


def test_the_same_texts_are_embedded_once_and_some_of_them_with_others_anew():
    """As from nothing: a vector is rounded by its batch, so none comes out of another one."""
    asked = []

    def count(texts):
        asked.append(sorted(set(texts)))
        return letters(texts) + len(set(texts))

    embed = remembered(count)
    for texts in (["a", "b", "a"], ["b", "a"], ["b", "c"], ["b"]):
        assert np.array_equal(embed(texts), letters(texts) + len(set(texts)))
    assert asked == [["a", "b"], ["b", "c"], ["b"]]


def test_fixed_examples_are_the_same_for_every_query_and_seed():
    queries = [ask(str(n), "q") for n in range(3)]
    first, second = fixed(queries, EXPERT, 2, 7), fixed(queries, EXPERT, 2, 7)
    assert first == second and first[0] is first[2] and len({one.id for one in first[0]}) == 2
    with pytest.raises(UserError, match=r"num_examples: 4.*has 3"):
        fixed(queries, EXPERT, 4, 7)


class Model:
    """Calls the first function offered, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, chats, cfg, progress):
        self.asked.append(chats)
        return [Generation('{"answer":{"name":"lock","arguments":{}}}', 10, 10, 5) for _ in chats]


def prototype(**changes):
    model = Model()
    cfg = replace(CFG, **changes)
    return model, Prototype(pool=POOL, expert=EXPERT, embed=letters, ask=model, cfg=cfg, seed=0)


def test_without_knowledge_no_note_is_shown():
    example = ask("1", "dim", knowledge=("the troll: a lamp",))
    assert "troll" in str(prototype()[1].chats([example]))
    assert "troll" not in str(prototype(knowledge=False)[1].chats([example]))


def test_a_query_without_candidates_is_named_before_anything_is_asked():
    model, one = prototype()
    with pytest.raises(UserError, match="'x9'.*candidates"):
        one.answer([Example(id="x9", query="q")], "x")
    assert not model.asked


def test_each_variant_changes_one_thing_and_is_rated_on_the_same_queries():
    """The model always locks: right on one of two queries, whatever it is shown."""
    queries = [ask("1", "lock", Call("lock")), ask("2", "dim", Call("dim", {"level": 1}), tags=("knowledge",))]
    model, one = prototype()
    variants = {"two": ChangeConfig(num_examples=2), "one_function": ChangeConfig(candidates=1)}
    found = ablate(one, queries, variants, seed=0)
    assert [found[name]["ar"] for name in ("chosen", "two", "one_function")] == [0.5, 0.5, 0.5]
    assert found["two"]["change"] == {"num_examples": 2} and found["chosen"]["change"] == {}
    assert [len(chats[0].messages) for chats in model.asked] == [4, 6, 4]
    assert found["chosen"]["needing_knowledge"] == {"n": 1, "ar": 0.0}
    assert [found[name]["right"] for name in found] == [{"1": True, "2": False}] * 3


def test_a_variant_is_asked_what_it_changes_whatever_other_variants_there_are():
    model, one = prototype()
    queries = [ask("1", "lock"), ask("2", "dim", knowledge=("it: a lamp",))]
    bare = {name: ChangeConfig(knowledge=False) for name in ("bare", "as_bare")}
    ablate(one, queries, bare, seed=0)
    assert [len(chats) for chats in model.asked] == [2, 1, 1] and model.asked[1] == model.asked[2]


def test_a_bad_variant_is_an_error_before_anything_is_asked():
    model, one = prototype()
    with pytest.raises(UserError, match="num_examples"):
        ablate(one, [ask("1", "q")], {"bad": ChangeConfig(num_examples=-1)}, seed=0)
    assert not model.asked


def test_fewer_candidates_keep_what_is_needed_in_its_place():
    query = replace(ask("1", "q", Call("wait")), candidates=("dim", "lock", "wait"))
    assert fewer([query], 2)[0].candidates == ("dim", "wait")
    assert fewer([query], None) == [query]


def test_replies_are_read_against_the_functions_offered():
    found = parsed(
        [replace(ask("1", "q"), candidates=("dim",))],
        [Generation('{"answer":{"name":"lock","arguments":{}}}', 1, 1, 1)],
        POOL,
    )
    assert found[0].fault is Fault.UNKNOWN_FUNCTION
