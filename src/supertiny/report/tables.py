"""The page of results: the tables with one row a model, and the sections of all other steps among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supertiny.report.rows import Results, Row

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
        *(_served(served, models) if served else []),
    ]
    return "\n\n".join(parts) + "\n"


def _served(rows: dict[str, Row], models: dict[str, Results]) -> list[str]:
    return [
        "## Queries a second at cc concurrent clients (paper Table 4)",
        _speed(rows),
        "## Response time, p50 / p95, ms",
        _response(rows),
        _machines(models),
    ]


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


@dataclass(frozen=True, slots=True)
class Printed:
    """What the paper prints of the system that ours stands for: AR in per cent, GFLOPs, QPS at its best load."""

    model: str
    ar: float
    ood: float | None
    gflops: float | None
    qps: float | None


PAPER = {
    "prototype": Printed("72B in context", 94.74, 94.63, 4907.50, None),
    "baseline": Printed("BERT", 81.43, None, 38.65, 1110.88),
    "sft": Printed("7B RFT", 95.29, 90.86, 434.04, 20.06),
    "tiny_rft": Printed("0.5B RFT", 94.66, 90.62, 43.31, 517.13),
    "tiny_kd": Printed("0.5B KD", 94.85, None, 43.31, 517.13),
    "p20": Printed("0.4B width", 94.17, None, 33.10, 581.23),
    "p30": Printed("0.35B width", 93.71, None, None, None),
    "w8a16": Printed("0.5B KD W8A16", 94.76, None, None, 521.41),
    "w4a16": Printed("0.5B KD W4A16", 94.19, None, None, 519.22),
    "w8a8": Printed("0.5B KD W8A8", 94.83, None, None, 668.35),
    "teacher_rl": Printed("7B RL", 95.36, 94.80, None, None),
    "tiny_rl": Printed("0.5B RL", 90.76, 85.21, None, None),
    "tiny_star": Printed("0.5B KD*", 88.49, 84.14, None, None),
    "tiny_star_rl": Printed("0.5B KD* + RL", 95.55, 91.68, None, None),
}
"""system of the default graph -> the paper's (Tables 2, 4, 10, 11)"""


def readme_table(summary: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The figures that decide, of each system in summary.json, beside the paper's."""
    header = ["system", "AR", "AR, OOD unseen", "GFLOPs", "weights, MB", "QPS"]
    header += ["the paper's", "AR", "AR, OOD", "GFLOPs", "QPS"]
    body = []
    for name, title in titles.items():
        row, printed = summary.get(name, {}), PAPER.get(name)
        ours = [rate(row), *(number(row.get(key)) for key in ("ood_unseen", "gflops", "mb", "qps"))]
        theirs = [DASH] * 5
        if printed is not None:
            shares = (None if value is None else value / 100 for value in (printed.ar, printed.ood))
            theirs = [printed.model, *map(number, shares), number(printed.gflops), number(printed.qps)]
        body.append([title, *ours, *theirs])
    return table(header, body)
