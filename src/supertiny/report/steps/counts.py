"""The steps whose section is one line of counts: of what was kept, taken and lost (paper 3.1, App. C, D, G)."""

from collections.abc import Mapping

from supertiny.baseline.frames import report
from supertiny.measure.systems import TRADITIONAL
from supertiny.report.rows import Facts, Row
from supertiny.report.steps import Step, of_file
from supertiny.report.tables import number, table

RFT_COLUMNS = {
    "answered": "answered",
    "accepted": "accepted",
    "precision": "precision",
    "recall": "recall",
    "labelled": "labelled by the data",
    "full_prompt_tokens": "tokens, full prompt",
    "compressed_prompt_tokens": "tokens, compressed",
}
DESCRIPTION_COLUMNS = {
    "queries": "queries",
    "described": "descriptions",
    "different": "different",
    "reference_within_share": "find the function",
    "right": "call is right",
    "kept": "kept",
    "queries_with_kept": "queries with one kept",
    "labelled": "labelled by the data",
}
LOGITS_COLUMNS = {
    "tokens": "response tokens",
    "top1_probability": "first token's probability",
    "ids_per_token": "ids a token",
    "missing_mass": "mass not kept",
    "bytes_per_token": "bytes a token",
    "naive_bytes_per_token": "bytes a token, int64 + fp32",
    "megabytes": "all, MB",
}
ADAPTER_COLUMNS = {
    "functions": "functions",
    "domains": "domains",
    "answers": "answers",
    "come_back": "come back equal",
    "losses": "losses the schemas allow",
}


def _counts(found: Row, columns: Mapping[str, str]) -> Row:
    return {name: found[name] for name in columns}


def _line(counts: Row, columns: Mapping[str, str]) -> str:
    return table(list(columns.values()), [[number(counts[name]) for name in columns]])


def _functions(found: Row) -> list[Row]:
    """A row a function, or refusal: two counts."""
    return [{"function": name, **counts} for name, counts in found["by_function"].items()]


def _rft_section(found: Row) -> str:
    cells = [found["judge"], *(number(found[name]) for name in RFT_COLUMNS)]
    return (
        f"The `{found['judge']}` judge decides which answers of the prototype are trained on. Precision: the share of "
        "the accepted that the references, hidden from the prototype, call right; recall: the share of those that was "
        "accepted. Kept and dropped of each function: `metrics/rft.csv`.\n\n"
        + table(["judge", *RFT_COLUMNS.values()], [cells])
    )


RFT = Step(
    heading="Rejection fine-tuning data (paper Eq. 2, App. C)",
    find=of_file("rft", "rft.json"),
    figures=lambda found: _counts(found, RFT_COLUMNS),
    decides=lambda found: {name: found[name] for name in ("accepted", "precision")},
    section=_rft_section,
    columns=("function", "kept", "dropped"),
    rows=_functions,
    draw=None,
)


def _rejection_section(found: Row) -> str:
    return (
        f"Descriptions that the language model samples for a query; one is kept when the call made from the functions "
        f"nearest to it is right, by the `{found['judge']}` judge, and that function is among its very nearest. The "
        "fine-tuned model makes the call. Tried and kept for each function: `metrics/descriptions.csv`.\n\n"
        + _line(found, DESCRIPTION_COLUMNS)
    )


DESCRIPTIONS = Step(
    heading="API descriptions kept by rejection sampling (paper Algorithm 1)",
    find=of_file("reject", "descriptions.json"),
    figures=lambda found: _counts(found, DESCRIPTION_COLUMNS),
    decides=lambda found: {"kept": found["kept"]},
    section=_rejection_section,
    columns=("function", "tried", "kept"),
    rows=_functions,
    draw=None,
)

NAIVE_BYTES = 12
"""an int64 id and a 32-bit log-probability"""


def _stored(found: Row) -> Row:
    """What the store takes, and what dense storage of the same top k takes beside it."""
    return {
        **{name: found[name] for name in ("tokens", "top1_probability", "ids_per_token", "bytes_per_token")},
        "missing_mass": float(f"{found['missing_mass']:.3g}"),
        "naive_bytes_per_token": NAIVE_BYTES * found["top_k"],
        "megabytes": round(found["bytes"] / 1e6, 3),
    }


def _logits_section(found: Row) -> str:
    row = _stored(found)
    texts = [f"{row[name]:.2g}" if name == "missing_mass" else number(row[name]) for name in LOGITS_COLUMNS]
    return (
        f"Of each response token the fewest ids with a mass of {found['top_p']}, at least {found['min_k']}, at most "
        f"{found['top_k']}. Bytes are of all files: rows, keys, index, manifest.\n\n"
        + table(list(LOGITS_COLUMNS.values()), [texts])
    )


LOGITS = Step(
    heading="The teacher's stored logits (paper App. G)",
    find=of_file("logits", "logits.json"),
    figures=_stored,
    decides=lambda found: {"bytes_per_token": found["bytes_per_token"]},
    section=_logits_section,
    columns=(
        *("tokens", "top1_probability", "ids_per_token", "bytes_per_token"),
        *("missing_mass", "naive_bytes_per_token", "megabytes"),
    ),
    rows=lambda found: [_stored(found)],
    draw=None,
)


def _through_frames(facts: Facts) -> Row | None:
    """What a frame does to the labelled answers of all queries that the traditional system was asked."""
    asked = next(iter(facts.of_kind(TRADITIONAL)), None)
    if asked is None:
        return None
    examples = [one.example for one in facts.answers[asked].values()]  # asked without its note, one counts again
    return report(facts.pool, [answer for example in examples for answer in example.answers])


def _adapted(found: Row) -> Row:
    return {**_counts(found, ADAPTER_COLUMNS), "losses": len(found["losses"])}


def _adapter_section(found: Row) -> str:
    return (
        "Calls become domain-intent-slot frames, as what stands downstream takes them, and calls again. What a schema "
        "lets a frame lose is listed in `metrics/adapter.csv`.\n\n" + _line(_adapted(found), ADAPTER_COLUMNS)
    )


ADAPTER = Step(
    heading="The adapter (paper 3.1)",
    find=_through_frames,
    figures=_adapted,
    decides=lambda found: {"come_back": round(found["come_back"] / found["answers"], 4) if found["answers"] else None},
    section=_adapter_section,
    columns=("function", "parameter", "why"),
    rows=lambda found: [dict(loss) for loss in found["losses"]],
    draw=None,
)
