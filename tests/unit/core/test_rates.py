"""Means, rates and differences, and how sure they are: groups are resampled whole, pairs together."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.stats import difference, effective, mean_interval, rated, share, wilson

VERDICTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), min_size=1, max_size=60)


def test_a_share_is_rounded_and_of_nothing_none():
    assert share([True, True, False]) == 0.6667
    assert share([]) is None


def test_the_interval_resamples_groups():
    """Two groups, one all right and one all wrong: a resample holds the means 0, 1/2 and 1, however many rows."""
    groups, values = ["a"] * 50 + ["b"] * 50, [True] * 50 + [False] * 50
    assert mean_interval(groups, values, 0) == (0.0, 1.0)
    assert mean_interval(["a", "b"], [True, True], 0) == (1.0, 1.0)
    assert mean_interval([], [], 0) == (None, None)


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60), st.integers(0, 9))
def test_the_interval_of_differences_holds_their_mean_and_turns_with_them(values, seed):
    low, high = mean_interval(range(len(values)), values, seed)
    assert -1 <= low <= share(values) <= high <= 1
    assert mean_interval(range(len(values)), [-value for value in values], seed) == (-high, -low)


def test_the_interval_of_many_differences_is_that_of_the_normal_law():
    """4,000 differences, 1 in .3 and -1 in .1: mean .2, variance .4 - .04 = .36, 1.96 * .6 / sqrt(4,000) = .0186."""
    values = [1] * 1200 + [0] * 2400 + [-1] * 400
    low, high = mean_interval(range(4000), values, 0)
    assert low == pytest.approx(0.2 - 0.0186, abs=0.002)
    assert high == pytest.approx(0.2 + 0.0186, abs=0.002)


def test_a_difference_is_paired_query_by_query():
    """Of four queries one is won and one lost: no difference, though none of the verdicts is sure.

    Lost on one of two: the resamples hold -1, -1/2 and 0. The same verdicts on 18 queries twice: none won and none lost
    of them, each 3.8415 / 21.8415 = .1759 at most.
    """
    found = difference(list("abcd"), [True, True, False, False], [True, False, True, False], seed=0)
    assert found["difference"] == 0.0 and found["difference_low"] == -found["difference_high"] < 0
    assert difference(list("ab"), [True, False], [True, True], seed=0) == {
        "difference": -0.5, "difference_low": -1.0, "difference_high": 0.0,
    }  # fmt: skip
    alone = [f"{at}" for at in range(18)]
    assert difference(alone, [True, False] * 9, [True, False] * 9, seed=0) == {
        "difference": 0.0, "difference_low": -0.1759, "difference_high": 0.1759,
    }  # fmt: skip
    assert set(difference(["a"], [True], [], seed=0).values()) == {None}


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
        draws = np.random.default_rng(seed).binomial(n, sum(right) / n, 2000) / n
        plain = np.quantile(draws, [0.025, 0.975])
        assert (rate["ar_low"], rate["ar_high"]) == pytest.approx(tuple(plain), abs=2 / n + 0.2 / n**0.5)
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


@given(st.integers(1, 400), st.floats(0, 1), st.integers(0, 9))
def test_the_interval_contains_the_rate(n, share, seed):
    successes = round(share * n)
    rate = rated([f"{at}" for at in range(n)], [at < successes for at in range(n)], seed)
    assert 0 <= rate["ar_low"] <= round(successes / n, 4) <= rate["ar_high"] <= 1


def test_the_interval_is_that_of_the_normal_law_where_n_is_large():
    """rate .8, n = 10,000: 1.96 * sqrt(.8 * .2 / 10,000) = .00784 to either side."""
    rate = rated([f"{at}" for at in range(10_000)], [at < 8000 for at in range(10_000)], seed=0)
    assert rate["ar_low"] == pytest.approx(0.8 - 0.00784, abs=0.0008)
    assert rate["ar_high"] == pytest.approx(0.8 + 0.00784, abs=0.0008)
