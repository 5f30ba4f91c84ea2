"""The pictures that the tables of the report have the numbers for, drawn when the page is made."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from supertiny.report.canvas import COLOURS, MARKERS, canvas
from supertiny.report.curves import Point

SPLITS = {"test": "in domain", "ood": "out of domain"}
TIMES = {"p50": "median", "p95": "95th percentile"}


def functions(points: list[Point], titles: dict[str, str], out: Path) -> None:
    """AR of each function (down, the easiest first) by each model (across), in domain and out of it, with its n."""
    models = list(dict.fromkeys(point["model"] for point in points))
    panels = {split: _grid([one for one in points if one["split"] == split], models) for split in SPLITS}
    tallest = max(1, *(len(names) for names, _ in panels.values()))
    with canvas(out, 5.5 + 0.55 * len(models), 1.8 + 0.17 * tallest) as figure:
        for axes, (split, (names, grid)) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            axes.grid(visible=False)
            axes.set_facecolor("#e8e8e8")
            if grid.size:
                axes.pcolormesh(grid, vmin=0, vmax=1, cmap="viridis", edgecolors="white", linewidth=0.5)
            axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=7)
            axes.set_xticks(np.arange(len(models)) + 0.5, [titles[name] for name in models], rotation=90, fontsize=8)
            axes.xaxis.tick_top()
            axes.set_ylim(tallest, 0)  # both panels in the same scale
            axes.set_xlabel(f"{SPLITS[split]} (queries)", fontsize=10)
            axes.xaxis.set_label_position("top")
        colours = ScalarMappable(Normalize(0, 1), "viridis")
        figure.colorbar(colours, ax=figure.axes, label="Achievable Rate; grey: not asked", shrink=0.4, anchor=(0, 1))


def _grid(points: list[Point], models: list[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Labels and AR (function, model), NaN where a model was not asked; easiest first, by the mean over models."""
    rates: dict[str, dict[str, float]] = {}
    asked: dict[str, int] = {}
    for point in points:
        name = point["function"]
        rates.setdefault(name, {})[point["model"]] = float(point["ar"])
        asked[name] = max(asked.get(name, 0), int(point["n"]))
    order = sorted(rates, key=lambda name: (-sum(rates[name].values()) / len(rates[name]), name))
    grid = [[rates[name].get(model, float("nan")) for model in models] for name in order]
    return [f"{name} ({asked[name]})" for name in order], np.array(grid).reshape(len(order), len(models))


def response(points: list[Point], titles: dict[str, str], out: Path) -> None:
    """Response time against that of one system, at each number of clients; a model keeps its colour of the tables."""
    order = list(titles)
    with canvas(out, 11, 4.2) as figure:
        panels = figure.subplots(1, len(TIMES), sharey=True)
        for axes, (column, title) in zip(panels, TIMES.items(), strict=True):
            for name in dict.fromkeys(point["model"] for point in points):
                at = order.index(name)
                own = [(int(point["clients"]), float(point[column])) for point in points if point["model"] == name]
                style = {"marker": MARKERS[at % len(MARKERS)], "color": COLOURS[at % len(COLOURS)]}
                axes.plot(*zip(*own, strict=True), label=titles[name], **style)
            _ratios(axes, sorted({int(point["clients"]) for point in points}))
            axes.set(title=title, xlabel="concurrent clients (log)")
        if points:
            panels[0].set_ylabel(f"response time, times that of\n{titles[points[0]['of']]} (log)")
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")


def _ratios(axes: Axes, clients: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(clients, [str(one) for one in clients])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
