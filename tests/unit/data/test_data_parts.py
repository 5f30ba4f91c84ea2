import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.data.build import complexity, get_source
from supertiny.data.dataset import DatasetSizes, Lists, MassiveConfig, Oracle, lookup, nearness
from tests.unit.data.conftest import make_config

POOL = {
    name: Function(name, "", {}, name.split("_")[-1])
    for name in ("turn_on_light", "turn_off_light", "set_light", "turn_on_fan", "get_time", "open_cover", "close_cover")
}


def test_complexity_by_hand():
    # "ab\nab": ab, b\n, \na, ab -> 3 distinct of 4; p = 1/2, 1/4, 1/4
    assert complexity(["ab", "AB"], 0) == (0.75, 1.5)
    assert complexity([], 0) == (0.0, 0.0)
    assert complexity(["aaaa"], 0) == (1 / 3, 0.0)


def test_complexity_samples_700_by_seed():
    queries = [f"query {i} {i * 7919}" for i in range(2000)]
    assert complexity(queries, 1) == complexity(queries, 1) != complexity(queries, 2)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20))
def test_complexity_bounds(queries):
    ttr, entropy_bits = complexity(queries, 0)
    assert 0 <= ttr <= 1 and entropy_bits >= 0


def test_lookup_takes_the_longest_whole_term():
    knowledge = [("HQ", "HQ: the office"), ("the beast", "the beast: a fan"), ("beast", "no")]
    assert lookup("The Beast in hq!", knowledge) == ("the beast: a fan", "HQ: the office")
    assert lookup("beastly", knowledge) == ()
    assert lookup("anything", []) == ()
    assert lookup("打开老地方灯", [("老地方", "x"), ("地方", "no")]) == ("x",)


def test_nearness():
    assert nearness(POOL["turn_on_light"], POOL["turn_off_light"]) > nearness(
        POOL["turn_on_light"], POOL["turn_on_fan"]
    )
    assert nearness(POOL["turn_on_light"], POOL["get_time"]) == 0
    on, off, timer = (Function(name, "") for name in ("开灯", "关灯", "计时"))
    assert nearness(on, off) == 1 / 3 > nearness(on, timer) == 0


@given(st.integers(0, 10**6), st.sampled_from(list(POOL)), st.integers(1, 9), st.floats(0, 1))
def test_oracle_recall_is_one(seed, near, num_candidates, hard_share):
    oracle = Oracle(POOL, num_candidates, hard_share)
    offered = oracle.offer(random.Random(seed), near)
    assert near in offered
    assert len(offered) == len(set(offered)) == min(num_candidates, len(POOL))
    assert offered == oracle.offer(random.Random(seed), near)
    assert list(offered) == [name for name in POOL if name in offered], "in the pool's order"


@given(st.integers(0, 10**6), st.sampled_from(list(POOL)))
def test_oracle_leaves_out_what_must_not_be_offered(seed, near):
    offered = Oracle(POOL, 4, 0.5).offer(random.Random(seed), near, without={near, "get_time"})
    assert len(offered) == 4 and not {near, "get_time"} & set(offered)


def test_hard_distractors_are_near():
    offered = [Oracle(POOL, 3, 1.0).offer(random.Random(i), "turn_on_light") for i in range(60)]
    counts = {name: sum(name in names for names in offered) for name in POOL}
    assert counts["turn_off_light"] > counts["get_time"]


@pytest.mark.parametrize("lists", ["pool", "oracle"])
def test_each_list_begins_as_the_one_before(lists):
    cfg = make_config(lists=lists, num_candidates=9)
    found = Lists(cfg, POOL, {"turn_off_light": "ood", "get_time": "dev_ood"})
    domain = ("turn_on_light", "set_light", "turn_on_fan", "open_cover", "close_cover")
    wanted = {"train": domain, "test": domain, "dev_ood": (*domain, "get_time")}
    wanted["ood"] = (*wanted["dev_ood"], "turn_off_light")
    for split, names in wanted.items():
        assert found.offer(split, random.Random(0), "set_light") == names == tuple(found.known(split))
        assert found.offer(split, random.Random(0), "set_light", {"set_light"}) == tuple(
            name for name in names if name != "set_light"
        )
    assert tuple(found.pool) == wanted["ood"]
    assert found.offer("train", random.Random(0), None) == (domain if lists == "pool" else ())


def test_refusals_leave_room_for_the_unseen_functions_of_ood():
    home = replace(make_config().home_assistant, no_function_share=0.5, unclear_share=0.2)
    with pytest.raises(UserError, match=r"no_function_share \+ unclear_share: 0\.7 is too much"):
        make_config(home_assistant=home)


def test_a_scenario_is_held_out_for_one_split():
    with pytest.raises(UserError, match="dev_ood_scenarios: music: also in ood_scenarios"):
        MassiveConfig(path="", ood_scenarios=["music", "news"], dev_ood_scenarios=["music"])


@pytest.mark.parametrize(
    "change", [{"lists": "all"}, {"num_candidates": 0}, {"hard_share": 1.5}, {"ood_seen_share": 0.1}]
)
def test_config_ranges(change):
    with pytest.raises(UserError, match=next(iter(change))):
        make_config(**change)


def test_sizes_and_source_names():
    with pytest.raises(UserError, match="dev"):
        DatasetSizes(train=1, expert=1, dev=0, dev_ood=1, test=1, ood=1)
    with pytest.raises(UserError, match="'hass' is none of home_assistant, massive, own"):
        get_source("hass")
