"""Recall@k of every retriever (paper App. D, Table 5)."""

from pathlib import Path

from matplotlib.axes import Axes

from supertiny.report.pictures import COLOURS, MARKERS, canvas
from supertiny.report.rows import Row
from supertiny.report.steps import Step, of_file
from supertiny.report.tables import marked, number, table

TITLES = {
    "classifier": "classifier, fine-tuned",
    "query_name": "query in names",
    "query_description": "query in descriptions",
    "query_parameters": "query in parameters",
    "dialogue": "dialogue and query",
    "zero_shot": "API description",
    "zero_shot_instructed": "API description, instructed",
    "optimized": "API description, Algorithm 1",
    "optimized_instructed": "API description, Algorithm 1, instructed",
}
"""what the table calls a row of `retrieve.table`; any other goes by its name"""
PANELS = {"test": "in domain", "ood_seen": "OOD, seen functions", "ood_unseen": "OOD, unseen functions"}
DECIDING = ("classifier", "optimized")
"""the two that were trained: one knows its functions, the other finds new ones"""
SPLITS = ("test", "ood", "ood_seen", "ood_unseen")


def figures(found: Row) -> Row:
    """`retrieval.<name>.recall5` in domain, `retrieval.<name>.ood.recall5` out of it."""
    return {
        name: {**_recalls(row, "test"), **{split: _recalls(row, split) for split in SPLITS[1:]}}
        for name, row in found.items()
    }


def decides(found: Row) -> Row:
    """Recall at the first cutoff of what was trained, in domain and of functions never trained on."""
    chosen = {name: row["recall"] for name, row in found.items() if name in DECIDING}
    return {
        name: {
            f"{title}recall{k}": value
            for split, title in (("test", ""), ("ood_unseen", "unseen_"))
            for k, value in list(recall.get(split, {}).items())[:1]
        }
        for name, recall in chosen.items()
    }


def rows(found: Row) -> list[Row]:
    """A row for each retriever, split and k."""
    return [
        {"retriever": name, "split": split, "k": int(k), "recall": value, "n": row["n"][split]}
        for name, row in found.items()
        for split, recalls in row["recall"].items()
        for k, value in recalls.items()
    ]


def section(found: Row) -> str:
    """One line a retriever; n are the queries whose reference is a call."""
    cutoffs = list(dict.fromkeys(k for row in found.values() for recalls in row["recall"].values() for k in recalls))
    shown = {"test": ("", cutoffs), "ood": ("OOD ", cutoffs), "ood_unseen": ("unseen ", cutoffs[:1])}
    header = ["retriever", "extensible"]
    for title, ks in shown.values():
        header += [*(f"{title}@{k}" for k in ks), f"{title}n"]
    body = []
    for name, row in found.items():
        cells = [TITLES.get(name, name), "yes" if row["extensible"] else "no"]
        for split, (_, ks) in shown.items():
            recalls = row["recall"].get(split, {})
            n = row["n"].get(split)
            cells += [*(marked(number(recalls.get(k)), n) for k in ks), number(n)]
        body.append(cells)
    return (
        "Share of the queries that need a call whose function is among the first k. Extensible: a function added at "
        "run time is found without training. Unseen: the OOD queries whose function was never trained on.\n\n"
        + table(header, body)
    )


def draw(points: list[Row], out: Path) -> None:
    """Recall over k, a line a retriever, a panel each of in domain, OOD seen and OOD unseen."""
    names = list(dict.fromkeys(point["retriever"] for point in points))
    with canvas(out, 11.5, 0.25 * max(0, len(names) - 9) + 4) as figure:
        grid = list(figure.subplots(1, len(PANELS), sharey=True))
        for axes, (split, title) in zip(grid, PANELS.items(), strict=True):
            _panel(axes, names, [point for point in points if point["split"] == split])
            axes.set(title=title, xlabel="k")
        grid[0].set(ylabel="recall@k", ylim=(-0.03, 1.03))
        handles, labels = max((axes.get_legend_handles_labels() for axes in grid), key=lambda found: len(found[1]))
        if handles:
            figure.legend(handles, labels, loc="outside right center")


def _panel(axes: Axes, names: list[str], points: list[Row]) -> None:
    for at, name in enumerate(names):
        curve = [(point["k"], point["recall"]) for point in points if point["retriever"] == name]
        if curve:
            axes.plot(
                *zip(*curve, strict=True),
                color=COLOURS[at % len(COLOURS)],
                marker=MARKERS[at % len(MARKERS)],
                linestyle="-" if at < len(COLOURS) else "--",
                label=TITLES.get(name, name),
            )
    axes.set_xticks(sorted({point["k"] for point in points}))


def _recalls(row: Row, split: str) -> Row:
    recalls = {f"recall{k}": value for k, value in row["recall"].get(split, {}).items()}
    return {"n": row["n"].get(split, 0), **recalls}


STEP = Step(
    heading="Retrieval: recall@k (paper Table 5)",
    find=of_file("retrieval", "retrieval.json"),
    figures=figures,
    decides=decides,
    section=section,
    columns=("retriever", "split", "k", "recall", "n"),
    rows=rows,
    draw=draw,
)
