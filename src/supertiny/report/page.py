"""Everything the graph found out, as files that git tracks and `dvc metrics` and `dvc plots` read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from supertiny.core.config import PARAMS, require
from supertiny.core.files import write_csv, write_json, write_text
from supertiny.report.pictures import learning, pareto
from supertiny.report.rows import (
    FUNCTIONS,
    PARETO,
    Compared,
    Facts,
    Point,
    Row,
    compared,
    curve_rows,
    data_row,
    deciding,
    flat,
    function_rows,
    known,
    pareto_rows,
    read_curve,
    response_rows,
    system_row,
    thin,
    wide,
)
from supertiny.report.steps import Step, ablation, compression, counts, distance, judge, retrieval, rl
from supertiny.report.tables import results_page

STEPS: dict[str, Step] = {
    "retrieval": retrieval.STEP,
    "descriptions": counts.DESCRIPTIONS,
    "judge": judge.STEP,
    "rft": counts.RFT,
    "logits": counts.LOGITS,
    "distance": distance.STEP,
    "rl": rl.STEP,
    "compression": compression.STEP,
    "ablation": ablation.STEP,
    "adapter": counts.ADAPTER,
}
"""Name in summary.json and of the CSV and SVG -> how it is shown; in the page's order."""
DATA = "data"
"""the dataset's own row of summary.json"""


def write_report(folder: Path, facts: Facts, profile: str) -> None:
    """Fill `folder`: summary.json with what decides, results.md, and all figures as CSV, the drawn ones as SVG too."""
    if taken := sorted(facts.systems.keys() & {DATA, *STEPS}):
        require(False, f"{PARAMS}: systems: {taken[0]}: a row of summary.json that is no system has this name")
    rows, sheets = {name: system_row(results) for name, results in facts.systems.items()}, compared(facts)
    found = {name: shown for name, step in STEPS.items() if (shown := step.find(facts)) is not None}
    data = data_row(facts.stats)
    write_json(folder / "summary.json", _summary(data, rows, found))
    sections = [(STEPS[name].heading, STEPS[name].section(shown)) for name, shown in found.items()]
    write_text(folder / "results.md", results_page(facts.systems, sheets, data, sections, profile))
    write_csv(folder / "systems.csv", wide(rows))
    write_csv(folder / "steps.csv", _figures(data, found))
    _write_tables(folder, facts, rows, sheets)
    for name, step in STEPS.items():
        points = step.rows(found[name]) if name in found else []
        _write_rows(folder / f"{name}.csv", step.columns, points)
        if step.draw is not None:
            step.draw(points, folder / f"{name}.svg")


def _summary(data: Row, rows: dict[str, Row], found: dict[str, Row]) -> Row:
    """What a branch is judged by, and no more: a difference of it fits on a screen."""
    steps = {name: known(STEPS[name].decides(shown)) for name, shown in found.items()}
    return {
        DATA: {name: data[name] for name in ("test_size", "functions")},
        **{name: deciding(row) for name, row in rows.items()},
        **{name: row for name, row in steps.items() if row},
    }


def _figures(data: Row, found: dict[str, Row]) -> list[Row]:
    """Every number of the dataset and of each step, a row each."""
    rows = {DATA: data} | {name: known(STEPS[name].figures(shown)) for name, shown in found.items()}
    return [
        {"step": name, "figure": figure, "value": value}
        for name, row in rows.items()
        for figure, value in flat(row).items()
    ]


def _write_tables(folder: Path, facts: Facts, rows: dict[str, Row], sheets: Sequence[Compared]) -> None:
    """What the systems are compared in."""
    points, curves = pareto_rows(sheets), _curves(facts)
    _write_rows(folder / "learning.csv", ("model", "step", "loss", "dev_loss"), curve_rows(curves))
    _write_rows(folder / "pareto.csv", PARETO, points)
    _write_rows(folder / "response.csv", ("model", "of", "clients", "p50", "p95"), response_rows(rows))
    _write_rows(folder / "functions.csv", FUNCTIONS, function_rows(sheets))
    pareto(points, facts.titles, folder / "pareto.svg")
    learning(curves, facts.titles, folder / "learning.svg")


def _curves(facts: Facts) -> dict[str, list[Point]]:
    """The loss curve of every system that was trained; those of RL have a section of their own."""
    logs = {name: facts.tables.log_of(name) for name in facts.systems}
    runs = facts.tables.trained.get("rl", {})
    return {name: thin(read_curve(facts.logs / f"{log}.csv")) for name, log in logs.items() if log and log not in runs}


def _write_rows(path: Path, columns: Sequence[str], rows: list[Row]) -> None:
    """A table without a row still says its columns."""
    if rows:
        write_csv(path, rows)
    else:
        write_text(path, ",".join(columns) + "\n")


def made(graph: Mapping[str, Any], params: Mapping[str, Any]) -> set[str]:
    """The outs of every stage of a dvc.yaml under the values of params.yaml.

    >>> sorted(made({"stages": {"sft": {"foreach": "${trained}", "do": {"outs": ["a/${key}.csv"]}},
    ...                         "rl": {"outs": [{"b.json": {"cache": False}}]}}}, {"trained": {"x": {}, "y": {}}}))
    ['a/x.csv', 'a/y.csv', 'b.json']
    """
    return {out for stage in graph["stages"].values() for out in _outs(stage, params)}


def _outs(stage: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[str]:
    if "foreach" not in stage:
        yield from _paths(stage, params)
        return
    items = _filled_value(stage["foreach"], params) if isinstance(stage["foreach"], str) else stage["foreach"]
    pairs = items.items() if isinstance(items, Mapping) else [(item, item) for item in items or ()]
    for key, item in pairs:
        yield from _paths(stage["do"], {**params, "key": key, "item": item})


def _paths(stage: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("outs", "metrics", "plots"):
        for out in stage.get(kind, ()):
            path = out if isinstance(out, str) else next(iter(out))
            yield re.sub(r"\$\{[^}]+\}", lambda place: str(_filled_value(place[0], values)), path)


def _filled_value(place: str, values: Mapping[str, Any]) -> Any:
    """What stands at ${a.b} of the parameters."""
    found: Any = values
    for key in place[2:-1].split("."):
        found = found[key]
    return found


def clear(folder: Path, outs: set[str]) -> list[str]:
    """Remove from `folder` the files that are no out, nor in one, with the folders that nothing is left in; say which.

    DVC writes a .gitignore beside what it caches: it goes where no out is declared beside it any more.
    """
    homes = {str(parent) for out in outs for parent in Path(out).parents}
    files = sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    gone = [path for path in files if not _is_kept(path, outs, homes)]
    for path in gone:
        path.unlink()
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
    return [path.as_posix() for path in gone]


def _is_kept(path: Path, outs: set[str], homes: set[str]) -> bool:
    if path.name.startswith(".") and str(path.parent) in homes:
        return True
    return any(str(one) in outs for one in (path, *path.parents))
