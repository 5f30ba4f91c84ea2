"""The figures as rows: of each system all of them, of each table and picture its own, of each run its loss curve."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from supertiny.baseline.frames import Frame, from_frame
from supertiny.core.calls import Answer, Malformed, Pool, Syntax
from supertiny.core.chat_prompt import parse_full
from supertiny.core.config import load, seed
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, read_jsonl
from supertiny.core.prompt import PromptConfig, read_answer
from supertiny.core.records import Example, read_examples
from supertiny.judge.reference import Failure, Judge, Verdict, judge
from supertiny.measure.compare import Answered, Clusters, rates, splits
from supertiny.measure.evaluate import bare, grown
from supertiny.measure.systems import MODEL, PROTOTYPE, TRADITIONAL, SystemConfig, Tables, tables
from supertiny.model.flops import cost

Row = dict[str, Any]
TEACHER = "sft"
"""the system whose logits are stored: it stands in every table, for what is made of it to be held against"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What the stages evaluate and bench found out about one system, and what a request costs it."""

    title: str
    rates: Row
    """over its queries, or over those of a table; and the mean tokens of all of its queries"""
    cost: Row
    bench: Row | None
    """None where the system is not served"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the report is made of."""

    tables: Tables
    systems: dict[str, Results]
    answers: dict[str, dict[str, Answered]]
    """system -> query id -> its answer"""
    stats: Row
    """of the dataset"""
    pool: Pool
    dev: list[Example]
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

    def verdicts(self, name: str) -> dict[str, bool]:
        """Query id -> whether the system's answer was right."""
        return {query: one.verdict.correct for query, one in self.answers[name].items()}

    def of_kind(self, kind: str) -> dict[str, SystemConfig]:
        """The systems of a kind."""
        return {name: one for name, one in self.tables.systems.items() if one.kind == kind}


def read_facts(data: Path, results: Path, logs: Path, pool: Pool, judges: Mapping[str, Judge]) -> Facts:
    """From the dataset in `data`, with its `pool`, and the files in `results` and `logs`.

    `judges` judge every answer once more.
    """
    found, chosen = tables(), seed()
    dev, test, ood = (read_examples(data / f"{split}.jsonl", pool) for split in ("dev", "test", "ood"))
    asked, by_kind = (
        {row.id: row for row in (*test, *ood, *bare(test), *grown(test, ood))},
        readers(load("prompt", PromptConfig).answer),
    )
    answers = {
        name: read_answers(results / name / "answers.jsonl", by_kind[config.kind], asked, pool, judges)
        for name, config in found.systems.items()
    }
    columns = splits(test, ood)
    return Facts(
        tables=found,
        systems={
            name: read_results(results / name, config, rates(answers[name], columns, chosen), name in found.served)
            for name, config in found.systems.items()
        },
        answers=answers,
        stats=read_json(data / "stats.json"),
        pool=pool,
        dev=dev,
        test=test,
        ood=ood,
        results=results,
        logs=logs,
        seed=chosen,
    )


def read_results(folder: Path, config: SystemConfig, measured: Row, served: bool) -> Results:
    """The result files in `folder`, with the rates that were `measured` from its answers."""
    workload = read_json(folder / "rates.json")["workload"]
    return Results(
        title=config.title,
        rates={**measured, "workload": workload},
        cost=cost(read_json(folder / "size.json"), workload),
        bench=read_json(folder / "bench.json") if served else None,
    )


Reader = Callable[[str, Pool], Answer | Malformed]


def _read_frame(text: str, pool: Pool) -> Answer | Malformed:
    return from_frame(Frame(**json.loads(text)), pool)


def readers(syntax: Syntax) -> dict[str, Reader]:
    """Kind of system -> how what it wrote is read; `syntax` is that of the small models, which they alone write."""
    return {MODEL: partial(read_answer, syntax=syntax), PROTOTYPE: parse_full, TRADITIONAL: _read_frame}


def read_answers(
    path: Path, reader: Reader, asked: Mapping[str, Example], pool: Pool, judges: Mapping[str, Judge]
) -> dict[str, Answered]:
    """The answers of one system as stage evaluate wrote them: its verdict stands, `judges` give theirs beside it."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; run the stage that makes it: `dvc repro {path}`")
    rows = [row for _, row in read_jsonl(path)]
    if strange := [row["id"] for row in rows if row["id"] not in asked]:
        raise UserError(f"{path}: {strange[0]!r} is no query of the tests; run stage evaluate again")
    examples = [asked[row["id"]] for row in rows]
    replies = [
        reader(row["written"], {name: pool[name] for name in example.candidates})
        for row, example in zip(rows, examples, strict=True)
    ]
    said = {name: [one.correct for one in other(examples, replies)] for name, other in judges.items()}
    found = {}
    for at, (row, example, reply) in enumerate(zip(rows, examples, replies, strict=True)):
        failure = Failure(row["failure"]) if row["failure"] else None
        verdict = Verdict(row["correct"], failure, judge(example, reply).exact)
        found[example.id] = Answered(example, reply, verdict, {name: of[at] for name, of in said.items()})
    return found


@dataclass(frozen=True, slots=True)
class Compared:
    """The systems of one table: all their rates are over the same queries, which every one of them answered."""

    systems: dict[str, Results]

    @property
    def rows(self) -> dict[str, Row]:
        """The figures of each system."""
        return {name: system_row(results) for name, results in self.systems.items()}

    @property
    def queries(self) -> str:
        """How many there are: what the table goes by."""
        first = next(iter(self.systems.values())).rates
        return f"{first['test']['n']:,} in-domain and {first['ood']['n']:,} OOD queries"


def compared(facts: Facts) -> list[Compared]:
    """A table for each set of queries that some systems were asked, the largest first.

    In it are those systems and, where they answered more and so these queries too, the teacher and what the systems
    were made of.
    """
    columns = splits(facts.test, facts.ood)
    asked = {name: frozenset(answers) for name, answers in facts.answers.items()}
    found = []
    for queries in sorted(dict.fromkeys(asked.values()), key=len, reverse=True):
        own = [name for name, ids in asked.items() if ids == queries]
        beside = {TEACHER, *map(facts.tables.origin, own)}
        names = [name for name, ids in asked.items() if ids == queries or (name in beside and ids > queries)]
        found.append(Compared({name: _over(facts, name, queries, columns) for name in names}))
    return found


def _over(facts: Facts, name: str, queries: frozenset[str], columns: Mapping[str, Clusters]) -> Results:
    """The results of a system over some of its queries, or all."""
    results = facts.systems[name]
    if len(queries) == len(facts.answers[name]):
        return results
    answers = {query: one for query, one in facts.answers[name].items() if query in queries}
    return replace(results, rates={**results.rates, **rates(answers, columns, facts.seed)})


GRAPH = Path("dvc.yaml")


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
    found = results.rates
    row = {
        **_rate(found["test"]),
        "function_accuracy": found["test"]["function_accuracy"],
        "failures": found["test"]["failures"],
        **{split: _rate(found[split]) for split in ("ood", "ood_seen", "ood_unseen", "without_knowledge", "grown")},
        "with_knowledge": found["test"]["by_tag"].get("knowledge", {"n": 0}),
        **results.cost,
        **found["workload"],
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


PARETO = ("queries", "model", "n", "gflops", "mb", "qps", "ar", "low", "high", "unseen", "n_unseen")


def pareto_rows(sheets: Sequence[Compared]) -> list[Row]:
    """Quality against cost, a row for each system of each table.

    AR with its interval, AR of functions never trained on (empty: none was asked), GFLOPs a request (GEMM count), the
    best QPS of any load (or 0).
    """
    return [
        {
            "queries": sheet.queries,
            "model": name,
            "n": row["n"],
            "gflops": row["gflops_gemm"],
            "mb": row["weights_mb"],
            "qps": max(row.get("qps", {}).values(), default=0.0),
            "ar": row["ar"],
            "low": row["ar_low"],
            "high": row["ar_high"],
            "unseen": row["ood_unseen"].get("ar", ""),
            "n_unseen": row["ood_unseen"]["n"],
        }
        for sheet in sheets
        for name, row in sheet.rows.items()
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


FUNCTIONS = ("queries", "model", "split", "function", "n", "ar")


def function_rows(sheets: Sequence[Compared]) -> list[Row]:
    """AR of each system of each table on each function of the in-domain and the OOD test, by the reference answer."""
    return [
        dict(zip(FUNCTIONS, (sheet.queries, name, split, function, one["n"], one["ar"]), strict=True))
        for sheet in sheets
        for name, results in sheet.systems.items()
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
    return {name: rate[name] for name in ("n", "clusters", "ar", "ar_low", "ar_high", "exact_match", "ar_by")}
