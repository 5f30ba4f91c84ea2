"""The page of results: the tables with one row a model, and the sections of all other steps among them."""

from collections.abc import Sequence
from typing import Any

from supertiny.report.rows import Results, Row, model_row

DASH = "-"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right.

    >>> print(table(["model", "AR"], [["sft", ".9"], ["a|b", "-"]]))
    | model | AR |
    |:--|--:|
    | sft | .9 |
    | a\\|b | - |
    """
    lines = ["|".join(["", ":--", *["--:"] * (len(header) - 1), ""])]
    head, *body = ("| " + " | ".join(map(_cell, cells)) + " |" for cells in [header, *rows])
    return "\n".join([head, *lines, *body])


def number(value: Any, digits: int = 3) -> str:
    """A figure to `digits` decimals, one from 10 on; a dash for what was not measured.

    >>> number(0.91254), number(3), number(None), number(1234.567)
    ('0.913', '3', '-', '1,234.6')
    """
    if value is None:
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{digits if abs(value) < 10 else min(digits, 1)}f}"


def rate(row: Row, name: str = "ar") -> str:
    """A rate and its interval.

    >>> rate({"ar": 0.9, "ar_low": 0.85, "ar_high": 0.94})
    '0.900 [0.850, 0.940]'
    """
    if row.get(name) is None:
        return DASH
    return f"{number(row[name])} [{number(row[f'{name}_low'])}, {number(row[f'{name}_high'])}]"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


TABLE_1 = {
    "test_size": "test queries",
    "functions": "functions",
    "parameters": "parameters",
    "ttr": "TTR",
    "entropy_bits": "entropy, bits",
    "functions_seen": "functions trained on",
    "functions_unseen": "functions never trained on",
}


def results_page(
    models: dict[str, Results], rows: dict[str, Row], data: Row, sections: Sequence[tuple[str, str]], profile: str
) -> str:
    """Everything the graph measured, as one Markdown page; `sections` are (heading, text) of what is no model's own."""
    titled = {results.title: rows[name] for name, results in models.items()}
    served = {title: row for title, row in titled.items() if "qps" in row}
    parts = [
        "# Results",
        f"Profile `{profile}`. AR: Achievable Rate, the share of answers that satisfy their query, with its bootstrap "
        "95 % interval. OOD: a scenario with functions never trained on. GFLOPs of one mean request.",
        "## The data (paper Table 1)",
        _data(data),
        "## Quality and cost (paper Table 2)",
        _quality(titled),
        "## Where the in-domain answers fail, share of all",
        _failures(titled),
        "## What a note of the knowledge base is worth (paper 3.1)",
        _knowledge(titled),
        *(part for heading, text in sections for part in (f"## {heading}", text)),
        "## Queries a second at cc concurrent clients (paper Table 4)",
        _speed(served),
        "## Response time, p50 / p95, ms",
        _response(served),
        _machines(models),
    ]
    return "\n\n".join(parts) + "\n"


def row_page(results: Results) -> str:
    """One system's row of Table 2, and of Table 4 where it is served, as soon as it is measured."""
    titled = {results.title: model_row(results)}
    parts = [_quality(titled), *([_speed(titled)] if results.bench else [])]
    return "\n\n".join(parts) + "\n"


def _quality(rows: dict[str, Row]) -> str:
    header = ["model", "AR", "n", "exact match", "AR OOD", "n OOD", "seen functions", "unseen functions"]
    header += ["GFLOPs (App. J)", "GFLOPs (GEMM)", "parameters, M", "weights, MB"]
    body = []
    for title, row in rows.items():
        ood = [rate(row["ood"]), number(row["ood"]["n"]), rate(row["ood_seen"]), rate(row["ood_unseen"])]
        costs = [number(row[name]) for name in ("gflops_paper", "gflops_gemm", "parameters_m", "weights_mb")]
        body.append([title, rate(row), number(row["n"]), number(row.get("exact_match")), *ood, *costs])
    return table(header, body)


def _speed(rows: dict[str, Row]) -> str:
    loads = _loads(rows)
    header = ["model", *loads, "failed requests", "answers unlike evaluate's", "peak memory, MB"]
    return table(
        header,
        [
            [
                title,
                *(number(row["qps"].get(cc), 2) for cc in loads),
                *(number(row[name], 0) for name in ("errors", "differing", "peak_memory_mb")),
            ]
            for title, row in rows.items()
        ],
    )


def _response(rows: dict[str, Row]) -> str:
    def times(row: Row, cc: str) -> str:
        return " / ".join(number(row.get(name, {}).get(cc), 0) for name in ("p50_ms", "p95_ms"))

    loads = _loads(rows)
    return table(["model", *loads], [[title, *(times(row, cc) for cc in loads)] for title, row in rows.items()])


def _loads(rows: dict[str, Row]) -> list[str]:
    return sorted({cc for row in rows.values() for cc in row["qps"]}, key=lambda cc: int(cc.removeprefix("cc")))


def _failures(rows: dict[str, Row]) -> str:
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row.get("failures", {})))
    body = [[title, *(number(row.get("failures", {}).get(kind)) for kind in kinds)] for title, row in rows.items()]
    return table(["model", *kinds], body)


def _knowledge(rows: dict[str, Row]) -> str:
    explained = "In-domain queries that only a note of the knowledge base explains, answered with the note and without."
    body = []
    for title, row in rows.items():
        known = row["with_knowledge"]
        body.append([title, number(known["n"]), number(known.get("ar")), rate(row["without_knowledge"])])
    return f"{explained}\n\n{table(['model', 'n', 'AR with', 'AR without'], body)}"


def _data(data: Row) -> str:
    shown = {TABLE_1.get(name, name): number(value) for name, value in data.items()}
    return table(list(shown), [list(shown.values())])


def _machines(models: dict[str, Results]) -> str:
    """One line for each machine that served, with the models it served."""
    served: dict[str, list[str]] = {}
    for results in models.values():
        if results.bench is None:
            continue
        machine = results.bench["machine"]
        rest = ", ".join(f"{name} {machine[name]}" for name in machine if name not in ("cpu", "cores", "memory_gib"))
        line = (
            f"engine `{results.bench['engine']}` on {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_gib']} GiB; {rest}"
        )
        served.setdefault(line, []).append(results.title)
    if len(served) == 1:
        return f"Measured with {next(iter(served))}."
    return "\n".join(f"- {', '.join(titles)}: measured with {line}." for line, titles in served.items())
