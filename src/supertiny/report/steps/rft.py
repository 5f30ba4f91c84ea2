"""What the judge kept of the prototype's answers, and what compressing the prompt saved (paper Eq. 2, App. C)."""

from supertiny.report.rows import Row, Step
from supertiny.report.tables import number, table

COLUMNS = {
    "answered": "answered",
    "accepted": "accepted",
    "precision": "precision",
    "recall": "recall",
    "labelled": "labelled by the data",
    "full_prompt_tokens": "tokens, full prompt",
    "compressed_prompt_tokens": "tokens, compressed",
}


def summary(found: Row) -> Row:
    """`rft.accepted`, `rft.precision`, ...: every number of the counts."""
    return {name: found[name] for name in COLUMNS}


def rows(found: Row) -> list[Row]:
    """A row a function that the prototype called, or refusal: how many answers were kept and dropped."""
    return [{"function": name, **counts} for name, counts in found["by_function"].items()]


def section(found: Row) -> str:
    """One line: answers, what was accepted, prompts."""
    return (
        f"The `{found['judge']}` judge decides which answers of the prototype are trained on. Precision: the share of "
        "the accepted that the references, hidden from the prototype, call right; recall: the share of those that was "
        "accepted. Kept and dropped of each function: `metrics/rft.csv`.\n\n"
        + table(["judge", *COLUMNS.values()], [[found["judge"], *(number(found[name]) for name in COLUMNS)]])
    )


STEP = Step(
    stage="rft",
    file="rft.json",
    heading="Rejection fine-tuning data (paper Eq. 2, App. C)",
    summary=summary,
    section=section,
    rows=rows,
    draw=None,
)
