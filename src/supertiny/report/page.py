"""Everything the graph found out, as files that git tracks and `dvc metrics` and `dvc plots` read."""

from pathlib import Path
from typing import Any

from supertiny.core.files import write_csv, write_json, write_text
from supertiny.report.curves import Point, curve_rows
from supertiny.report.models import Results
from supertiny.report.pictures import learning, pareto
from supertiny.report.summary import data_row, function_rows, model_row, pareto_rows
from supertiny.report.tables import results_page


def write_report(
    folder: Path, models: dict[str, Results], curves: dict[str, list[Point]], stats: dict[str, Any], profile: str
) -> None:
    """Fill `folder`: summary.json, results.md, and each figure as CSV and as SVG."""
    titles = {name: results.title for name, results in models.items()}
    rows = {name: model_row(results) for name, results in models.items()}
    data, points = data_row(stats), pareto_rows(rows)
    write_json(folder / "summary.json", {"data": data, **rows})
    write_text(folder / "results.md", results_page(models, rows, data, profile))
    write_csv(folder / "learning.csv", curve_rows(curves))
    write_csv(folder / "pareto.csv", points)
    write_csv(folder / "functions.csv", function_rows(models))
    pareto(points, titles, folder / "pareto.svg")
    learning(curves, titles, folder / "learning.svg")
