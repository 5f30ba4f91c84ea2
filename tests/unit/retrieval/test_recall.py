"""Recall@k and Table 5 on rankings that can be counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Refusal
from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.retrieval.config import RetrievalConfig
from supertiny.retrieval.recall import recall, split_recall, table, with_call
from supertiny.retrieval.retrievers import Retriever

NAMES = ["turn_on_light", "turn_off_light", "lock_door", "play_music"]


class Fixed(Retriever):
    """Always the same order."""

    extensible = False

    def scored(self, examples, k=None):
        return [[(name, -float(place)) for place, name in enumerate(NAMES)][:k] for _ in examples]

    def add(self, function): ...


def example(number, *names, tags=(), query="x"):
    return Example(id=f"{number}", query=query, answers=tuple(Call(name) for name in names), tags=tags)


def test_recall_by_hand():
    """Places 0, 2 and none: 1 of 3 within the first and the second, 2 of 3 within three and four."""
    rows = [example(1, "turn_on_light"), example(2, "lock_door"), example(3, "unheard_of")]
    assert recall(rows, [NAMES] * 3, [1, 2, 3, 4]) == {"1": 0.3333, "2": 0.3333, "3": 0.6667, "4": 0.6667}


def test_any_accepted_function_counts():
    """lock_door stands third, turn_off_light second: found from k = 2 on."""
    assert recall([example(1, "lock_door", "turn_off_light")], [NAMES], [1, 2]) == {"1": 0.0, "2": 1.0}


def test_nothing_to_find_is_no_rate():
    assert recall([], [], [5]) == {"5": None}


@given(st.lists(st.tuples(st.permutations(NAMES), st.sampled_from(NAMES)), min_size=1))
def test_recall_grows_with_k_to_one_over_the_whole_pool(rows):
    examples = [example(number, name) for number, (_, name) in enumerate(rows)]
    rates = list(recall(examples, [ranked for ranked, _ in rows], [1, 2, 3, 4]).values())
    assert rates == sorted(rates) and rates[-1] == 1.0


def test_refusals_and_unlabelled_rows_are_not_counted_and_ood_is_split():
    """test: one call, at place 0. ood: places 0 (seen), 3 and 1 (unseen)."""
    refusal = Example(id="r", query="x", answers=(Refusal.NO_FUNCTION,))
    splits = {
        "test": [refusal, Example(id="u", query="x"), example(1, "turn_on_light")],
        "ood": [
            example(2, "turn_on_light", tags=("seen",)),
            example(3, "play_music", tags=("unseen",)),
            example(4, "turn_off_light", tags=("unseen",)),
        ],
    }
    assert [one.id for one in with_call(splits["test"])] == ["1"]
    row = split_recall(Fixed(), splits, [2, 3])
    assert row["n"] == {"test": 1, "ood": 3, "ood_seen": 1, "ood_unseen": 2}
    assert row["recall"] == {
        "test": {"2": 1.0, "3": 1.0},
        "ood": {"2": 0.6667, "3": 0.6667},
        "ood_seen": {"2": 1.0, "3": 1.0},
        "ood_unseen": {"2": 0.5, "3": 0.5},
    }
    assert row["extensible"] is False


CONFIG = RetrievalConfig(cutoffs=[1, 2], instruction="light ", detail="name")
SPLITS = {
    "test": [example(1, "lock_door", query="lock"), example(2, "play_music", query="sing")],
    "ood": [example(3, "turn_on_light", query="door", tags=("seen",))],
}


def test_table_has_a_row_a_retriever_and_all_are_of_the_rows_that_are_described(pool, embed):
    """`play music` finds play_music at once; `light play music` has cosine 2/sqrt(6) with it, 1/sqrt(9) with a light.

    The query `sing` shares no word: it is (1,..)/3, nearest to the documents of three words, and misses music at k = 1;
    the query `lock` finds lock_door at once. So query_name finds 1 of 2 without descriptions, none of the 1 with them.
    """
    rows = table(Fixed(), embed, pool, SPLITS, {"zero_shot": {"2": "play music"}}, CONFIG)
    assert list(rows) == [
        "classifier",
        "query_name",
        "query_description",
        "query_parameters",
        "dialogue",
        "zero_shot",
        "zero_shot_instructed",
    ]
    assert all(row["n"] == {"test": 1} for row in rows.values())
    assert rows["query_name"]["recall"]["test"] == {"1": 0.0, "2": 0.0}
    assert rows["zero_shot"] == {"extensible": True, "recall": {"test": {"1": 1.0, "2": 1.0}}, "n": {"test": 1}}
    assert rows["zero_shot_instructed"]["recall"]["test"] == {"1": 1.0, "2": 1.0}
    assert {name: row["extensible"] for name, row in rows.items()} == dict.fromkeys(rows, True) | {"classifier": False}
    bare = table(Fixed(), embed, pool, SPLITS, {}, CONFIG)
    assert set(bare) == set(rows) - {"zero_shot", "zero_shot_instructed"}
    assert bare["query_name"]["recall"]["test"] == {"1": 0.5, "2": 0.5} and bare["query_name"]["n"]["test"] == 2


def test_with_several_writers_rows_are_those_that_all_describe(pool, embed):
    """One describes 1 and 2, the other 2 and 3: every row is of 2 alone."""
    one, two = (dict.fromkeys(ids, "play music") for ids in ("12", "23"))
    rows = table(Fixed(), embed, pool, SPLITS, {"zero_shot": one, "optimized": two}, CONFIG)
    assert all(row["n"] == {"test": 1} for row in rows.values())
    assert list(rows)[-4:] == ["zero_shot", "zero_shot_instructed", "optimized", "optimized_instructed"]


@pytest.mark.parametrize(("key", "value"), [("cutoffs", []), ("cutoffs", [5, 0]), ("detail", "everything")])
def test_bad_parameters_are_named(key, value):
    good = {"cutoffs": [5], "instruction": "", "detail": "name"}
    with pytest.raises(UserError, match=key):
        RetrievalConfig(**(good | {key: value}))
