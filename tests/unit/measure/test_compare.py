"""Rates and differences of systems on the same queries, on verdicts counted by hand."""

from dataclasses import replace

import pytest

from supertiny.core.calls import Call, Refusal
from supertiny.core.records import Example
from supertiny.judge.reference import judge
from supertiny.measure.compare import Answered, Compressed, kept, rates, smallest_within, splits
from supertiny.measure.evaluate import bare, cluster, clusters, grown

IDS = {str(number): f"template {number}" for number in range(10)}
"""queries, each of a template of its own"""


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
        "grown": {},
    }
    assert [(one.id, one.knowledge) for one in bare(test)] == [("t1-bare", ())]


def test_what_a_grown_list_is_put_before():
    """As many of the test as OOD has, whose list it goes on; not whoever is refused for what his own list lacks."""
    own, most = ("dim", "lock"), ("dim", "lock", "vacuum")
    test = [
        replace(example("t1", "dim {what}"), candidates=own),
        replace(example("t2", "dim {what}", ("missing_function",)), candidates=("lock",)),
        replace(example("t3", "dim {what}"), candidates=("dim", "stop")),
        replace(example("t4", "dim {what}"), candidates=own),
        replace(example("t5", "dim {what}"), candidates=own),
    ]
    ood = [replace(example(f"o{at}", tags=("seen",)), candidates=most) for at in range(4)]
    found = grown(test, ood)
    assert [(one.id, one.candidates) for one in found] == [("t1-grown", most), ("t4-grown", most)]
    assert splits(test, ood)["grown"] == {"t1-grown": "dim {what}", "t4-grown": "dim {what}"}
    assert grown(test, []) == grown(test, [replace(one, candidates=own) for one in ood]) == []


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
