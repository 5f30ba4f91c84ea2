"""Sharing candidates: nothing is lost, nothing is offered that would make an answer wrong."""

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, Turn
from supertiny.model.batches import micro_batches, steps
from supertiny.sft.groups import Group, drop_function, group, rename_functions
from supertiny.sft.packs import pack

NAMES = ["a", "b", "c", "d", "e"]
POOL = {name: Function(name, f"Does {name}", {"x": Parameter("integer"), "y": Parameter("string")}) for name in NAMES}
PROMPT = PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json)


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
                # it keeps its own candidates: under others the function it lacks might be there
                assert example.candidates == own[example.id]


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


@given(examples(), st.integers(0, 5))
def test_renamed_functions_keep_documents_and_queries_keep_their_function(rows, seed):
    pool = {f"{name}_of_{name * 2}": f for name, f in POOL.items()}
    pool = {name: replace(f, name=name) for name, f in pool.items()}
    long = {name.split("_")[0]: name for name in pool}
    for one in group(rows, 4, Random(seed)):
        one = Group(
            tuple(
                replace(
                    e,
                    candidates=tuple(long[c] for c in e.candidates),
                    answers=tuple(Call(long[a.name]) if isinstance(a, Call) else a for a in e.answers),
                    history=(Turn("earlier", Call(long["a"])),),
                )
                for e in one.examples
            )
        )
        renamed, functions = rename_functions(one, pool, Random(seed))
        for before, after in zip(one.examples, renamed.examples, strict=True):
            assert len(set(after.candidates)) == len(before.candidates)
            new_name = dict(zip(before.candidates, after.candidates, strict=True))
            for old, new in new_name.items():
                assert functions[new].name == new
                assert functions[new].description == pool[old].description
                assert sorted(new.split("_")) == sorted(old.split("_"))
            if isinstance(before.answers[0], Call):
                assert after.answers[0].name == new_name[before.answers[0].name]
            else:
                assert after.answers == before.answers
            assert after.history[0].answer.name == new_name.get(long["a"], long["a"])


def test_the_pool_itself_keeps_its_names():
    """A renamed function never takes the name of another one of the pool."""
    pool = {"a_b": Function("a_b", "one"), "b_a": Function("b_a", "other")}
    row = Example(id="1", query="q", candidates=("a_b", "b_a"), answers=(Call("a_b"),))
    for seed in range(8):
        renamed, functions = rename_functions(Group((row,)), pool, Random(seed))
        assert renamed.examples[0].candidates == ("a_b", "b_a")
        assert functions["a_b"].description == "one"
