"""What a compression cost, on verdicts counted by hand."""

import pytest

from supertiny.measure.compare import Compressed, kept, smallest_within

IDS = [str(number) for number in range(10)]


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
    row = kept(Compressed(verdicts=verdicts(4, IDS[:5]), base=verdicts(10), bits=4), [*IDS, "never asked"], 0)
    assert (row["n"], row["ar"], row["base_ar"], row["gate"]) == (5, 0.8, 1.0, 0.95)


def test_a_base_that_is_never_right_leaves_nothing_to_keep():
    row = kept(Compressed(verdicts=verdicts(3), base=verdicts(0), bits=None), IDS, 0)
    assert row["recovery"] is None and row["gate"] is None


def test_the_smallest_within_a_point():
    ids = [str(number) for number in range(200)]
    models = {name: verdicts(right, ids) for name, right in {"teacher": 180, "half": 178, "tenth": 177}.items()}
    sizes = {"teacher": 500.0, "half": 250.0, "tenth": 50.0}
    assert smallest_within(models, sizes, "teacher", ids, 0)["name"] == "half"  # 2 of 200 is a point, 3 are more


def test_it_is_the_teacher_where_nothing_smaller_is_as_good():
    models = {"teacher": verdicts(9), "tiny": verdicts(5), "huge": verdicts(10)}
    sizes = {"teacher": 500.0, "tiny": 5.0, "huge": 5000.0}
    assert smallest_within(models, sizes, "teacher", IDS, 0)["name"] == "teacher"
