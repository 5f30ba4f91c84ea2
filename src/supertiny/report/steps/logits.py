"""What the stored teacher logits take and miss (paper App. G; algorithms section 8)."""

from supertiny.report.rows import Row, Step
from supertiny.report.tables import number, table

NAIVE_BYTES = 12
"""an int64 id and a 32-bit log-probability"""
COLUMNS = {
    "tokens": "response tokens",
    "top1_probability": "first token's probability",
    "ids_per_token": "ids a token",
    "missing_mass": "mass not kept",
    "bytes_per_token": "bytes a token",
    "naive_bytes_per_token": "bytes a token, int64 + fp32",
    "megabytes": "all, MB",
}


def summary(found: Row) -> Row:
    """`logits.bytes_per_token`, `logits.missing_mass`, ...: what dense storage of the same top k takes beside it."""
    return {
        **{name: found[name] for name in ("tokens", "top1_probability", "ids_per_token", "bytes_per_token")},
        "missing_mass": float(f"{found['missing_mass']:.3g}"),
        "naive_bytes_per_token": NAIVE_BYTES * found["top_k"],
        "megabytes": round(found["bytes"] / 1e6, 3),
    }


def rows(found: Row) -> list[Row]:
    """The same as one row."""
    return [summary(found)]


def section(found: Row) -> str:
    """One line."""
    row = summary(found)
    texts = [f"{row[name]:.2g}" if name == "missing_mass" else number(row[name]) for name in COLUMNS]
    return (
        f"Of each response token the fewest ids with a mass of {found['top_p']}, at least {found['min_k']}, at most "
        f"{found['top_k']}. Bytes are of all files: rows, keys, index, manifest.\n\n"
        + table(list(COLUMNS.values()), [texts])
    )


STEP = Step(
    stage="logits",
    file="logits.json",
    heading="The teacher's stored logits (paper App. G)",
    summary=summary,
    section=section,
    rows=rows,
    draw=None,
)
