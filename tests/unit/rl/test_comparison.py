"""Tables 3 and 11: the same queries for every row, and each beside the row it came from."""

from supertiny.core.calls import Refusal
from supertiny.core.records import Example
from supertiny.measure.compare import comparison, splits


def example(name, *tags):
    return Example(id=name, query="q", candidates=(), answers=(Refusal.UNCLEAR,), tags=tags)


def test_only_queries_that_all_answered_count_and_the_start_is_paired():
    """Of a, b, c the policy was asked a and b: it lost b, which its start had."""
    verdicts = {"sft": {"a": True, "b": True, "c": False, "x": False}, "rl": {"a": True, "b": False, "x": True}}
    columns = splits([example("a"), example("b"), example("c")], [example("x", "seen"), example("y", "unseen")])
    found = comparison(verdicts, columns, {"rl": "sft"}, seed=0)
    assert [found[name]["test"]["ar"] for name in verdicts] == [1.0, 0.5]
    assert (found["rl"]["test"]["n"], found["rl"]["test"]["difference"]) == (2, -0.5)
    assert found["rl"]["ood_seen"]["difference"] == 1.0 and found["sft"]["test"]["difference"] is None
    assert found["rl"]["ood_unseen"] | {"n": 0, "ar": None} == found["rl"]["ood_unseen"]
