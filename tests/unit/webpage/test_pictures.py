from xml.etree import ElementTree

import numpy as np
import pytest

from supertiny.webpage.pictures import _grid, functions, response, response_rows

POINTS = [
    {"model": "sft", "split": "test", "function": "lock", "n": "5", "ar": "0.5"},
    {"model": "tiny", "split": "test", "function": "lock", "n": "9", "ar": "0.25"},
    {"model": "sft", "split": "test", "function": "light_on", "n": "3", "ar": "1.0"},
    {"model": "sft", "split": "ood", "function": "vacuum", "n": "2", "ar": "0.0"},
]
TITLES = {"sft": "teacher", "tiny": "student"}
SUMMARY = {
    "data": {"n": 3},
    "prototype": {"p50_ms": {"cc1": 1000.0}, "p95_ms": {"cc1": 1500.0}},
    "old": {"p50_ms": {"cc1": 20.0, "cc8": 100.0}, "p95_ms": {"cc1": 30.0, "cc8": 120.0}},
    "sft": {"p50_ms": {"cc1": 100.0, "cc8": 50.0}, "p95_ms": {"cc1": 90.0, "cc8": 240.0}},
    "p20": {"ar": 0.9},
}


def test_functions_are_ordered_by_their_mean_and_show_how_many_queries_they_had():
    """By hand: light_on 1.0 (one model), lock (.5 + .25) / 2."""
    labels, grid = _grid([point for point in POINTS if point["split"] == "test"], ["sft", "tiny"])
    assert labels == ["light_on (3)", "lock (9)"]
    np.testing.assert_array_equal(grid, [[1.0, np.nan], [0.5, 0.25]])


def test_response_times_are_ratios_to_the_first_model_that_was_served_at_most_loads():
    rows = response_rows(SUMMARY)
    assert {row["of"] for row in rows} == {"old"}
    ratios = {(row["model"], row["clients"]): (row["p50_ms"], row["p95_ms"]) for row in rows}
    assert ratios == {
        ("prototype", 1): (50.0, 50.0),
        ("old", 1): (1.0, 1.0),
        ("old", 8): (1.0, 1.0),
        ("sft", 1): (5.0, 3.0),
        ("sft", 8): (0.5, 2.0),
    }
    assert response_rows({"data": {}}) == []


@pytest.mark.parametrize("empty", [False, True])
def test_the_same_numbers_make_the_same_picture(empty, tmp_path):
    points, rows = ([], []) if empty else (POINTS, response_rows(SUMMARY))
    titles = TITLES | {"prototype": "prototype", "old": "old"}
    written = []
    for at in range(2):
        functions(points, titles, tmp_path / f"f{at}.svg")
        response(rows, titles, tmp_path / f"r{at}.svg")
        written.append([(tmp_path / f"{name}{at}.svg").read_bytes() for name in "fr"])
    assert written[0] == written[1]
    for svg in written[0]:
        ElementTree.fromstring(svg)
