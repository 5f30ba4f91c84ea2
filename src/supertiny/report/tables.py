"""The page of results: the tables with one row a model, and the sections of all other steps among them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supertiny.report.rows import Compared, Point, Results, Row, system_row

DASH = "-"
ENOUGH, FEW = 30, "†"
"""queries from which a figure stands unmarked, and the mark of one of fewer"""


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


def marked(figure: str, n: int | None) -> str:
    """The figure, with a mark where it is of fewer than `ENOUGH` queries; None: it is of no number of queries.

    >>> marked("0.900", 29), marked("0.900", 30), marked("-", 0), marked("0.900", None)
    ('0.900 †', '0.900', '-', '0.900')
    """
    return f"{figure} {FEW}" if n is not None and n < ENOUGH and figure != DASH else figure


def rate(row: Row, name: str = "ar") -> str:
    """A rate and its interval, marked where the row's `n` are few.

    >>> rate({"ar": 0.9, "ar_low": 0.85, "ar_high": 0.94}), rate({"ar": 0.5, "ar_low": 0.0, "ar_high": 1.0, "n": 2})
    ('0.900 [0.850, 0.940]', '0.500 [0.000, 1.000] †')
    """
    if row.get(name) is None:
        return DASH
    ends = f"[{number(row[f'{name}_low'])}, {number(row[f'{name}_high'])}]"
    return marked(f"{number(row[name])} {ends}", row.get("n"))


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


TOLD = (
    "AR: Achievable Rate, the share of answers that satisfy their query. In brackets its 95 % interval: a bootstrap "
    "over the templates of the queries, over the functions where they were never trained on, since queries that were "
    f"made alike are answered alike; Wilson's at 0 and 1. {FEW}: of fewer than {ENOUGH} queries. OOD: a scenario with "
    "functions never trained on. GFLOPs of the mean request of all that a system was asked. All rows of a table are "
    "over the same queries: systems that were asked fewer have a table of their own, with the teacher and what they "
    "were made of beside them."
)


def results_page(
    models: dict[str, Results], sheets: Sequence[Compared], data: Row, sections: Sequence[tuple[str, str]], profile: str
) -> str:
    """Everything the graph measured, as one Markdown page; `sections` are (heading, text) of what is no model's own."""
    rows = {results.title: system_row(results) for results in models.values()}
    served = {title: row for title, row in rows.items() if "qps" in row}
    parts = [
        "# Results",
        f"Profile `{profile}`. {TOLD}",
        "## The data (paper Table 1)",
        _data(data),
        "## Quality and cost (paper Table 2)",
        _each(sheets, _quality),
        "## Where the in-domain answers fail, share of all",
        _each(sheets, _failures),
        *_judged(sheets),
        "## What a note of the knowledge base is worth (paper 3.1)",
        "In-domain queries that only a note of the knowledge base explains, answered with the note and without.",
        _each(sheets, _knowledge),
        *(part for heading, text in sections for part in (f"## {heading}", text)),
        *(_served(served, models) if served else []),
    ]
    return "\n\n".join(parts) + "\n"


def _each(sheets: Sequence[Compared], shown: Callable[[dict[str, Row]], str]) -> str:
    """What is shown of each table's systems, under the queries that they answered."""
    parts = []
    for sheet in sheets:
        rows = {sheet.systems[name].title: row for name, row in sheet.rows.items()}
        first = next(iter(rows.values()))
        told, unseen = f"On {sheet.queries}, of {first['clusters']:,} templates in domain", first["ood_unseen"]
        if unseen["n"]:
            told += f", {unseen['n']:,} for {unseen['clusters']:,} functions never trained on"
        parts += [f"{told}:", shown(rows)]
    return "\n\n".join(parts)


def _judged(sheets: Sequence[Compared]) -> list[str]:
    """The section on what other judges say of the answers; none where none was asked."""
    if not any(row["ar_by"] for sheet in sheets for row in sheet.rows.values()):
        return []
    told = (
        "AR by the reference judge, which measures here, and by each other judge that was held against the experts and "
        "can be asked of every answer: how far models' answers part them. How far each agrees with the experts is told "
        "in *The judge against the experts*; a language model as a judge is asked there alone."
    )
    return ["## The same answers by other judges (paper 3.1)", told, _each(sheets, _by_judge)]


def _by_judge(rows: dict[str, Row]) -> str:
    judges = list(dict.fromkeys(judge for row in rows.values() for judge in row["ar_by"]))
    header = ["model", "n", "AR, reference", *(f"AR, {judge}" for judge in judges)]
    header += ["n OOD", "AR OOD, reference", *(f"AR OOD, {judge}" for judge in judges)]
    body = []
    for title, row in rows.items():
        cells = []
        for one in (row, row["ood"]):
            shares = [one.get("ar"), *(one["ar_by"].get(judge) for judge in judges)]
            cells += [number(one["n"]), *(marked(number(share), one["n"]) for share in shares)]
        body.append([title, *cells])
    return table(header, body)


def _served(rows: dict[str, Row], models: dict[str, Results]) -> list[str]:
    return [
        "## Queries a second at cc concurrent clients (paper Table 4)",
        _speed(rows),
        "## Response time, p50 / p95, ms",
        _response(rows),
        _machines(models),
    ]


def _quality(rows: dict[str, Row]) -> str:
    header = ["model", "AR", "n", "exact match", "AR, grown list", "n", "AR OOD", "n OOD", "seen functions"]
    header += ["unseen functions"]
    header += ["GFLOPs (App. J)", "GFLOPs (GEMM)", "parameters, M", "weights, MB"]
    body = []
    for title, row in rows.items():
        exact = marked(number(row.get("exact_match")), row["n"])
        more = [rate(row["grown"]), number(row["grown"]["n"])]
        ood = [rate(row["ood"]), number(row["ood"]["n"]), rate(row["ood_seen"]), rate(row["ood_unseen"])]
        costs = [number(row[name]) for name in ("gflops_paper", "gflops_gemm", "parameters_m", "weights_mb")]
        body.append([title, rate(row), number(row["n"]), exact, *more, *ood, *costs])
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
    body = [
        [title, *(marked(number(row.get("failures", {}).get(kind)), row["n"]) for kind in kinds)]
        for title, row in rows.items()
    ]
    return table(["model", *kinds], body)


def _knowledge(rows: dict[str, Row]) -> str:
    body = []
    for title, row in rows.items():
        known = row["with_knowledge"]
        with_note = marked(number(known.get("ar")), known["n"])
        body.append([title, number(known["n"]), with_note, rate(row["without_knowledge"])])
    return table(["model", "n", "AR with", "AR without"], body)


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


def readme_tables(points: Sequence[Point], titles: Mapping[str, str]) -> str:
    """The rows of pareto.csv beside the paper's figures, a table for each set of queries; unmeasured systems last."""
    sheets: dict[str, list[Point]] = {}
    for point in points:
        sheets.setdefault(point["queries"], []).append(point)
    parts = []
    for queries, rows in sheets.items():
        parts += [f"On {queries}:", _readme_table({row["model"]: row for row in rows}, titles)]
    missing = [title for name, title in titles.items() if name not in {point["model"] for point in points}]
    return "\n\n".join([*parts, *([f"Not measured yet: {'; '.join(missing)}."] if missing else [])])


def _readme_table(rows: Mapping[str, Point], titles: Mapping[str, str]) -> str:
    header = ["system", "AR", "AR, OOD unseen", "GFLOPs", "weights, MB", "QPS"]
    header += ["the paper's", "AR", "AR, OOD", "GFLOPs", "QPS"]
    body = []
    for name, row in rows.items():
        printed = PAPER.get(name)
        figures = {key: float(value) for key, value in row.items() if key not in ("queries", "model") and value}
        ends = {"ar_low": figures["low"], "ar_high": figures["high"]}
        unseen = marked(number(figures.get("unseen")), int(row["n_unseen"]))
        ours = [rate({"ar": figures["ar"], **ends, "n": int(row["n"])}), unseen]
        ours += [number(figures[key] or None) for key in ("gflops", "mb", "qps")]
        theirs = [DASH] * 5
        if printed is not None:
            shares = (None if value is None else value / 100 for value in (printed.ar, printed.ood))
            theirs = [printed.model, *map(number, shares), number(printed.gflops), number(printed.qps)]
        body.append([titles.get(name, name), *ours, *theirs])
    return table(header, body)
