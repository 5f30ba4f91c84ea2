"""What the adapter to the traditional system's frames keeps and loses (paper 3.1)."""

from supertiny.report.rows import Row, Step
from supertiny.report.tables import number, table

COLUMNS = {
    "functions": "functions",
    "domains": "domains",
    "answers": "answers",
    "come_back": "come back equal",
    "losses": "losses the schemas allow",
}


def summary(found: Row) -> Row:
    """`adapter.answers`, `adapter.come_back`, `adapter.losses`: counts."""
    return {**{name: found[name] for name in COLUMNS}, "losses": len(found["losses"])}


def rows(found: Row) -> list[Row]:
    """A row for each thing that a frame cannot say."""
    return [dict(loss) for loss in found["losses"]]


def section(found: Row) -> str:
    """One line of counts."""
    counts = summary(found)
    return (
        "Calls become domain-intent-slot frames, as what stands downstream takes them, and calls again. What a schema "
        "lets a frame lose is listed in `metrics/adapter.csv`.\n\n"
        + table(list(COLUMNS.values()), [[number(counts[name]) for name in COLUMNS]])
    )


STEP = Step(
    stage="baseline_results",
    file="baseline/adapter.json",
    heading="The adapter (paper 3.1)",
    summary=summary,
    section=section,
    rows=rows,
    draw=None,
)
