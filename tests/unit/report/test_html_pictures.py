from xml.etree import ElementTree

import numpy as np
import pytest

from supertiny.report.html import _grid, functions, response

POINTS = [
    {"queries": "many", "model": "sft", "split": "test", "function": "lock", "n": "9", "ar": "0.5"},
    {"queries": "many", "model": "sft", "split": "test", "function": "light_on", "n": "3", "ar": "1.0"},
    {"queries": "many", "model": "sft", "split": "ood", "function": "vacuum", "n": "2", "ar": "0.0"},
    {"queries": "few", "model": "tiny", "split": "test", "function": "lock", "n": "5", "ar": "0.25"},
]
TITLES = {"sft": "teacher", "tiny": "student"}
RATIOS = [
    {"model": "prototype", "of": "old", "clients": "1", "p50": "50.0", "p95": "50.0"},
    {"model": "old", "of": "old", "clients": "1", "p50": "1.0", "p95": "1.0"},
    {"model": "old", "of": "old", "clients": "8", "p50": "1.0", "p95": "1.0"},
]


def test_functions_are_ordered_by_their_mean_and_show_how_many_queries_they_had():
    """By hand: light_on 1.0 (one model), lock (.5 + .25) / 2."""
    columns = [("many", "sft"), ("few", "tiny")]
    labels, grid = _grid([point for point in POINTS if point["split"] == "test"], columns)
    assert labels == ["light_on (3)", "lock (9, 5)"]
    np.testing.assert_array_equal(grid, [[1.0, np.nan], [0.5, 0.25]])


@pytest.mark.parametrize("empty", [False, True])
def test_the_same_numbers_make_the_same_picture(empty, tmp_path):
    points, rows = ([], []) if empty else (POINTS, RATIOS)
    titles = TITLES | {"prototype": "prototype", "old": "old"}
    written = []
    for at in range(2):
        functions(points, titles, tmp_path / f"f{at}.svg")
        response(rows, titles, tmp_path / f"r{at}.svg")
        written.append([(tmp_path / f"{name}{at}.svg").read_bytes() for name in "fr"])
    assert written[0] == written[1]
    for svg in written[0]:
        ElementTree.fromstring(svg)
