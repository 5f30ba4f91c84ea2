"""Which models the tables show, and the result files of each."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.core.config import PARAMS, load, load_each, require
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.measure.load import BenchConfig
from supertiny.measure.systems import ModelConfig, SystemConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the stages evaluate, cost and bench found out about one model."""

    title: str
    rates: dict[str, Any]
    cost: dict[str, Any]
    bench: dict[str, Any] | None
    """None where the model is not served"""


def model_configs() -> dict[str, SystemConfig]:
    """The systems and the models declared in params.yaml, in its order: what other stages measured comes first."""
    return {**load_each("systems", SystemConfig, empty=True), **load_each("models", ModelConfig)}


def served_models() -> set[str]:
    """The rows with a load test: every system, and the models that `bench.models` names."""
    named, known = load("bench", BenchConfig).models, load_each("models", ModelConfig)
    for name in named:
        require(name in known, f"{PARAMS}: bench.models: {name!r} is none of the models {', '.join(known)}")
    return {*load_each("systems", SystemConfig, empty=True), *named}


def read_results(folder: Path, config: SystemConfig, served: bool) -> Results:
    """The result files in `folder`."""
    rates, cost = (read_json(folder / f"{name}.json") for name in ("rates", "cost"))
    return Results(
        title=config.title, rates=rates, cost=cost, bench=read_json(folder / "bench.json") if served else None
    )


Point = dict[str, str]

MAX_POINTS = 300
"""rows kept of a run, besides those measured on dev"""


def read_curve(log: Path) -> list[Point]:
    """The rows of a loss log, as written."""
    try:
        with log.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{log} does not exist; is `log` of this model in params.yaml right?") from None


def thin(points: list[Point]) -> list[Point]:
    """Every k-th point, the last, and all measured on dev."""
    stride = -(-len(points) // MAX_POINTS)
    kept = [i for i, point in enumerate(points) if i % stride == 0 or _on_dev(point) or i == len(points) - 1]
    return [points[i] for i in kept]


def _on_dev(point: Point) -> bool:
    return any(value for name, value in point.items() if name.startswith("dev_"))


def curve_rows(curves: dict[str, list[Point]]) -> list[Point]:
    """All runs in one table under the union of their columns, `model` first."""
    columns = list(dict.fromkeys(name for points in curves.values() for point in points for name in point))
    return [
        {"model": model, **{name: point.get(name, "") for name in columns}}
        for model, points in curves.items()
        for point in points
    ]


Row = dict[str, Any]

TIMES = ("qps", "p50_ms", "p95_ms", "p99_ms", "tokens_per_s")
QUANTILES = ("p50", "p95")


def data_row(stats: dict[str, Any]) -> Row:
    """The paper's Table 1 row: the scalars of the dataset's statistics."""
    return {name: value for name, value in stats.items() if not isinstance(value, dict | list)}


def model_row(results: Results) -> Row:
    """One model in `summary.json`: in-domain rates at the top, so that a path reads `sft.ar`, `sft.qps.cc64`."""
    rates = results.rates
    row = {
        **_rate(rates["test"]),
        "function_accuracy": rates["test"]["function_accuracy"],
        "failures": rates["test"]["failures"],
        **{split: _rate(rates[split]) for split in ("ood", "ood_seen", "ood_unseen", "without_knowledge")},
        "with_knowledge": rates["test"]["by_tag"].get("knowledge", {"n": 0}),
        **{name: value for name, value in results.cost.items() if name != "workload"},
        **results.cost["workload"],
        **(_served(results.bench) if results.bench else {}),
    }
    return known(row)


def _served(bench: Row) -> Row:
    rounds = bench["rounds"]
    return {
        **{name: {cc: one[name] for cc, one in rounds.items()} for name in TIMES},
        **{name: sum(one[name] for one in rounds.values()) for name in ("errors", "differing")},
        "peak_memory_mb": bench["peak_memory_mb"],
    }


def pareto_rows(rows: dict[str, Row]) -> list[Row]:
    """Quality against cost: AR with its interval, GFLOPs a request (GEMM count), the best QPS of any load (or 0)."""
    return [
        {
            "model": name,
            "gflops": row["gflops_gemm"],
            "qps": max(row.get("qps", {}).values(), default=0.0),
            "ar": row["ar"],
            "low": row["ar_low"],
            "high": row["ar_high"],
        }
        for name, row in rows.items()
        if "ar" in row
    ]


def response_rows(rows: dict[str, Row]) -> list[Row]:
    """Response times of every served model as ratios to those of one model, load by load (paper Figure 5).

    That model is the first of those that were served at most loads. A load at which nothing was answered is left out.
    """
    served = {name: row for name, row in rows.items() if row.get("p50_ms")}
    base = max(served, key=lambda name: len(served[name]["p50_ms"]), default="")
    return [
        {"model": name, "of": base, "clients": int(load.removeprefix("cc"))}
        | {one: round(row[f"{one}_ms"][load] / served[base][f"{one}_ms"][load], 3) for one in QUANTILES}
        for name, row in served.items()
        for load in row["p50_ms"]
        if load in served[base]["p50_ms"]
    ]


def function_rows(models: dict[str, Results]) -> list[Row]:
    """AR of each model on each function of the in-domain and the OOD test, by the reference answer."""
    return [
        {"model": name, "split": split, "function": function, "n": one["n"], "ar": one["ar"]}
        for name, results in models.items()
        for split in ("test", "ood")
        for function, one in results.rates[split]["by_function"].items()
    ]


def known(row: Row) -> Row:
    """Without what was not measured (an empty test split has no AR): DVC knows no null metric."""
    found = {name: known(value) if isinstance(value, dict) else value for name, value in row.items()}
    return {name: value for name, value in found.items() if value is not None}


def _rate(rate: Row) -> Row:
    return {name: rate[name] for name in ("n", "ar", "ar_low", "ar_high", "exact_match")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How the report shows one result file."""

    stage: str
    """the stage that writes it"""
    file: str
    """its path under data/results/"""
    heading: str
    """of its section, with the paper's table"""
    summary: Callable[[Row], Row]
    """its numbers in summary.json, under stable names; what was not measured may be None"""
    section: Callable[[Row], str]
    """its section in Markdown"""
    rows: Callable[[Row], list[Row]]
    """its numbers one row each, for <name>.csv"""
    draw: Callable[[list[Row], Path], None] | None
    """its picture from those rows; None: the table says it all"""


def read_step(results: Path, step: Step) -> Row:
    """The step's result file in folder `results`."""
    path = results / step.file
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it: `dvc repro {step.stage}`")
    found: Row = read_json(path)
    return found


def read_steps(results: Path, steps: Mapping[str, Step]) -> dict[str, Row]:
    """Every step's result file, by the step's name."""
    return {name: read_step(results, step) for name, step in steps.items()}
