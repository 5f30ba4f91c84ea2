"""What the description model is asked, and what is made of its reply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.ask import ChatConfig, Generation
from supertiny.core.calls import Call, Refusal
from supertiny.core.errors import UserError
from supertiny.core.records import Example, Turn
from supertiny.retrieval.config import DescribeConfig
from supertiny.retrieval.describe import GUIDELINES, Describer, cleaned, description_chat, examples_to_show

GREEDY = ChatConfig(temperature=0.0, max_new_tokens=8)
CONFIG = DescribeConfig(num_examples=1, max_chars=20, chat=GREEDY)


def test_the_chat_shows_examples_with_their_documents_and_then_the_query_with_all_it_brings(pool, need):
    asked = Example(
        id="q",
        query="there too",
        context={"room": "hall"},
        knowledge=("moon: a light",),
        history=(Turn("lock it", Call("lock_door")), Turn("hm", Refusal.UNCLEAR)),
    )
    chat = description_chat(asked, [need(1, "lock_door"), need(2, "play_music")], pool, sample=3)
    assert chat.messages == (
        ("system", GUIDELINES),
        ("user", "Query: query 1"),
        ("assistant", "Locks a door"),
        ("user", "Query: query 2"),
        ("assistant", "play music"),
        (
            "user",
            'room: hall\nNote: moon: a light\nEarlier: lock it\nAnswer: {"name":"lock_door","arguments":{}}\n'
            "Earlier: hm\nAnswer: Request unclear\nQuery: there too",
        ),
    )
    assert (chat.sample, chat.schema) == (3, None)


def test_the_chat_never_holds_the_answer_it_asks_about(pool, need):
    hidden = [description_chat(need(1, name), [], pool) for name in pool]
    assert len(set(hidden)) == 1


def test_shown_examples_call_different_functions_and_are_the_same_for_one_seed(pool, need):
    """Six rows of three functions and one refusal: three can be shown, four cannot."""
    expert = [need(n, ("turn_on_light", "lock_door", "play_music")[n % 3]) for n in range(6)]
    expert.append(Example(id="r", query="x", answers=(Refusal.NO_FUNCTION,)))
    shown = examples_to_show(expert, pool, 3, seed=1)
    assert {one.answers[0].name for one in shown} == {"turn_on_light", "lock_door", "play_music"}
    assert examples_to_show(expert, pool, 3, seed=1) == shown and examples_to_show(expert, pool, 2, seed=1) == shown[:2]
    assert examples_to_show(expert, pool, 0, seed=1) == []
    with pytest.raises(UserError, match="describe.num_examples: 4, but the expert set calls 3 functions"):
        examples_to_show(expert, pool, 4, seed=1)


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("", ""),
        (" \n\t\n", ""),
        ('""', ""),
        ("Locks  a\tdoor\nand more", "Locks a door"),
        ('\n "Locks a door" ', "Locks a door"),
        ("- Locks a door", "Locks a door"),
        ("Locks the front door of it", "Locks the front door"),
        ("Locksthefrontdoorofthehouse", "Locksthefrontdooroft"),
        ("half \ud83d pair", "half ? pair"),
    ],
)
def test_a_reply_is_one_bounded_line(reply, line):
    assert cleaned(reply, 20) == line


@given(st.text(), st.integers(1, 30))
def test_whatever_is_replied_a_line_can_be_written(reply, most):
    line = cleaned(reply, most)
    assert len(line) <= most and len(line.splitlines()) <= 1
    line.encode("utf-8")


def describer(pool, *replies):
    said = iter(replies)
    return Describer(
        pool=pool,
        shown=[],
        ask=lambda chats, cfg, progress: [Generation(next(said), 1, 1, 1) for _ in chats],
        cfg=CONFIG,
    )


def test_where_the_model_says_nothing_the_query_stands_for_itself(pool, need):
    asked = [need(1, "lock_door"), need(2, "lock_door")]
    assert describer(pool, "\n", "Locks it\n").describe(asked) == ["query 1", "Locks it"]


def test_samples_come_by_query_and_empty_ones_stay_empty(pool, need):
    asked = [need(1, "lock_door"), need(2, "lock_door")]
    assert describer(pool, "a", "", "c", "d").sample(asked, 2, GREEDY) == [["a", ""], ["c", "d"]]
