"""The figures that set the models side by side."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from supertiny.core.files import whole_file
from supertiny.report.rows import Point, Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, told apart by everyone"""
MARKERS = "osD^vPX*<>"
STYLE: Any = {
    "svg.hashsalt": "supertiny",
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def canvas(out: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of `width` x `height` inches to draw on; on success it becomes the SVG `out`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        yield figure
        with whole_file(out) as partial:
            figure.savefig(partial, format="svg", metadata={"Date": None})


LEAST_LOSS = 1e-3
"""nats; a smaller loss is drawn as this one, for the axis is logarithmic"""


def pareto(points: list[Row], titles: dict[str, str], out: Path) -> None:
    """AR against GFLOPs a request and against QPS; the line joins the models that no other beats in both.

    A row of panels for each table, whose systems answered the same queries; a model looks the same in all of them.
    """
    sheets = list(dict.fromkeys(point["queries"] for point in points)) or [""]
    with canvas(out, 10, 0.6 + 3.6 * len(sheets)) as figure:
        labels: dict[str, Any] = {}
        for (left, right), queries in zip(figure.subplots(len(sheets), 2, squeeze=False), sheets, strict=True):
            own = [point for point in points if point["queries"] == queries]
            _scatter(left, own, titles, "gflops", cheaper_is="less")
            _scatter(right, own, titles, "qps", cheaper_is="more")
            left.set(xlabel="GFLOPs a request (log)", ylabel="Achievable Rate, 95 % interval", title=queries)
            right.set(xlabel="queries a second, best load (log)")
            handles, names = left.get_legend_handles_labels()
            labels.update(zip(names, handles, strict=True))
        if labels:
            figure.legend(list(labels.values()), list(labels), loc="outside right center")


def learning(curves: dict[str, list[Point]], titles: dict[str, str], out: Path) -> None:
    """Training and dev loss of every run, a panel a run: losses of different kinds share no axis."""
    columns = min(3, max(1, len(curves)))
    rows = max(1, -(-len(curves) // columns))
    with canvas(out, max(5.5, 3.6 * columns), 3.2 * rows) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in list(grid.flat)[len(curves) :]:
            axes.set_visible(False)
        for axes, (name, points) in zip(grid.flat, curves.items(), strict=False):
            _curve(axes, points)
            axes.set(title=titles[name], xlabel="optimizer step", ylabel="loss, nats (log)")


def front(points: list[Row], axis: str, cheaper_is: str) -> list[Row]:
    """The points that no other beats in AR at no more cost, cheapest first.

    >>> [p["ar"] for p in front([{"g": 1, "ar": 0.5}, {"g": 2, "ar": 0.4}, {"g": 3, "ar": 0.9}], "g", "less")]
    [0.5, 0.9]
    """
    best: list[Row] = []
    sign = 1 if cheaper_is == "less" else -1
    for point in sorted(points, key=lambda p: (sign * p[axis], -p["ar"])):
        if not best or point["ar"] > best[-1]["ar"]:
            best.append(point)
    return best


def _scatter(axes: Axes, points: list[Row], titles: dict[str, str], axis: str, cheaper_is: str) -> None:
    measured, order = [point for point in points if point[axis] > 0], list(titles)
    for point in measured:
        at = order.index(point["model"])
        errors = [[point["ar"] - point["low"]], [point["high"] - point["ar"]]]
        axes.errorbar(
            point[axis],
            point["ar"],
            yerr=errors,
            fmt=MARKERS[at % len(MARKERS)],
            color=COLOURS[at % len(COLOURS)],
            label=titles[point["model"]],
            capsize=3,
            markersize=7,
        )
    best = front(measured, axis, cheaper_is)
    axes.plot([p[axis] for p in best], [p["ar"] for p in best], color="grey", linewidth=1, linestyle="--", zorder=0)
    _log_axis(axes, [point[axis] for point in measured])
    axes.set_ylim(0, 1.02)


def _log_axis(axes: Axes, values: list[float]) -> None:
    """A log axis with plain numbers, and air at both ends: a decade at least is shown."""
    axes.set_xscale("log")
    if values:
        air = 2 if max(values) > 4 * min(values) else 4
        axes.set_xlim(min(values) / air, max(values) * air)
    low, high = axes.get_xlim()
    ticks = (1, 2, 5) if high < 1000 * low else (1,)  # more would write over each other
    axes.xaxis.set_major_locator(LogLocator(subs=ticks, numticks=15))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _curve(axes: Axes, points: list[Point]) -> None:
    """Each part of a run is a line of its own, all in the same two colours: a system may have twenty parts."""
    for at, part in enumerate(dict.fromkeys(point.get("part", "") for point in points)):
        own = [point for point in points if point.get("part", "") == part]
        _line(axes, own, "loss", None if at else "training", color=COLOURS[0])
        _line(axes, own, "dev_loss", None if at else "dev", color=COLOURS[1], marker="o")
    axes.set_yscale("log")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right")


def _line(axes: Axes, points: list[Point], column: str, label: str | None, **style: Any) -> None:
    drawn = [(int(point["step"]), max(float(point[column]), LEAST_LOSS)) for point in points if point.get(column)]
    if drawn:
        axes.plot(*zip(*drawn, strict=True), linewidth=1, markersize=4, label=label, **style)
