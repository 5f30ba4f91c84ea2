"""Rates and differences of systems on the same queries, and how sure they are, on verdicts counted by hand."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Refusal
from supertiny.core.records import Example
from supertiny.core.stats import interval, mean_interval
from supertiny.judge.reference import judge
from supertiny.measure.compare import (
    Answered,
    Compressed,
    bare,
    cluster,
    clusters,
    difference,
    effective,
    kept,
    rated,
    rates,
    smallest_within,
    splits,
    wilson,
)

IDS = {str(number): f"template {number}" for number in range(10)}
"""queries, each of a template of its own"""
VERDICTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=1, max_size=60)


def verdicts(right, of=IDS):
    """The first `right` of the queries are answered right."""
    return {one: at < right for at, one in enumerate(of)}


def test_what_is_kept_by_hand():
    """8 of 10 right where the base had 9: .8 - .9 = -.1, and 8 / 9 of its rate is left."""
    row = kept(Compressed(verdicts=verdicts(8), base=verdicts(9), bits=8), IDS, 0)
    assert (row["n"], row["ar"], row["base_ar"]) == (10, 0.8, 0.9)
    assert row["difference"] == pytest.approx(-0.1)
    assert row["recovery"] == pytest.approx(8 / 9, abs=1e-4)
    assert row["gate"] == 0.98
    assert row["difference_low"] <= -0.1 <= row["difference_high"] <= 0


def test_only_queries_that_both_answered_count():
    row = kept(
        Compressed(verdicts=verdicts(4, list(IDS)[:5]), base=verdicts(10), bits=4), IDS | {"never asked": "x"}, 0
    )
    assert (row["n"], row["ar"], row["base_ar"], row["gate"]) == (5, 0.8, 1.0, 0.95)


def test_a_base_that_is_never_right_leaves_nothing_to_keep():
    row = kept(Compressed(verdicts=verdicts(3), base=verdicts(0), bits=None), IDS, 0)
    assert row["recovery"] is None and row["gate"] is None


def test_the_smallest_within_a_point():
    ids = {str(number): f"template {number}" for number in range(200)}
    models = {name: verdicts(right, ids) for name, right in {"teacher": 180, "half": 178, "tenth": 177}.items()}
    sizes = {"teacher": 500.0, "half": 250.0, "tenth": 50.0}
    assert smallest_within(models, sizes, "teacher", ids, 0)["name"] == "half"  # 2 of 200 is a point, 3 are more


def test_it_is_the_teacher_where_nothing_smaller_is_as_good():
    models = {"teacher": verdicts(9), "tiny": verdicts(5), "huge": verdicts(10)}
    sizes = {"teacher": 500.0, "tiny": 5.0, "huge": 5000.0}
    assert smallest_within(models, sizes, "teacher", IDS, 0)["name"] == "teacher"


def test_the_teacher_itself_differs_by_nothing_for_certain():
    row = smallest_within({"teacher": verdicts(9)}, {"teacher": 1.0}, "teacher", IDS, 0)
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (0.0, 0.0, 0.0)


DIM = Call("dim", {})


def example(name="1", template="", tags=(), answer=DIM, query="Dim  it"):
    return Example(id=name, query=query, template=template, tags=tags, answers=(answer,), knowledge=("a note",))


def test_which_cluster_a_query_is_of():
    """Its template; of a function never trained on that function, which a refusal has not; alone without a template."""
    assert cluster(example(template="dim {what}")) == cluster(example(template="dim {what}", query="other words"))
    assert cluster(example(template="dim {what}")) == "dim {what}"
    unseen = [example(template=text, tags=("unseen",)) for text in ("dim {what}", "make it dark")]
    assert {cluster(one) for one in unseen} == {"function dim"}
    assert cluster(example(template="no function: {x}", tags=("unseen",), answer=Refusal.NO_FUNCTION)) == (
        "no function: {x}"
    )
    assert cluster(example(tags=("seen",))) == cluster(example(query="dim it")) == "dim it"


def test_the_columns_hold_the_cluster_of_each_query():
    test = [example("t1", "dim {what}", ("knowledge",)), example("t2", "dim {what}")]
    ood = [example("o1", "vacuum {where}", ("unseen",), Call("vacuum", {})), example("o2", "dim {what}", ("seen",))]
    assert splits(test, ood) == {
        "test": {"t1": "dim {what}", "t2": "dim {what}"},
        "ood": {"o1": "function vacuum", "o2": "dim {what}"},
        "ood_seen": {"o2": "dim {what}"},
        "ood_unseen": {"o1": "function vacuum"},
        "without_knowledge": {"t1-bare": "dim {what}"},
    }
    assert [(one.id, one.knowledge) for one in bare(test)] == [("t1-bare", ())]


def test_wilson_by_hand():
    """z = 1.96: none of 10 is z^2 / (10 + z^2) = 3.8415 / 13.8415 = .2775 at most; of 20, 3.8415 / 23.8415 = .1611."""
    assert wilson(0.0, 10) == (0.0, 0.2775) and wilson(1.0, 10) == (0.7225, 1.0)
    assert wilson(0.0, 20) == (0.0, 0.1611)
    assert wilson(0.8, 100) == (0.7112, 0.8666), "the interval of 80 of 100 in textbooks"
    assert all(str(end) != "-0.0" for n in range(1, 60) for end in wilson(0.0, n))


@given(st.floats(0, 1), st.floats(1, 1e4))
def test_wilson_holds_the_rate_and_turns_with_it(share, n):
    low, high = wilson(share, n)
    assert 0 <= low <= round(share, 4) <= high <= 1
    turned = wilson(1 - share, n)
    assert (1 - turned[1], 1 - turned[0]) == pytest.approx((low, high), abs=2e-4)


def test_a_rate_of_one_is_as_sure_as_its_clusters_are_many():
    """20 queries of 4 templates, all right: as 4 queries, 4 / (4 + 3.8415) = .5101. A bootstrap would say [1, 1]."""
    names = [template for template in "abcd" for _ in range(5)]
    assert rated(names, [True] * 20, 0) == {"n": 20, "clusters": 4, "ar": 1.0, "ar_low": 0.5101, "ar_high": 1.0}
    assert rated(names, [False] * 20, 0) == {"n": 20, "clusters": 4, "ar": 0.0, "ar_low": 0.0, "ar_high": 0.4899}
    assert rated(list("abcdefghij"), [False] * 10, 0)["ar_high"] == 0.2775, "queries that hang on nothing are 10"


def test_one_large_cluster_is_hardly_more_than_one_query():
    """17 queries of one template and one each of three others: 20^2 / (17^2 + 3) = 1.37, not 4."""
    names = ["a"] * 17 + list("bcd")
    assert effective(names) == pytest.approx(400 / 292)
    assert rated(names, [True] * 20, 0)["ar_low"] == pytest.approx(1.37 / (1.37 + 3.8415), abs=2e-4)


def test_a_single_cluster_tells_next_to_nothing_whatever_its_rate():
    """Half right, of one template: Wilson of one query, (.5 + 1.9207 -+ 2.1563) / 4.8415."""
    rate = rated(["a"] * 50, [True, False] * 25, 0)
    assert (rate["ar"], rate["ar_low"], rate["ar_high"]) == (0.5, 0.0546, 0.9454)


def test_whole_clusters_are_resampled():
    """Two templates, one all right and one all wrong: resamples hold the rates 0, 1/2 and 1, however many rows."""
    rate = rated(["a"] * 50 + ["b"] * 50, [True] * 50 + [False] * 50, 0)
    assert (rate["n"], rate["clusters"], rate["ar"], rate["ar_low"], rate["ar_high"]) == (100, 2, 0.5, 0.0, 1.0)
    assert rated([], [], 0) == {"n": 0, "clusters": 0, "ar": None, "ar_low": None, "ar_high": None}


@given(st.lists(st.booleans(), min_size=2, max_size=80), st.integers(0, 9))
def test_with_a_row_a_cluster_it_is_the_plain_bootstrap(right, seed):
    """Exactly, with the same draws; and within their chance, that of a binomial."""
    names = [f"{at:03}" for at in range(len(right))]
    rate, n = rated(names, right, seed), len(right)
    if 0 < sum(right) < n:
        assert (rate["ar_low"], rate["ar_high"]) == mean_interval(names, right, seed)
        plain = interval(sum(right), n, seed)
        assert (rate["ar_low"], rate["ar_high"]) == pytest.approx(plain, abs=2 / n + 0.2 / n**0.5)
    else:
        assert (rate["ar_low"], rate["ar_high"]) == wilson(rate["ar"], n)


@given(st.lists(st.booleans(), min_size=10, max_size=40), st.integers(2, 8), st.integers(0, 9))
def test_it_is_wider_where_the_rows_of_a_cluster_agree(right, size, seed):
    """Each verdict `size` times: as few queries as before, whether they are counted once or `size` times."""

    def width(names, said):
        rate = rated(names, said, seed)
        return rate["ar_high"] - rate["ar_low"]

    rows = [said for said in right for _ in range(size)]
    together = width([f"{at // size:03}" for at in range(len(rows))], rows)
    assert together >= width([f"{at:03}" for at in range(len(rows))], rows)
    assert together == pytest.approx(width([f"{at:03}" for at in range(len(right))], right))


@given(VERDICTS, st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, seed, rng: random.Random):
    shuffled = rng.sample(rows, len(rows))
    found = [rated([name for name, _ in of], [right for _, right in of], seed) for of in (rows, shuffled)]
    assert found[0] == found[1]
    assert 0 <= found[0]["ar_low"] <= found[0]["ar"] <= found[0]["ar_high"] <= 1


def test_the_same_seed_writes_the_same_bytes_and_another_one_another_interval():
    names = [f"{at % 40}" for at in range(203)]
    right = [at % 7 < 3 for at in range(203)]
    first, second = (json.dumps(rated(names, right, 1)) for _ in range(2))
    assert first == second and len({json.dumps(rated(names, right, seed)) for seed in range(5)}) > 1


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30))
def test_clusters_tell_at_most_what_as_many_queries_tell(names):
    assert 1 <= effective(names) <= len(set(names)) <= len(names) + 1e-9


def test_a_difference_is_paired_and_resamples_clusters():
    """Template a is lost, b is kept: the resamples hold -1, -1/2 and 0."""
    names, now, then = ["a", "a", "b", "b"], [False, False, True, True], [True] * 4
    assert difference(names, now, then, 0) == {"difference": -0.5, "difference_low": -1.0, "difference_high": 0.0}
    assert set(difference(names, now, [], 0).values()) == {None}


def test_two_that_never_differ_may_still_differ_elsewhere():
    """None of 10 won and none lost, each .2775 at most; of 2 templates, 3.8415 / 5.8415 = .6576."""
    now = [True, False] * 5
    assert difference(list("abcdefghij"), now, now, 0) == {
        "difference": 0.0, "difference_low": -0.2775, "difference_high": 0.2775,
    }  # fmt: skip
    assert difference(list("aaaaabbbbb"), now, now, 0)["difference_high"] == 0.6576


def test_one_that_wins_all_is_not_sure_to():
    """Won .7225 at least, lost .2775 at most: 1 - sqrt(.2775^2 + .2775^2) = .6076."""
    assert difference(list("abcdefghij"), [True] * 10, [False] * 10, 0) == {
        "difference": 1.0, "difference_low": pytest.approx(0.6076, abs=1e-4), "difference_high": 1.0,
    }  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans()), min_size=1), st.integers(0, 9))
def test_a_difference_turns_with_its_sides(rows, seed):
    names, now, then = (list(column) for column in zip(*rows, strict=True))
    found, turned = difference(names, now, then, seed), difference(names, then, now, seed)
    assert found["difference"] == -turned["difference"]
    assert found["difference_low"] == pytest.approx(-turned["difference_high"], abs=1e-9)
    assert -1 <= found["difference_low"] <= found["difference"] <= found["difference_high"] <= 1


def test_rates_of_a_column_are_over_its_queries_and_those_of_other_judges_beside_them():
    """Of three queries two are asked, one is right; the other judge calls both right."""
    asked = [example("t1", "dim {what}"), example("t2", "dim {what}"), example("t3", "dim {what}")]
    replies = {"t1": Call("dim", {}), "t2": Call("lock", {})}
    answers = {
        one.id: Answered(one, replies[one.id], judge(one, replies[one.id]), {"classifier": True}) for one in asked[:2]
    }
    found = rates(answers, {"test": clusters(asked), "ood": {}}, 0)
    assert (found["test"]["n"], found["test"]["ar"], found["test"]["exact_match"]) == (2, 0.5, 0.5)
    assert found["test"]["ar_by"] == {"classifier": 1.0} and found["test"]["failures"]["wrong function"] == 0.5
    assert found["test"]["by_function"] == {"dim": {"n": 2, "ar": 0.5}}
    assert (found["ood"]["n"], found["ood"]["ar"], found["ood"]["ar_by"]) == (0, None, {})
