"""README.md shows the results of this checkout, and never others."""

from pathlib import Path

import pytest

from supertiny.commands.page import BEGIN, END, filled, main
from supertiny.core.errors import UserError
from supertiny.measure.systems import declared
from supertiny.report.rows import read_curve
from supertiny.report.tables import readme_tables

TOP = Path(__file__).resolve().parents[2]
README = f"# A\n\n## Results\n\n{BEGIN}old\n{END}\nmore\n"
TABLE = "| a |\n|--:|\n| # |"
POINTS = "queries,model,n,gflops,mb,qps,ar,low,high,unseen,n_unseen\nall,sft,90,9.0,8.0,0.0,0.9,0.8,1.0,0.5,40\n"


def test_the_readme_shows_the_figures_of_this_checkout(monkeypatch):
    monkeypatch.chdir(TOP)
    readme, points = Path("README.md").read_text(encoding="utf-8"), read_curve(Path("metrics/pareto.csv"))
    shown = readme_tables(points, {name: config.title for name, config in declared().items()})
    assert filled(readme, shown) == readme, "README.md shows other results than metrics/: run `make readme`"


def test_the_table_is_put_between_the_markers_and_everything_else_stays():
    assert filled(README, TABLE) == f"# A\n\n## Results\n\n{BEGIN}\n{TABLE}\n\n{END}\nmore\n"


def test_filling_again_changes_nothing_and_writes_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "metrics/results.md", "metrics/functions.csv", "metrics/response.csv"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("")
    Path("metrics/pareto.csv").write_text(POINTS)
    Path("params.yaml").write_text("systems: {sft: {kind: model, model: sft, asked: models, title: teacher}}\n")
    Path("README.md").write_text(README)
    for _ in range(2):
        main(readme=Path("README.md"))
    table = readme_tables(read_curve(Path("metrics/pareto.csv")), {"sft": "teacher"})
    assert Path("README.md").read_text() == filled(README, table) and "| 0.900 [0.800, 1.000] | 0.500 |" in table
    assert not Path("metrics/report.html").exists()


@pytest.mark.parametrize("readme", ["# A\n", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_missing_or_doubled_markers_are_an_error(readme):
    with pytest.raises(UserError, match="results:begin"):
        filled(readme, TABLE)
