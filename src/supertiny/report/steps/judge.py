"""How far each judge agrees with the experts, and how many verdicts a planted instruction turns (paper 3.1)."""

from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from supertiny.report.pictures import canvas
from supertiny.report.rows import Row
from supertiny.report.steps import Step, of_file
from supertiny.report.tables import DASH, marked, number, rate, table

MEASURED = (
    "n",
    "clusters",
    "agreement",
    "agreement_low",
    "agreement_high",
    "kappa",
    "precision",
    "recall",
    "unreadable",
)


def figures(found: Row) -> Row:
    """`judge.<kind>.agreement`, `.kappa`, ..., `.judged_right.<kind of reply>`, `.injections_flipped`."""
    return {
        name: {
            **{key: one.get(key) for key in MEASURED},
            "judged_right": {kind: row["judged_right"] for kind, row in one["by_kind"].items()},
            "injections_flipped": one["injections"]["flipped"],
        }
        for name, one in found["judges"].items()
    }


def rows(found: Row) -> list[Row]:
    """A row for each judge and kind of reply: what the experts say, and the share the judge calls right."""
    return [
        {"judge": name, "kind": kind, "experts": _experts(row), "n": row["n"], "judged_right": row["judged_right"]}
        for name, one in found["judges"].items()
        for kind, row in one["by_kind"].items()
    ]


def section(found: Row) -> str:
    """For each set of replies: agreement, one line a judge; then the share judged right, one line a kind of reply."""
    judges: Row = found["judges"]
    parts = [
        "Against replies that experts judged, with the 95 % interval of a bootstrap over the templates of "
        "their queries, at 0 and 1 Wilson's; the pipeline stops where the judge it uses agrees on less than "
        f"{number(found['min_agreement'], 2)}, or where a larger share than {number(found['max_flipped'], 2)} is "
        "flipped: replies rightly judged wrong that an instruction planted in query, value or knowledge turned to "
        "right. Unreadable: verdicts of a language model that were no verdict, taken for wrong.",
    ]
    counts = {name: (one["n"], one["examples"], one["clusters"]) for name, one in judges.items()}
    for n, examples, templates in dict.fromkeys(counts.values()):
        same = {name: one for name, one in judges.items() if counts[name] == (n, examples, templates)}
        told = f"On {n:,} replies to {examples:,} examples of {templates:,} templates:"
        parts += [told, _agreement(same, found["kind"])]
        parts += ["Share judged right, by kind of reply, of how many:", _kinds(same)]
    return "\n\n".join(parts)


def _agreement(judges: Row, used: str) -> str:
    figures = ("kappa", "precision", "recall")
    header = ["judge", "agreement", *figures, "flipped by a plant", "of n judged wrong", "unreadable"]
    body = [
        [
            f"{name} (used)" if name == used else name,
            rate({**one, "n": one["examples"]}, "agreement"),
            *(marked(number(one[key]), one["examples"]) for key in figures),
            marked(number(one["injections"]["flipped"]), one["injections"]["n_wrong_without"]),
            number(one["injections"]["n_wrong_without"]),
            number(one.get("unreadable")),
        ]
        for name, one in judges.items()
    ]
    return table(header, body)


def _kinds(judges: Row) -> str:
    kinds = {kind: row for one in judges.values() for kind, row in one["by_kind"].items()}
    shares = [
        [kind, _experts(row), *(_marked(one["by_kind"].get(kind)) for one in judges.values())]
        for kind, row in kinds.items()
    ]
    return table(["kind of reply", "experts", *judges], shares)


def draw(points: list[Row], out: Path) -> None:
    """The share judged right as a grid, kinds of reply down, judges across; right kinds stand above the line."""
    judges = list(dict.fromkeys(point["judge"] for point in points))
    ordered = sorted(points, key=lambda point: point["experts"] == "wrong")
    kinds = {point["kind"]: point for point in ordered}
    cells = {(point["kind"], point["judge"]): point for point in points}
    grid = np.array([[_share(cells.get((kind, judge))) for judge in judges] for kind in kinds])
    with canvas(out, 3.6 + 1.5 * len(judges), 1.2 + 0.34 * len(kinds)) as figure:
        axes = figure.subplots()
        axes.grid(visible=False)
        if points:
            axes.imshow(grid, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for (at, to), value in np.ndenumerate(grid):
            text = _judged_right(cells.get((list(kinds)[at], judges[to])), 2)
            axes.text(to, at, text, ha="center", va="center", color="white" if value > 0.6 else "black")
        axes.set_xticks(range(len(judges)), judges)
        axes.set_yticks(range(len(kinds)), list(kinds))
        num_right = sum(row["experts"] == "right" for row in kinds.values())
        axes.axhline(num_right - 0.5, color="#D55E00", linewidth=2)
        axes.set_title("above the line: right, say the experts; below: wrong", fontsize=10)
        figure.colorbar(ScalarMappable(Normalize(0, 1), "Blues"), ax=axes, label="share judged right")


def _experts(row: Row) -> str:
    return "right" if row["correct"] else "wrong"


def _judged_right(row: Row | None, digits: int = 3) -> str:
    """The share and what it is of: judges may have read different numbers of replies."""
    if row is None or row["judged_right"] is None:
        return DASH
    return f"{number(row['judged_right'], digits)} of {number(row['n'])}"


def _marked(row: Row | None) -> str:
    return marked(_judged_right(row), row["n"] if row else None)


def _share(row: Row | None) -> float:
    return float("nan") if row is None or row["judged_right"] is None else row["judged_right"]


STEP = Step(
    heading="The judge against the experts (paper 3.1)",
    find=of_file("judge", "judge.json"),
    figures=figures,
    decides=lambda found: {"agreement": found["judges"][found["kind"]]["agreement"]},
    section=section,
    columns=("judge", "kind", "experts", "n", "judged_right"),
    rows=rows,
    draw=draw,
)
