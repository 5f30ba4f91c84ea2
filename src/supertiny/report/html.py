"""One HTML file without a script or a link: the page of results with its pictures, parameters, stages, provenance."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from markdown_it import MarkdownIt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from supertiny.core.errors import UserError
from supertiny.core.git import Provenance
from supertiny.report.page import STEPS
from supertiny.report.pictures import COLOURS, MARKERS, canvas
from supertiny.report.rows import Point

TEMPLATE = Path(__file__).with_name("page.html")
PLACES = {
    "pareto": "Quality and cost",
    "functions": "Where the in-domain answers fail",
    "response": "Response time",
    **{name: step.heading for name, step in STEPS.items()},
}
"""picture -> how the heading begins that it stands under; any other has a section of its own at the end"""
HEADINGS = {"learning": "Learning curves"}
"""of those"""
CAPTIONS = {
    "pareto": "Achievable Rate against cost, panels for each set of queries; the line joins the models that no other "
    "beats in both (paper Figure 3)",
    "functions": "Achievable Rate of each function by each model, the easiest first; lines part the sets of queries, "
    "and in brackets is how many each has: most are too few to lean on",
    "response": "Response times as ratios to those of one system (paper Figure 5)",
    "learning": "Learning curves of every run: fine-tuning, distillation, recovery",
    "distance": "Divergence from the teacher, the histogram of alpha, and where mu decides anything",
    "rl": "Rewards and replies in reinforcement learning",
    "compression": "The importance of every block, and the perplexity of every searched shape",
    "retrieval": "Recall@k of every retriever",
    "judge": "What each judge calls right",
    "ablation": "Achievable Rate of each variant of the prototype",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where the figures come from."""

    origin: Provenance
    profile: str
    files: Mapping[str, str]
    """name -> text of the parameter files"""
    stages: Mapping[str, str]
    """such as distill@tiny -> what it does, in the order of dvc.yaml"""


def html_page(results: str, pictures: Mapping[str, bytes], project: Project) -> str:
    """`results`: the page of results in Markdown; `pictures`: name -> SVG."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    title, *texts = f"\n{results}".split("\n## ")
    sections = [(heading, markdown.render(body)) for heading, _, body in (text.partition("\n") for text in texts)]
    if not sections:
        raise UserError("metrics/results.md has no sections; run `dvc repro report`")
    left, shown = dict(pictures), []
    for heading, body in sections:
        own = [name for name in left if heading.startswith(PLACES.get(name, "\n"))]
        shown.append((heading, body + "".join(_figure(name, left.pop(name)) for name in own)))
    # a step that params.yaml leaves out has no section, and its picture is empty
    shown += [(HEADINGS.get(name, name), _figure(name, svg)) for name, svg in left.items() if name not in STEPS]
    shown += [("Stages", _stages(project.stages)), ("Parameters", _files(project.files))]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        intro=markdown.render(title.partition("\n\n")[2]),
        origin=_origin(project),
        nav="".join(f'<li><a href="#s{at}">{escape(heading)}</a></li>' for at, (heading, _) in enumerate(shown)),
        sections="".join(_section(f"s{at}", heading, body) for at, (heading, body) in enumerate(shown)),
    )


def _section(anchor: str, heading: str, body: str) -> str:
    body = body.replace("<table", '<div class="wide"><table').replace("</table>", "</table></div>")
    return f'<section id="{anchor}"><h2>{escape(heading)}</h2>{body}</section>\n'


def _figure(name: str, svg: bytes) -> str:
    """A picture as an image of its own: the ids and styles of two SVGs in one page would be mixed up."""
    caption = escape(CAPTIONS.get(name, name))
    source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    return f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>\n'


def _origin(project: Project) -> str:
    rows = {
        "git revision": project.origin.revision,
        "dvc.lock, sha256": project.origin.lock_sha256,
        "profile": project.profile,
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())


def _stages(stages: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(what)}</td></tr>" for name, what in stages.items())
    return f'<table class="text"><tbody>{rows}</tbody></table>'


def _files(files: Mapping[str, str]) -> str:
    return "".join(
        f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>" for name, text in files.items()
    )


SPLITS = {"test": "in domain", "ood": "out of domain"}
TIMES = {"p50": "median", "p95": "95th percentile"}


def functions(points: list[Point], titles: dict[str, str], out: Path) -> None:
    """AR of each function (down, the easiest first) by each model (across), in domain and out of it.

    A block of columns for each table, whose models answered the same queries; how many of them a function has in each
    block stands behind its name.
    """
    columns = list(dict.fromkeys((point["queries"], point["model"]) for point in points))
    panels = {split: _grid([one for one in points if one["split"] == split], columns) for split in SPLITS}
    tallest = max(1, *(len(names) for names, _ in panels.values()))
    with canvas(out, 5.5 + 0.55 * len(columns), 1.8 + 0.17 * tallest) as figure:
        for axes, (split, (names, grid)) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            axes.grid(visible=False)
            axes.set_facecolor("#e8e8e8")
            if grid.size:
                axes.pcolormesh(grid, vmin=0, vmax=1, cmap="viridis", edgecolors="white", linewidth=0.5)
            for at, ((queries, _), (before, _)) in enumerate(zip(columns[1:], columns, strict=False), 1):
                if queries != before:
                    axes.axvline(at, color="black", linewidth=1.5)
            axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=7)
            ticks = [titles[name] for _, name in columns]
            axes.set_xticks(np.arange(len(columns)) + 0.5, ticks, rotation=90, fontsize=8)
            axes.xaxis.tick_top()
            axes.set_ylim(tallest, 0)  # both panels in the same scale
            axes.set_xlabel(f"{SPLITS[split]} (queries)", fontsize=10)
            axes.xaxis.set_label_position("top")
        colours = ScalarMappable(Normalize(0, 1), "viridis")
        figure.colorbar(colours, ax=figure.axes, label="Achievable Rate; grey: not asked", shrink=0.4, anchor=(0, 1))


def _grid(points: list[Point], columns: list[tuple[str, str]]) -> tuple[list[str], NDArray[np.float64]]:
    """Labels and AR (function, column), NaN where a model was not asked; easiest first, by the mean over columns."""
    rates: dict[str, dict[tuple[str, str], float]] = {}
    asked: dict[str, dict[str, str]] = {}
    for point in points:
        name, queries = point["function"], point["queries"]
        rates.setdefault(name, {})[queries, point["model"]] = float(point["ar"])
        asked.setdefault(name, {})[queries] = point["n"]
    order = sorted(rates, key=lambda name: (-sum(rates[name].values()) / len(rates[name]), name))
    grid = [[rates[name].get(column, float("nan")) for column in columns] for name in order]
    labels = [f"{name} ({', '.join(asked[name].values())})" for name in order]
    return labels, np.array(grid).reshape(len(order), len(columns))


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
