"""What pruning and quantization cost, the searched shapes, and the smallest model as good (paper Tables 2, 8, 10)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supertiny.core.files import read_json
from supertiny.measure.compare import Compressed, kept, smallest_within
from supertiny.measure.evaluate import clusters
from supertiny.measure.systems import COMPRESSED, MODEL, POLICIES, PROTOTYPE
from supertiny.report.pictures import COLOURS, canvas
from supertiny.report.rows import TEACHER, Facts, Row
from supertiny.report.steps import Step
from supertiny.report.tables import DASH, marked, number, rate, table

SHAPE = ("layers", "hidden", "inter", "parameters_m", "gflops", "perplexity")
HEAD = ["blocks", "hidden", "FFN", "parameters, M", "GFLOPs", "perplexity"]


def find(facts: Facts) -> Row | None:
    """Every compressed system beside the one it was made of; the searches; the smallest as good as the teacher."""
    rows, searches = _rows(facts), _searches(facts)
    if not rows and not searches:
        return None
    prototype = next(iter(facts.of_kind(PROTOTYPE)), None)
    return {
        "rows": rows,
        "smallest": _smallest_of(facts),
        "costs": {name: one.cost for name, one in facts.systems.items()},
        "prototype": facts.systems[prototype].cost if prototype else None,
        "titles": facts.titles | {name: _title(facts, name) for name in searches},
        "searches": searches,
        "importance": next((search["importance"] for search in searches.values()), []),
    }


def _rows(facts: Facts) -> Row:
    of, found = clusters(facts.test), {}
    quantized = facts.tables.trained.get("quantize", {})
    for name, config in facts.of_kind(MODEL).items():
        base = facts.tables.origin(name)
        if config.asked != COMPRESSED or base is None:
            continue
        bits = int(quantized[config.model]["scheme"][1]) if config.model in quantized else None
        made = Compressed(verdicts=facts.verdicts(name), base=facts.verdicts(base), bits=bits)
        found[name] = {"title": facts.titles[name], "base": facts.titles[base], **kept(made, of, facts.seed)}
    return found


def _searches(facts: Facts) -> dict[str, Any]:
    """Of the models whose shape was searched for."""
    shrunk = facts.tables.trained.get("shrink", {})
    found = {name: read_json(facts.results / name / "search.json") for name in shrunk}
    return {name: search for name, search in found.items() if search["searched"]}


def _title(facts: Facts, shrunk: str) -> str:
    """Of the first system that was made of a shrunk model."""
    made = (name for name in facts.systems if shrunk in facts.tables.line(name))
    return next((facts.titles[name] for name in made), shrunk)


def _smallest_of(facts: Facts) -> Row | None:
    """Of the models that were asked enough; None where there is no teacher to be as good as."""
    asked = {name: facts.verdicts(name) for name, one in facts.of_kind(MODEL).items() if one.asked != POLICIES}
    if TEACHER not in asked:
        return None
    sizes = {name: facts.systems[name].cost["weights_mb"] for name in asked}
    return smallest_within(asked, sizes, TEACHER, clusters(facts.test), facts.seed)


def figures(found: Row) -> Row:
    """`p30.recovery`, `p30_cut.search.perplexity`, `smallest.weights_mb`, ..."""
    rows = {
        name: {key: row[key] for key in ("n", "ar", "base_ar", "difference", "recovery")}
        for name, row in found["rows"].items()
    }
    for name, search in found["searches"].items():
        rows.setdefault(name, {})["search"] = {key: _chosen(search)[key] for key in SHAPE}
    return {**rows, "smallest": _smallest(found) or {}}


def decides(found: Row) -> Row:
    """Of each model the share of the other's AR that is left; the smallest as good as the teacher, with its weights."""
    small = _smallest(found)
    kept_shares = {name: row["recovery"] for name, row in found["rows"].items()}
    rows: Row = {name: {"recovery": share} for name, share in kept_shares.items() if share is not None}
    return rows | ({"smallest": {key: small[key] for key in ("name", "weights_mb")}} if small else {})


def rows(found: Row) -> list[Row]:
    """A row a block, with its importance, and a row a searched shape."""
    blocks = [{"kind": "block", "name": at, "value": value} for at, value in enumerate(found["importance"])]
    shapes = [
        {"kind": name, "name": "x".join(str(row[key]) for key in SHAPE[:3]), "value": row["perplexity"]}
        for name, search in found["searches"].items()
        for row in search["rows"]
    ]
    return blocks + shapes


def section(found: Row) -> str:
    """What each compression cost, the grids of the searches, the smallest model."""
    grids = [_grid(found["titles"][name], search) for name, search in found["searches"].items()]
    parts = [_cost(found) if found["rows"] else "", _told(found), *grids]
    return "\n\n".join(part for part in parts if part)


def _cost(found: Row) -> str:
    head = ["model", "made of", "AR", "n", "AR of that", "difference", "AR kept", "asked", "weights, MB"]
    lines = []
    for name, row in found["rows"].items():
        cost = found["costs"][name]
        least = "-" if row["gate"] is None else f"{row['gate']:.2f}, {_verdict(row)}"
        shares = [marked(number(row[key]), row["n"]) for key in ("base_ar", "recovery")]
        rates = [rate(row), number(row["n"]), shares[0], rate(row, "difference"), shares[1]]
        ratios = [_times(found["prototype"], cost, key) for key in ("weights_mb", "gflops_gemm")]
        lines.append([row["title"], row["base"], *rates, least, number(cost["weights_mb"], 1), *ratios])
    told = (
        "Every compressed model beside the one it was made of, on the in-domain queries that both answered; the "
        "difference with its 95 % interval, query by query, AR kept as a share of the other's, and the "
        "share asked of quantization. To the right, how many times smaller and cheaper a request it is than the "
        "prototype. Quantized models are emulated here, exactly: their weights are the numbers that codes and scales "
        "stand for, and FP8 codes are multiplied as such. Nothing is faster for it, so they have no load test."
    )
    return f"{told}\n\n" + table([*head, "times smaller", "times fewer GFLOPs"], lines)


def _times(prototype: Row | None, cost: Mapping[str, float], key: str) -> str:
    return f"{prototype[key] / cost[key]:.1f}" if prototype else DASH


def _verdict(row: Row) -> str:
    return "kept" if row["recovery"] is not None and row["recovery"] >= row["gate"] else "missed"


def _told(found: Row) -> str:
    small = _smallest(found)
    if small is None:
        return ""
    title, size = found["titles"][small["name"]], small["times_smaller"]
    smaller = f", {number(size, 1)} times smaller than the prototype's weights" if size is not None else ""
    return (
        f"The smallest model whose AR is within a point of the teacher's: {title}, "
        f"{number(small['weights_mb'], 1)} MB{smaller} "
        f"(difference {rate(small, 'difference')}, n {number(small['n'])})."
    )


def _smallest(found: Row) -> Row | None:
    small, prototype = found["smallest"], found["prototype"]
    if small is None:
        return None
    weights = found["costs"][small["name"]]["weights_mb"]
    times = round(prototype["weights_mb"] / weights, 2) if prototype else None
    return {**small, "weights_mb": weights, "times_smaller": times}


def _grid(title: str, search: Row) -> str:
    """The paper's Table 8: every shape under the budget, and its perplexity before any recovery."""
    base = search["base"]
    shapes = sorted(search["rows"], key=lambda row: row["perplexity"])
    lines = [["the whole one", *(number(base[key]) for key in SHAPE)]]
    lines += [["**chosen**" if row["chosen"] else "", *(number(row[key]) for key in SHAPE)] for row in shapes]
    told = (
        f"Shapes of *{title}*: at most {search['budget']}, vocabulary trimmed; scored as they are cut, before recovery."
    )
    return f"{told}\n\n" + table(["", *HEAD], lines)


def _chosen(search: Row) -> Row:
    return next(row for row in search["rows"] if row["chosen"])


def draw(points: list[Row], out: Path) -> None:
    """The importance of every block, and the perplexity of every searched shape."""
    searches = list(dict.fromkeys(point["kind"] for point in points if point["kind"] != "block"))
    with canvas(out, 12, 4.2) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        blocks = [point for point in points if point["kind"] == "block"]
        left.bar([point["name"] for point in blocks], [point["value"] for point in blocks], color=COLOURS[0])
        left.set(xlabel="block", ylabel="importance, 1 - cos (log)", yscale="log", title="what each block changes")
        for at, name in enumerate(searches):
            shapes = sorted((point for point in points if point["kind"] == name), key=lambda point: point["value"])
            values = [point["value"] for point in shapes]
            right.plot(
                range(1, len(values) + 1), values, color=COLOURS[(at + 1) % len(COLOURS)], marker="o", label=name
            )
        right.set(xlabel="shape, the best first", ylabel="perplexity as cut (log)", yscale="log", title="the search")
        if searches:
            right.legend()


STEP = Step(
    heading="Pruning and quantization (paper Tables 8 and 10)",
    find=find,
    figures=figures,
    decides=decides,
    section=section,
    columns=("kind", "name", "value"),
    rows=rows,
    draw=draw,
)
