"""Judges beside each other on the same answers, counted by hand."""

from benchmarks.judges import by_each
from supertiny.core.calls import Call
from supertiny.core.records import Example
from supertiny.judge.reference import Verdict, judge
from supertiny.measure.compare import Answered

RIGHT, WRONG = Call("dim", {"level": 5}), Call("dim", {"level": 6})


def answered(name: str, template: str, reply: Call) -> Answered:
    example = Example(id=name, query="dim", template=template, answers=(RIGHT,))
    return Answered(example, reply, judge(example, reply), {})


def test_each_judge_has_its_rate_over_the_same_clusters_and_its_agreement():
    """Two of four are right; one who says right of all agrees on two, and is as sure as two templates make it."""
    answers = [
        answered("1", "a", RIGHT),
        answered("2", "a", RIGHT),
        answered("3", "b", WRONG),
        answered("4", "b", WRONG),
    ]
    found = by_each(answers, {"llm": lambda asked, replies: [Verdict(True, None, False)] * len(replies)}, 0)
    assert found["reference"] == {"n": 4, "clusters": 2, "ar": 0.5, "ar_low": 0.0, "ar_high": 1.0, "agrees": 1.0}
    assert found["llm"] == {"n": 4, "clusters": 2, "ar": 1.0, "ar_low": 0.3424, "ar_high": 1.0, "agrees": 0.5}
