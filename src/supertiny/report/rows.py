"""The figures as rows: of each system all of them, of each table and picture its own, of each run its loss curve."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertiny.core.calls import Pool
from supertiny.core.config import seed
from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.measure.evaluate import read_verdicts
from supertiny.measure.systems import SystemConfig, Tables, tables
from supertiny.model.flops import cost

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the stages evaluate and bench found out about one system, and what a request costs it."""

    title: str
    rates: Row
    cost: Row
    bench: Row | None
    """None where the system is not served"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the report is made of."""

    tables: Tables
    systems: dict[str, Results]
    verdicts: dict[str, dict[str, bool]]
    """system -> query id -> whether the answer was right"""
    stats: Row
    """of the dataset"""
    pool: Pool
    test: list[Example]
    ood: list[Example]
    results: Path
    """folder of the result files"""
    logs: Path
    """folder of the loss logs"""
    seed: int

    @property
    def titles(self) -> dict[str, str]:
        """Of the systems."""
        return {name: one.title for name, one in self.systems.items()}

    def of_kind(self, kind: str) -> dict[str, SystemConfig]:
        """The systems of a kind."""
        return {name: one for name, one in self.tables.systems.items() if one.kind == kind}


def read_facts(data: Path, results: Path, logs: Path) -> Facts:
    """From the dataset in `data` and the files in `results` and `logs`."""
    found, pool = tables(), read_functions(data / "functions.json")
    systems = {
        name: read_results(results / name, config, name in found.served) for name, config in found.systems.items()
    }
    return Facts(
        tables=found,
        systems=systems,
        verdicts={name: read_verdicts(results / name / "answers.jsonl") for name in systems},
        stats=read_json(data / "stats.json"),
        pool=pool,
        test=read_examples(data / "test.jsonl", pool),
        ood=read_examples(data / "ood.jsonl", pool),
        results=results,
        logs=logs,
        seed=seed(),
    )


def read_results(folder: Path, config: SystemConfig, served: bool) -> Results:
    """The result files in `folder`."""
    rates, size = (read_json(folder / f"{name}.json") for name in ("rates", "size"))
    return Results(
        title=config.title,
        rates=rates,
        cost=cost(size, rates["workload"]),
        bench=read_json(folder / "bench.json") if served else None,
    )


GRAPH = Path("dvc.yaml")


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


Point = dict[str, str]

MAX_POINTS = 300
"""rows kept of a run, besides those measured on dev"""


def read_curve(log: Path) -> list[Point]:
    """The rows of a loss log, as written."""
    try:
        with log.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise UserError(f"{log} does not exist; run the stage that makes it: `dvc repro {log}`") from None


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


TIMES = ("qps", "p50_ms", "p95_ms", "p99_ms", "tokens_per_s")
QUANTILES = ("p50", "p95")
OOD = {"ar": "ood", "seen": "ood_seen", "unseen": "ood_unseen"}
"""how summary.json calls the AR of a split"""


def data_row(stats: dict[str, Any]) -> Row:
    """The paper's Table 1 row: the scalars of the dataset's statistics."""
    return {name: value for name, value in stats.items() if not isinstance(value, dict | list)}


def system_row(results: Results) -> Row:
    """All figures of one system, its in-domain rates at the top: `ar`, `ood.ar`, `qps.cc64`."""
    rates = results.rates
    row = {
        **_rate(rates["test"]),
        "function_accuracy": rates["test"]["function_accuracy"],
        "failures": rates["test"]["failures"],
        **{split: _rate(rates[split]) for split in ("ood", "ood_seen", "ood_unseen", "without_knowledge")},
        "with_knowledge": rates["test"]["by_tag"].get("knowledge", {"n": 0}),
        **results.cost,
        **rates["workload"],
        **(_served(results.bench) if results.bench else {}),
    }
    return known(row)


def deciding(row: Row) -> Row:
    """Those of a system in `summary.json`: what a branch is judged by. Times are of one client, or of the best load."""
    return known(
        {
            **{name: row.get(name) for name in ("n", "ar", "ar_low", "ar_high")},
            **{f"ood_{name}": row[split].get("ar") for name, split in OOD.items()},
            "gflops": row["gflops_gemm"],
            "mb": row["weights_mb"],
            "qps": max(row["qps"].values(), default=None) if "qps" in row else None,
            "p50_ms": row.get("p50_ms", {}).get("cc1"),
        }
    )


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


def flat(row: Mapping[str, Any], prefix: str = "") -> Row:
    """A figure a key.

    >>> flat({"ar": 0.9, "qps": {"cc1": 2.0}})
    {'ar': 0.9, 'qps.cc1': 2.0}
    """
    found: Row = {}
    for key, value in row.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def wide(rows: Mapping[str, Row]) -> list[Row]:
    """All figures of every system, a row each, under the union of their names; empty what one has not."""
    flattened = {name: flat(row) for name, row in rows.items()}
    names = dict.fromkeys(name for row in flattened.values() for name in row)
    return [{"system": system} | {name: row.get(name, "") for name in names} for system, row in flattened.items()]


def known(row: Row) -> Row:
    """Without what was not measured (an empty test split has no AR): DVC knows no null metric."""
    found = {name: known(value) if isinstance(value, dict) else value for name, value in row.items()}
    return {name: value for name, value in found.items() if value is not None}


def _rate(rate: Row) -> Row:
    return {name: rate[name] for name in ("n", "ar", "ar_low", "ar_high", "exact_match")}
