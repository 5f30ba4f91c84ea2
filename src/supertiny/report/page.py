"""Everything the graph found out, as files that git tracks and `dvc metrics` and `dvc plots` read."""

from pathlib import Path
from typing import Any

from supertiny.core.config import PARAMS, require
from supertiny.core.files import write_csv, write_json, write_text
from supertiny.report.pictures import learning, pareto
from supertiny.report.rows import (
    Point,
    Results,
    Row,
    Step,
    curve_rows,
    data_row,
    function_rows,
    known,
    model_row,
    pareto_rows,
    response_rows,
)
from supertiny.report.steps import (
    ablation,
    adapter,
    compression,
    descriptions,
    distance,
    judge,
    logits,
    retrieval,
    rft,
    rl,
)
from supertiny.report.tables import results_page

STEPS: dict[str, Step] = {
    "retrieval": retrieval.STEP,
    "descriptions": descriptions.STEP,
    "judge": judge.STEP,
    "rft": rft.STEP,
    "logits": logits.STEP,
    "distance": distance.STEP,
    "rl": rl.STEP,
    "compression": compression.STEP,
    "ablation": ablation.STEP,
    "adapter": adapter.STEP,
}
"""Name in summary.json and of the CSV and SVG -> how it is shown; in the page's order."""


def write_report(
    folder: Path,
    models: dict[str, Results],
    curves: dict[str, list[Point]],
    stats: dict[str, Any],
    found: dict[str, Row],
    profile: str,
) -> None:
    """Fill `folder`: summary.json, results.md, and each figure as CSV and as SVG; `found`: what each step measured."""
    if taken := sorted(models.keys() & {"data", *STEPS}):
        require(False, f"{PARAMS}: models: {taken[0]}: a row of summary.json that is no model has this name")
    titles = {name: results.title for name, results in models.items()}
    rows = {name: model_row(results) for name, results in models.items()}
    data, points = data_row(stats), pareto_rows(rows)
    steps = {name: known(step.summary(found[name])) for name, step in STEPS.items()}
    sections = [(step.heading, step.section(found[name])) for name, step in STEPS.items()]
    write_json(folder / "summary.json", {"data": data, **rows, **steps})
    write_text(folder / "results.md", results_page(models, rows, data, sections, profile))
    write_csv(folder / "learning.csv", curve_rows(curves))
    write_csv(folder / "pareto.csv", points)
    write_csv(folder / "response.csv", response_rows(rows))
    write_csv(folder / "functions.csv", function_rows(models))
    pareto(points, titles, folder / "pareto.svg")
    learning(curves, titles, folder / "learning.svg")
    for name, step in STEPS.items():
        _write_step(folder, name, step, found[name])


def _write_step(folder: Path, name: str, step: Step, found: Row) -> None:
    rows = step.rows(found)
    write_csv(folder / f"{name}.csv", rows)
    if step.draw is not None:
        step.draw(rows, folder / f"{name}.svg")
