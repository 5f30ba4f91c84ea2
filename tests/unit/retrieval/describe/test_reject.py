"""Algorithm 1 with scripted models: what is kept, what is counted, and that nothing is asked twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.ask import ChatConfig, DecodeConfig, Generation
from supertiny.core.calls import Call, Fault, Malformed, Refusal, Syntax, answer_text, parse_reply
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.judge.reference import Verdict, by_reference
from supertiny.model.answer import Replies
from supertiny.retrieval.config import DescribeConfig, DescriberConfig, DescribeSizes, RejectConfig
from supertiny.retrieval.describe import Describer
from supertiny.retrieval.index import FunctionIndex
from supertiny.retrieval.reject import Attempt, attempt, calls_by, counts, pairs_to_learn, rank_in, sampled_and_labelled

SAMPLED = ChatConfig(temperature=0.8, max_new_tokens=8)
CONFIG = RejectConfig(candidates=3, keep_within=2, chat=SAMPLED)
LIGHT, FAN, LOCK, MUSIC = "turn_on_light", "start_fan", "lock_door", "play_music"

NEAREST = {"first": [LOCK, FAN, LIGHT], "third": [FAN, MUSIC, LOCK], "without": [LIGHT, FAN, MUSIC]}
WRITTEN = {"lock": '{"name":"lock_door","arguments":{}}', "fan": '{"name":"start_fan","arguments":{}}'}


class Script:
    """Ranks each description by its first word, and calls what its second word says."""

    def __init__(self, *texts):
        self.texts, self.ranked, self.asked = texts, [], []

    def rank(self, texts, k):
        self.ranked += texts
        return [NEAREST[text.split()[0]][:k] for text in texts]

    def call(self, examples):
        self.asked += examples
        said = [text.split()[1] for text in self.ranked]
        offered = [{name: self.pool[name] for name in example.candidates} for example in examples]
        pairs = zip(said, offered, strict=True)
        return [parse_reply(WRITTEN.get(word, word), names, Syntax.json) for word, names in pairs]

    def attempts(self, pool, query, judge=by_reference):
        self.pool = pool
        return attempt([query], [self.texts], self.rank, self.call, judge, pool, CONFIG)


def test_kept_are_right_calls_of_one_of_the_nearest(pool, need):
    """Within 2 of 3: `first lock` is right and first; `third lock` is right but third; `first fan` is near but wrong.

    `first nonsense` cannot be read; `without lock` calls what was not offered.
    """
    script = Script("first lock", "third lock", "first fan", "first nonsense", "without lock")
    tried = script.attempts(pool, need(1, LOCK))
    assert [one.right for one in tried] == [True, True, False, False, False]
    assert [one.kept(2) for one in tried] == [True, False, False, False, False]
    assert [one.kept(3) for one in tried] == [True, True, False, False, False]
    assert tried[3].reply.fault is Fault.NOT_JSON and tried[4].reply.fault is Fault.UNKNOWN_FUNCTION
    assert pairs_to_learn(tried, [], pool, CONFIG) == [{"id": "1", "description": "first lock"}]


def test_the_called_function_counts_not_the_reference(pool, need):
    """A judge that finds the fan right too: the fan is second for `first fan`, first for `third fan`."""
    tried = Script("first fan", "third fan").attempts(
        pool, need(1, LOCK), lambda asked, replies: [Verdict(True, None, False) for _ in asked]
    )
    assert [(one.kept(1), one.kept(2)) for one in tried] == [(False, True), (True, True)]


def test_a_refusal_keeps_no_description_whatever_the_judge_says(pool, need):
    one = Attempt(need(1, LOCK), "x", (LOCK,), Refusal.NO_FUNCTION, True)
    assert not one.kept(5)


def test_calls_choose_from_what_was_found_in_the_order_of_the_pool(pool, need):
    script = Script("first lock", "third lock")
    script.attempts(pool, need(1, LOCK, candidates=(MUSIC,)))
    assert [one.candidates for one in script.asked] == [(LIGHT, FAN, LOCK), (FAN, LOCK, MUSIC)]


def test_an_empty_description_is_not_tried_and_an_equal_one_once(pool, need):
    script = Script("", "first lock", "first lock", "")
    tried = script.attempts(pool, need(1, LOCK))
    assert script.ranked == ["first lock"] and len(tried) == 1
    found = counts([script.texts], tried, 0, CONFIG)
    assert {key: found[key] for key in ("described", "empty", "different", "kept")} == {
        "described": 4, "empty": 2, "different": 1, "kept": 1,
    }  # fmt: skip


def test_counts_by_hand(pool, need):
    """Query 1 needs the lock, 2 the fan; of five descriptions, the reference is within the nearest 2 in three."""
    one = Script("first lock", "third lock", "without lock").attempts(pool, need(1, LOCK))
    two = Script("third fan", "first lock").attempts(pool, need(2, FAN))
    assert counts([["a"] * 3, ["b"] * 2], one + two, 7, CONFIG) == {
        "queries": 2,
        "described": 5,
        "empty": 0,
        "different": 5,
        "reference_within": 3,
        "reference_within_share": 0.6,
        "right": 3,
        "kept": 2,
        "queries_with_kept": 2,
        "labelled": 7,
        "by_function": {LOCK: {"tried": 3, "kept": 1}, FAN: {"tried": 2, "kept": 1}},
    }


def test_nothing_tried_is_no_share(pool):
    assert attempt([], [], lambda texts, k: [], lambda asked: [], by_reference, pool, CONFIG) == []
    assert counts([], [], 0, CONFIG)["reference_within_share"] is None


def test_labelled_queries_join_with_the_document_of_their_function(pool, need):
    lines = pairs_to_learn([], [need(1, LOCK), need(2, MUSIC)], pool, CONFIG)
    assert lines == [{"id": "1", "description": "Locks a door"}, {"id": "2", "description": "play music"}]


REPLIES = st.sampled_from([Call(LOCK), Call(FAN), Refusal.UNCLEAR, Malformed(Fault.NOT_JSON, "", Call(LOCK))])


@given(st.permutations([LIGHT, FAN, LOCK, MUSIC]), REPLIES, st.booleans(), st.integers(1, 4))
def test_kept_iff_right_and_near(nearest, reply, right, within):
    near = isinstance(reply, Call) and nearest.index(reply.name) < within
    assert Attempt(None, "x", tuple(nearest), reply, right).kept(within) == (right and near)


def test_a_killed_run_asks_neither_description_nor_call_again(pool, need, embed, tmp_path, monkeypatch):
    """Four queries, two samples each, shards of two: the run dies in the calls; the second one asks what is left."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    queries = [need(number, LOCK) for number in range(4)]
    rank = rank_in(FunctionIndex(embed, pool.values(), "name"))

    def whole(dies_after=None):
        asked = {"describe": [], "call": []}

        def describe(chats, cfg):
            asked["describe"] += chats
            return [Generation(f"locks door {chat.messages[-1][1]} {chat.sample}", 1, 1, 1) for chat in chats]

        def make(wanted, cfg):
            if dies_after is not None and len(asked["call"]) >= dies_after:
                raise KeyboardInterrupt
            asked["call"] += wanted
            return [Generation(answer_text(Call(LOCK)), 1, 1, 1) for _ in wanted]

        cfg = DescribeConfig(num_examples=0, max_chars=99, chat=SAMPLED)
        writer = Describer(pool=pool, shown=[], ask=Replies("llm", describe, 2).ask, cfg=cfg)
        kept = Replies("caller", make, 2)
        prompt = PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=0, answer=Syntax.json)
        decode = DecodeConfig(constrained=True, max_new_tokens=9)

        def run():
            sampled = writer.sample(queries, 2, SAMPLED)
            call = calls_by(kept, pool, prompt, decode)
            return attempt(queries, sampled, rank, call, by_reference, pool, CONFIG)

        return run, asked

    run, first = whole(dies_after=2)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(first["describe"]) == 8 and len(first["call"]) == 2
    run, second = whole()
    tried = run()
    assert not second["describe"] and not set(map(repr, second["call"])) & set(map(repr, first["call"]))
    # the two samples of a query find the same functions, so they ask for one call
    assert len(first["call"]) + len(second["call"]) == 4 and len(tried) == 8
    run, third = whole()
    assert run() == tried and third == {"describe": [], "call": []}


SIZES = {"test": 1, "ood": 1, "queries": 1, "samples": 1, "labelled": 0, "shard": 1}
TRAINING = {"epochs": 1, "group_size": 1, "groups_a_step": 1, "frozen": None, "fit": None}


@pytest.mark.parametrize(
    ("queries", "labelled", "first", "then"),
    [(2, 1, "02", "3"), (0, 9, "0234", ""), (3, 0, "023", ""), (1, 9, "0", "234")],
)
def test_labelled_queries_come_after_the_sampled_ones_and_refusals_are_neither(need, queries, labelled, first, then):
    """Query 1 is refused; 0 queries are all of them."""
    rows = [need(number, LOCK) for number in range(5)]
    rows[1] = Example(id="1", query="query 1", answers=(Refusal.UNCLEAR,))
    sizes = DescribeSizes(**(SIZES | {"queries": queries, "labelled": labelled}))
    found = sampled_and_labelled(rows, sizes)
    assert ["".join(row.id for row in part) for part in found] == [first, then]


@pytest.mark.parametrize(
    ("schema", "good", "key", "value"),
    [
        (DescribeConfig, {"num_examples": 0, "max_chars": 1, "chat": SAMPLED}, "num_examples", -1),
        (DescribeConfig, {"num_examples": 0, "max_chars": 1, "chat": SAMPLED}, "max_chars", 0),
        (RejectConfig, {"candidates": 3, "keep_within": 3, "chat": SAMPLED}, "keep_within", 4),
        (RejectConfig, {"candidates": 3, "keep_within": 3, "chat": SAMPLED}, "keep_within", 0),
        (
            RejectConfig,
            {"candidates": 3, "keep_within": 3},
            "chat",
            ChatConfig(temperature=0.0, max_new_tokens=1),
        ),
        *((DescriberConfig, TRAINING, key, 0) for key in ("epochs", "group_size", "groups_a_step")),
        *((DescribeSizes, SIZES, key, -1) for key in SIZES),
        *((DescribeSizes, SIZES, key, 0) for key in ("samples", "shard")),
    ],
)
def test_bad_parameters_are_named(schema, good, key, value):
    with pytest.raises(UserError, match=key):
        schema(**(good | {key: value}))
