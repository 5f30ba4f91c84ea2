"""The Achievable Rate on a set that is counted by hand."""

import json
from dataclasses import replace

import pytest

from supertiny.core.calls import Call, Fault, Malformed, Refusal
from supertiny.core.records import Example
from supertiny.core.stats import wilson
from supertiny.judge.reference import Failure, Verdict, judge
from supertiny.measure.evaluate import achievable_rate

DIM = Call("dim", {"level": 50})
EXAMPLES = [
    Example(id="1", query="q", answers=(DIM,), tags=("room",)),
    Example(id="2", query="q", answers=(DIM,), tags=("room", "unseen")),
    Example(id="3", query="q", answers=(DIM,)),
    Example(id="4", query="q", answers=(Refusal.UNCLEAR,), tags=("refusal",)),
    Example(id="5", query="q", answers=(Refusal.UNCLEAR,), tags=("refusal",)),
    Example(id="6", query="q", answers=(Call("lock", {}), DIM)),
]
REPLIES = [
    DIM,
    Call("dim", {"level": "50 %"}),
    Call("dim", {"level": 5}),
    DIM,
    Refusal.UNCLEAR,
    Malformed(Fault.NOT_JSON, ""),
]


def rated(examples, replies, seed):
    return achievable_rate(examples, replies, list(map(judge, examples, replies)), seed)


def test_six_replies_counted_by_hand():
    """Right: 1, 2, 5. Exact: 1, 5. Right function or refusal: 1, 2, 3, 5."""
    rate = rated(EXAMPLES, REPLIES, seed=0)
    assert (rate["n"], rate["ar"], rate["exact_match"], rate["function_accuracy"]) == (6, 0.5, 0.3333, 0.6667)
    assert rate["failures"] == {
        "unparseable": 0.1667,
        "wrong function": 0.0,
        "missing parameter": 0.0,
        "extra parameter": 0.0,
        "wrong value": 0.1667,
        "wrong refusal": 0.0,
        "missed refusal": 0.1667,
    }
    assert rate["by_function"] == {
        "Request unclear": {"n": 2, "ar": 0.5},
        "dim": {"n": 3, "ar": 0.6667},
        "lock": {"n": 1, "ar": 0.0},
    }
    assert rate["by_tag"] == {
        "refusal": {"n": 2, "ar": 0.5},
        "room": {"n": 2, "ar": 1.0},
        "unseen": {"n": 1, "ar": 1.0},
    }


def test_the_same_seed_writes_the_same_bytes_and_another_one_another_interval():
    apart = [replace(example, template=f"{at}") for at, example in enumerate(EXAMPLES * 20)]
    first, second = (json.dumps(rated(apart, REPLIES * 20, seed=1)) for _ in range(2))
    assert first == second
    assert len({json.dumps(rated(apart, REPLIES * 20, seed)) for seed in range(5)}) > 1


def test_the_interval_is_over_templates_and_over_functions_never_trained_on():
    """Template a is right and b wrong, five times each: resamples hold 0, 1/2 and 1. Unseen, they are one function."""
    said = [replace(EXAMPLES[at], template="ab"[at]) for at in (0, 1)] * 5
    rate = rated(said, [DIM, Call("dim", {"level": 5})] * 5, seed=0)
    assert (rate["n"], rate["clusters"], rate["ar"], rate["ar_low"], rate["ar_high"]) == (10, 2, 0.5, 0.0, 1.0)
    unseen = [replace(example, tags=("unseen",)) for example in said]
    rate = rated(unseen, [DIM, Call("dim", {"level": 5})] * 5, seed=0)
    assert (rate["clusters"], rate["ar_low"], rate["ar_high"]) == (1, *wilson(0.5, 1))


def test_key_order_does_not_depend_on_the_order_of_examples():
    backwards = rated(EXAMPLES[::-1], REPLIES[::-1], seed=0)
    assert json.dumps(backwards) == json.dumps(rated(EXAMPLES, REPLIES, seed=0))


def test_rate_and_failure_shares_add_up_to_one():
    rate = rated(EXAMPLES, REPLIES, seed=0)
    assert rate["ar"] + sum(rate["failures"].values()) == pytest.approx(1, abs=1e-3)


def test_no_examples_have_no_rate():
    rate = rated([], [], seed=0)
    assert (rate["n"], rate["ar"], rate["ar_low"], rate["exact_match"], rate["by_tag"]) == (0, None, None, None, {})
    assert list(rate) == list(rated(EXAMPLES, REPLIES, seed=0))
    json.dumps(rate, allow_nan=False)


def test_one_reply_for_each_example():
    with pytest.raises(ValueError, match="shorter"):
        achievable_rate(EXAMPLES, REPLIES[:5], [], seed=0)


def test_another_judge_may_be_chosen():
    never = [Verdict(False, Failure.WRONG_VALUE, False)] * len(EXAMPLES)
    rate = achievable_rate(EXAMPLES, REPLIES, never, seed=0)
    assert (rate["ar"], rate["failures"]["wrong value"]) == (0.0, 1.0)
