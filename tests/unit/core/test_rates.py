"""Means and their bootstrap: groups are resampled whole, pairs together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.stats import mean_interval, paired, share


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

    Lost on one of two: the resamples hold -1, -1/2 and 0. The same verdicts twice differ by nothing, however few.
    """
    found = paired([True, True, False, False], [True, False, True, False], seed=0)
    assert found["difference"] == 0.0 and found["difference_low"] == -found["difference_high"] < 0
    assert paired([True, False], [True, True], seed=0) == {
        "difference": -0.5, "difference_low": -1.0, "difference_high": 0.0,
    }  # fmt: skip
    assert set(paired([True, False] * 9, [True, False] * 9, seed=0).values()) == {0.0}
    assert set(paired([True], [], seed=0).values()) == {None}
