"""When a run is given up."""

import pytest

from supertiny.rl.config import CollapseConfig
from supertiny.rl.rollouts import collapsed

CFG = CollapseConfig(reward_drop=1.0, min_tokens=8.0, max_cut_share=0.5, batches=2)
GOOD = {"reward": 1.0, "tokens": 50.0, "cut_share": 0.0}


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({"reward": -0.1}, "the reward collapsed: -0.10"),
        ({"tokens": 7.0}, "replies collapsed: 7.0 tokens"),
        ({"cut_share": 0.6}, "replies do not end: 0.60"),
    ],
)
def test_a_limit_broken_twice_in_a_row_ends_the_run(last, why):
    bad = GOOD | last
    assert why in collapsed([GOOD, bad, bad], CFG)
    assert collapsed([GOOD, bad, GOOD], CFG) is None
    assert collapsed([bad, GOOD, bad], CFG) is None


def test_a_limit_just_reached_is_not_broken():
    edge = GOOD | {"reward": 0.0, "tokens": 8.0, "cut_share": 0.5}
    assert collapsed([GOOD, edge, edge], CFG) is None


def test_too_few_batches_tell_nothing():
    assert collapsed([GOOD | {"tokens": 0.0}], CFG) is None
