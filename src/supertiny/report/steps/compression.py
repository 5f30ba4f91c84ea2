"""What pruning and quantization cost, the searched shapes, and the smallest model as good (paper Tables 2, 8, 10)."""

from pathlib import Path

from supertiny.report.pictures import COLOURS, canvas
from supertiny.report.rows import Row, Step
from supertiny.report.tables import number, rate, table

SHAPE = ("layers", "hidden", "inter", "parameters_m", "gflops", "perplexity")
HEAD = ["blocks", "hidden", "FFN", "parameters, M", "GFLOPs", "perplexity"]


def summary(found: Row) -> Row:
    """`compression.p30.recovery`, `compression.p30.search.perplexity`, `compression.smallest.weights_mb`, ..."""
    rows = {
        name: {key: row[key] for key in ("n", "ar", "base_ar", "difference", "recovery")}
        for name, row in found["rows"].items()
    }
    for name, search in found["searches"].items():
        rows[name]["search"] = {key: _chosen(search)[key] for key in SHAPE}
    return {**rows, "smallest": _smallest(found)}


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
    return "\n\n".join([_cost(found), _told(found), *grids])


def _cost(found: Row) -> str:
    head = ["model", "made of", "AR", "n", "AR of that", "difference", "AR kept", "asked", "weights, MB"]
    prototype = found["costs"]["prototype"]
    lines = []
    for name, row in found["rows"].items():
        cost = found["costs"][name]
        least = "-" if row["gate"] is None else f"{row['gate']:.2f}, {_verdict(row)}"
        rates = [rate(row), number(row["n"]), number(row["base_ar"]), rate(row, "difference"), number(row["recovery"])]
        ratios = [f"{prototype[key] / cost[key]:.1f}" for key in ("weights_mb", "gflops_gemm")]
        lines.append([row["title"], row["base"], *rates, least, number(cost["weights_mb"], 1), *ratios])
    told = (
        "Every compressed model beside the one it was made of, on the in-domain queries that both answered; the "
        "difference with the 95 % interval of a bootstrap over queries, AR kept as a share of the other's, and the "
        "share asked of quantization. To the right, how many times smaller and cheaper a request it is than the "
        "prototype. Quantized models are emulated here, exactly: their weights are the numbers that codes and scales "
        "stand for, and FP8 codes are multiplied as such. Nothing is faster for it, so they have no load test."
    )
    return f"{told}\n\n" + table([*head, "times smaller", "times fewer GFLOPs"], lines)


def _verdict(row: Row) -> str:
    return "kept" if row["recovery"] is not None and row["recovery"] >= row["gate"] else "missed"


def _told(found: Row) -> str:
    small = _smallest(found)
    title, size = found["titles"][small["name"]], number(small["times_smaller"], 1)
    return (
        f"The smallest model whose AR is within a point of the teacher's: {title}, "
        f"{number(small['weights_mb'], 1)} MB, {size} times smaller than the prototype's weights "
        f"(difference {rate(small, 'difference')}, n {number(small['n'])})."
    )


def _smallest(found: Row) -> Row:
    small = found["smallest"]
    weights = found["costs"][small["name"]]["weights_mb"]
    times = round(found["costs"]["prototype"]["weights_mb"] / weights, 2)
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
            right.plot(range(1, len(values) + 1), values, color=COLOURS[at + 1], marker="o", label=name)
        right.set(xlabel="shape, the best first", ylabel="perplexity as cut (log)", yscale="log", title="the search")
        if searches:
            right.legend()


STEP = Step(
    stage="compression",
    file="compression.json",
    heading="Pruning and quantization (paper Tables 8 and 10)",
    summary=summary,
    section=section,
    rows=rows,
    draw=draw,
)
