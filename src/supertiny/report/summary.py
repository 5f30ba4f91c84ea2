"""The figures of each model as plain rows: what `dvc metrics`, the tables and the plots read."""

from typing import Any

from supertiny.report.models import Results

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
