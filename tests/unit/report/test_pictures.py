from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.report.pictures import COLOURS, front, learning, pareto
from supertiny.report.rows import Compared, pareto_rows

TITLES = {"sft": "fine-tuned", "tiny": "tiny"}


def curve(n):
    return [{"step": str(i), "loss": str(2 / i), "dev_loss": "1.0" if i == n else ""} for i in range(1, n + 1)]


@pytest.mark.parametrize("num_models", [0, 1, 2])
def test_the_same_numbers_make_the_same_bytes(num_models, sft, tiny, tmp_path):
    models = dict(list({"sft": sft, "tiny": tiny}.items())[:num_models])
    points = pareto_rows([Compared(models)] if models else [])
    curves = {name: curve(20) for name in models}
    written = []
    for out in ("1.svg", "2.svg"):
        pareto(points, TITLES, tmp_path / f"pareto{out}")
        learning(curves, TITLES, tmp_path / f"learning{out}")
        written.append([(tmp_path / f"{name}{out}").read_bytes() for name in ("pareto", "learning")])
    assert written[0] == written[1]
    for svg in written[0]:
        ElementTree.fromstring(svg)
        assert b"<dc:date>" not in svg


def test_a_curve_without_a_loss_in_some_rows_is_drawn(tmp_path):
    learning({"sft": [{"step": "1", "loss": ""}, {"step": "2", "loss": "0.5"}]}, TITLES, tmp_path / "l.svg")


def test_parts_of_a_run_are_lines_of_their_own(tmp_path):
    def strokes(names):
        parts = [{"part": name, "step": str(at), "loss": "0.5"} for at, name in enumerate(names)]
        learning({"sft": parts}, TITLES, tmp_path / "l.svg")
        svg = (tmp_path / "l.svg").read_text()
        assert svg.count("<!-- training -->") == 1, "one legend entry for all"
        return svg.count(f"stroke: {COLOURS[0].lower()}")

    assert strokes(["domain"] * 2 + ["frame"] * 2) == strokes(["domain"] * 4) + 1


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1)), min_size=1))
def test_no_point_beats_one_on_the_front(pairs):
    points = [{"gflops": cost, "ar": ar} for cost, ar in pairs]
    best = front(points, "gflops", "less")
    assert best
    for winner in best:
        for other in points:
            better = other["ar"] >= winner["ar"] and other["gflops"] <= winner["gflops"]
            assert not better or (other["ar"], other["gflops"]) == (winner["ar"], winner["gflops"])
