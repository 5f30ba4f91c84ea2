from pathlib import Path

import pytest

from supertiny.core.errors import UserError
from supertiny.report.rows import MAX_POINTS, curve_rows, read_curve, thin


def points(n, dev=()):
    return [{"step": str(i), "loss": "1.0", "dev_loss": "2.0" if i in dev else ""} for i in range(1, n + 1)]


@pytest.mark.parametrize("n", [0, 1, MAX_POINTS, MAX_POINTS + 1, 10_000])
def test_thinned_curves_are_short_ordered_and_keep_their_ends(n):
    whole = points(n)
    kept = thin(whole)
    assert len(kept) <= MAX_POINTS + 1
    assert kept == [point for point in whole if point in kept]
    assert kept[:1] == whole[:1] and kept[-1:] == whole[-1:]


def test_short_curves_stay_whole():
    assert thin(points(MAX_POINTS)) == points(MAX_POINTS)


def test_every_dev_loss_is_kept():
    kept = thin(points(5000, dev=(3, 4, 4321)))
    assert [p["step"] for p in kept if p["dev_loss"]] == ["3", "4", "4321"]


def test_what_is_measured_on_dev_is_kept_whatever_it_is():
    rows = [{"step": str(i), "loss": "1.0", "dev_accuracy": "0.5" if i == 7 else ""} for i in range(5000)]
    assert [row["step"] for row in thin(rows) if row["dev_accuracy"]] == ["7"]


def test_runs_with_other_columns_share_one_table():
    rows = curve_rows({"sft": [{"step": "1", "loss": "2"}], "rl": [{"step": "1", "reward": "0.5"}]})
    assert rows == [
        {"model": "sft", "step": "1", "loss": "2", "reward": ""},
        {"model": "rl", "step": "1", "loss": "", "reward": "0.5"},
    ]


def test_a_missing_log_names_itself():
    with pytest.raises(UserError, match=r"nowhere\.csv"):
        read_curve(Path("nowhere.csv"))
