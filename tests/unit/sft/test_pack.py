"""Sharing candidates: nothing is lost, nothing is offered that would make an answer wrong."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example
from supertiny.model.batches import micro_batches, steps
from supertiny.sft.groups import Group, ListConfig, PackConfig, drawn, drop_function
from supertiny.sft.packs import pack

NAMES = ["a", "b", "c", "d", "e"]
POOL = {name: Function(name, f"Does {name}", {"x": Parameter("integer"), "y": Parameter("string")}) for name in NAMES}
PROMPT = PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json)
PACK = PackConfig(
    group_size=4, whole=1.0, list=ListConfig(least=2, most=3), substitution=0.0, function_dropout=0.0, general=0.0
)


def group(rows, size, rng):
    return [one for one, _ in drawn(rows, POOL, replace(PACK, group_size=size), rng)]


@st.composite
def examples(draw):
    rows = []
    for number in range(draw(st.integers(1, 30))):
        answer = draw(st.sampled_from([*NAMES, Refusal.NO_FUNCTION, Refusal.UNCLEAR]))
        tags = draw(st.sampled_from([(), ("out_of_scope",)])) if answer is Refusal.NO_FUNCTION else ()
        offered = draw(st.permutations(NAMES))[:3]
        if answer in NAMES and answer not in offered:
            offered[0] = answer
        right = Call(answer, {}) if answer in NAMES else answer
        rows.append(Example(id=str(number), query="q", candidates=tuple(offered), answers=(right,), tags=tags))
    return rows


@given(examples(), st.integers(1, 6), st.integers(0, 5))
def test_every_example_once_under_candidates_that_hold_its_function(rows, size, seed):
    groups = group(rows, size, Random(seed))
    members = [example for one in groups for example in one.examples]
    assert sorted(example.id for example in members) == sorted(example.id for example in rows)
    assert all(len(one.examples) <= size for one in groups)
    own = {example.id: example.candidates for example in rows}
    for one in groups:
        for example in one.examples:
            assert example.candidates == one.examples[0].candidates == own[one.examples[0].id]
            if isinstance(example.answers[0], Call):
                assert example.answers[0].name in example.candidates
            elif example.answers[0] is Refusal.NO_FUNCTION and not example.tags:
                # under others than its own the function it lacks might be there
                assert set(example.candidates) <= set(own[example.id])


@given(examples(), st.integers(1, 6), st.integers(1, 3), st.integers(0, 2), st.integers(0, 5))
def test_a_drawn_list_holds_what_its_rows_need_and_nothing_that_they_do_not_bring(rows, size, least, more, seed):
    lists = ListConfig(least=least, most=least + more)
    groups = [one for one, _ in drawn(rows, POOL, replace(PACK, group_size=size, whole=0.0, list=lists), Random(seed))]
    assert sorted(example.id for one in groups for example in one.examples) == sorted(example.id for example in rows)
    own = {example.id: example.candidates for example in rows}
    for one in groups:
        offered, brought = one.examples[0].candidates, own[one.examples[0].id]
        assert set(offered) <= set(brought) and len(set(offered)) == len(offered)
        assert lists.least <= len(offered) <= lists.most if len(brought) > lists.least else len(offered) == len(brought)
        for example in one.examples:
            assert example.candidates == offered
            if isinstance(example.answers[0], Call):
                assert example.answers[0].name in offered
            elif example.answers[0] is Refusal.NO_FUNCTION and not example.tags:
                assert set(offered) <= set(own[example.id])


def test_a_row_that_brings_fewer_than_the_least_keeps_them_and_their_words():
    row = Example(id="1", query="do b", candidates=("b", "a"), answers=(Call("b", {}),))
    changed = replace(PACK, whole=0.0, list=ListConfig(least=3, most=4), substitution=1.0)
    assert list(drawn([row], POOL, changed, Random(0))) == [(Group((row,)), POOL)]


def test_half_of_the_groups_are_whole_and_every_draw_is_the_seeds():
    rows = [Example(id=str(n), query="q", candidates=tuple(NAMES), answers=(Call("abcde"[n % 5]),)) for n in range(800)]

    def draw(seed):
        return [one.examples[0].candidates for one, _ in drawn(rows, POOL, replace(PACK, whole=0.5), Random(seed))]

    lists = draw(1)
    assert lists == draw(1) != draw(2)
    assert 70 < sum(one == tuple(NAMES) for one in lists) < 130
    assert len({one for one in lists if len(one) < 5}) > 30, "they come in any order"


def test_as_they_are_nothing_is_changed():
    changed = replace(PACK, whole=0.1, substitution=1.0, function_dropout=1.0, general=1.0)
    assert changed.as_they_are() == replace(PACK, general=0.0)
    assert list(drawn([], POOL, changed, Random(0))) == []


def test_a_pack_reads_as_each_example_alone():
    rows = [
        Example(id="1", query="do a", context={"room": "den"}, candidates=("a", "b"), answers=(Call("a", {"y": "z"}),)),
        Example(id="2", query="do b", candidates=("b", "a"), answers=(Call("b", {"y": "z", "x": 1}),)),
    ]
    (one,) = group(rows, 2, Random(0))
    packed = pack(one, POOL, lambda text: list(text.encode()), 0, PROMPT)
    texts = {
        bytes(packed.prefix + branch.prompt).decode(): bytes(branch.response[:-1]).decode()
        for branch in packed.branches
    }
    order = "a(x?, y?)\nb(x?, y?)\n" if one.examples[0].id == "1" else "b(x?, y?)\na(x?, y?)\n"
    assert texts == {
        f"Functions:\n{order}room: den\nQuery: do a\nAnswer:": ' {"name":"a","arguments":{"y":"z"}}',
        f"Functions:\n{order}Query: do b\nAnswer:": ' {"name":"b","arguments":{"x":1,"y":"z"}}',
    }
    assert all(branch.response[-1] == 0 for branch in packed.branches)


class Sized(int):
    def __len__(self):
        return int(self)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(10, 120))
def test_micro_batches_hold_every_pack_and_keep_the_bound(sizes, max_tokens):
    batches = micro_batches([Sized(size) for size in sizes], max_tokens)
    assert sorted(size for batch in batches for size in batch) == sorted(sizes)
    assert all(len(batch) == 1 or len(batch) * max(batch) <= max_tokens for batch in batches)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(10, 2000), st.integers(1, 9))
def test_a_step_has_a_micro_batch_for_every_process_where_it_has_packs_enough(sizes, max_tokens, processes):
    batches = micro_batches([Sized(size) for size in sizes], max_tokens, processes)
    assert len(batches) >= min(processes, len(sizes)) and all(batches)
    assert sorted(size for batch in batches for size in batch) == sorted(sizes)
    assert all(len(batch) == 1 or len(batch) * max(batch) <= max_tokens for batch in batches)


def test_every_epoch_sees_every_pack_once():
    packs = [Sized(size) for size in range(1, 11)]
    plan = steps(packs, 4, 1000, 2, Random(0))
    assert len(plan) == 6
    for epoch in (plan[:3], plan[3:]):
        assert sorted(pack for step in epoch for micro in step for pack in micro) == packs


def test_refusals_are_as_frequent_in_early_groups_as_in_the_data():
    """They once came first in a group or not at all, so a run cut short hardly saw one."""
    rows = [
        Example(
            id=str(number),
            query="q",
            candidates=("a", "b"),
            answers=(Refusal.UNCLEAR if number % 10 == 0 else Call("ab"[number % 2], {}),),
        )
        for number in range(3000)
    ]
    early = [example for one in group(rows, 6, Random(0))[:100] for example in one.examples]
    share = sum(example.answers[0] is Refusal.UNCLEAR for example in early) / len(early)
    assert 0.07 < share < 0.13


@given(examples(), st.integers(0, 5))
def test_without_a_function_nobody_calls_it_and_only_its_queries_change(rows, seed):
    for one in group(rows, 4, Random(seed)):
        less = drop_function(one, Random(seed))
        gone = set(one.examples[0].candidates) - set(less.examples[0].candidates)
        assert len(gone) <= 1
        for before, after in zip(one.examples, less.examples, strict=True):
            assert after.candidates == less.examples[0].candidates
            first = before.answers[0]
            if isinstance(first, Call) and first.name in gone:
                assert after.answers == (Refusal.NO_FUNCTION,)
            else:
                assert after.answers == before.answers


def test_a_query_that_another_function_serves_keeps_being_served():
    twin = Example(
        id="1", query="q", candidates=("a", "b"), answers=(Call("a", {}), Call("a", {"x": 1}), Call("b", {}))
    )
    assert drop_function(Group((twin,)), Random(0)).examples[0].answers == (Call("b", {}),)


def test_refusals_alone_are_grouped_too():
    """Nothing to join by function: the search for members must end."""
    rows = [Example(id=str(n), query="q", candidates=("a",), answers=(Refusal.UNCLEAR,)) for n in range(5)]
    assert sorted(len(one.examples) for one in group(rows, 2, Random(0))) == [1, 2, 2]
