"""What each part of the prototype's prompt is worth, one change at a time (paper 3.1)."""

from pathlib import Path

from supertiny.core.stats import difference, rated
from supertiny.measure.compare import Clusters
from supertiny.measure.evaluate import clusters
from supertiny.report.pictures import COLOURS, canvas
from supertiny.report.rows import Facts, Row
from supertiny.report.steps import Step, nothing, of_file
from supertiny.report.tables import marked, number, rate, table

CHOSEN = "chosen"
"""the prototype as section `prototype` of params.yaml has it"""
DIFFERENCE = ("difference", "difference_low", "difference_high")
TOKENS = ("prompt_tokens", "new_tokens")
MEASURED = ("n", "ar", "ar_low", "ar_high", *DIFFERENCE, "function_accuracy", "needing_knowledge", *TOKENS)


def find(facts: Facts) -> Row:
    """What stage ablation counted, and how sure it is."""
    return measured(of_file("ablation", "ablation.json")(facts), clusters(facts.dev), facts.seed)


def measured(found: Row, of: Clusters, seed: int) -> Row:
    """Each variant with its interval, its difference from CHOSEN on the same queries, and that one's interval."""
    rows, chosen = {}, found[CHOSEN]["right"]
    for name, row in found.items():
        names, right = [of[one] for one in row["right"]], list(row["right"].values())
        before = [chosen[one] for one in row["right"]] if name != CHOSEN else []
        rows[name] = {**row, **rated(names, right, seed), **difference(names, right, before, seed)}
    return rows


def figures(found: Row) -> Row:
    """`ablation.<variant>.ar`, ..., `.difference`, `.needing_knowledge.ar`, `.prompt_tokens`."""
    return {name: {key: row[key] for key in MEASURED} for name, row in found.items()}


def rows(found: Row) -> list[Row]:
    """A row a variant that answered anything."""
    return [
        {
            "variant": name,
            "change": _change(row),
            "n": row["n"],
            "ar": row["ar"],
            "low": row["ar_low"],
            "high": row["ar_high"],
            **{key: row[key] for key in DIFFERENCE},
            "prompt_tokens": row["prompt_tokens"],
        }
        for name, row in found.items()
        if row["ar"] is not None
    ]


def section(found: Row) -> str:
    """One line a variant, the prototype as it is first."""
    header = ["variant", "change", "AR", "AR less that of chosen, paired", "n", "right function"]
    header += ["AR, needs knowledge", "n, needs knowledge", "prompt tokens", "answer tokens"]
    body = [
        [
            name.replace("_", " "),
            _change(row),
            rate(row),
            rate(row, "difference"),
            number(row["n"]),
            marked(number(row["function_accuracy"]), row["n"]),
            marked(number(row["needing_knowledge"]["ar"]), row["needing_knowledge"]["n"]),
            number(row["needing_knowledge"]["n"]),
            *(number(row[key]) for key in TOKENS),
        ]
        for name, row in found.items()
    ]
    return (
        "The same dev queries under each variant; one change at a time. The paired difference is over these queries, "
        "each answered by both.\n\n" + table(header, body)
    )


def draw(points: list[Row], out: Path) -> None:
    """AR of each variant with its interval; the line is the prototype as it is."""
    with canvas(out, 7.5, 1.1 + 0.36 * len(points)) as figure:
        axes = figure.subplots()
        for at, point in enumerate(points):
            errors = [[point["ar"] - point["low"]], [point["high"] - point["ar"]]]
            colour = COLOURS[1 if point["variant"] == CHOSEN else 0]
            axes.barh(at, point["ar"], color=colour, alpha=0.75, height=0.6)
            axes.errorbar(point["ar"], at, xerr=errors, color="black", capsize=3, linewidth=1)
            if point["variant"] == CHOSEN:
                axes.axvline(point["ar"], color=colour, linestyle="--", linewidth=1)
        tokens = [f"{point['variant'].replace('_', ' ')}, {point['prompt_tokens']:,.0f} tokens" for point in points]
        axes.set_yticks(range(len(points)), tokens)
        axes.set(xlabel="Achievable Rate, 95 % interval", xlim=(0, 1))
        axes.grid(visible=False, axis="y")
        axes.invert_yaxis()


def _change(row: Row) -> str:
    """What differs from the prototype, as params.yaml writes it.

    >>> _change({"change": {"num_examples": 0, "describe": False}})
    'num_examples 0, describe false'
    """
    said = {key: str(value).lower() if isinstance(value, bool) else value for key, value in row["change"].items()}
    return ", ".join(f"{key} {value}" for key, value in said.items()) or "none"


STEP = Step(
    heading="The prototype's ablation",
    find=find,
    figures=figures,
    decides=nothing,
    section=section,
    columns=("variant", "change", "n", "ar", "low", "high", *DIFFERENCE, "prompt_tokens"),
    rows=rows,
    draw=draw,
)
