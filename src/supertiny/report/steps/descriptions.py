"""Algorithm 1: how many sampled API descriptions were kept, and how many found the function (paper App. D)."""

from supertiny.report.rows import Row, Step
from supertiny.report.tables import number, table

COLUMNS = {
    "queries": "queries",
    "described": "descriptions",
    "different": "different",
    "reference_within_share": "find the function",
    "right": "call is right",
    "kept": "kept",
    "queries_with_kept": "queries with one kept",
    "labelled": "labelled by the data",
}


def summary(found: Row) -> Row:
    """`descriptions.kept`, `descriptions.right`, ...: the counts."""
    return {name: found[name] for name in COLUMNS}


def rows(found: Row) -> list[Row]:
    """A row a function that queries need: how many different descriptions were tried and kept."""
    return [{"function": name, **counts} for name, counts in found["by_function"].items()]


def section(found: Row) -> str:
    """One line of counts."""
    return (
        f"Descriptions that the language model samples for a query; one is kept when the call made from the functions "
        f"nearest to it is right, by the `{found['judge']}` judge, and that function is among its very nearest. The "
        "fine-tuned model makes the call. Tried and kept for each function: `metrics/descriptions.csv`.\n\n"
        + table(list(COLUMNS.values()), [[number(found[name]) for name in COLUMNS]])
    )


STEP = Step(
    stage="reject",
    file="descriptions.json",
    heading="API descriptions kept by rejection sampling (paper Algorithm 1)",
    summary=summary,
    section=section,
    rows=rows,
    draw=None,
)
