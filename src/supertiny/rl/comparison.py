"""Tables 3 and 11 of the paper: teacher and student before and after reinforcement learning, on the same queries."""

from collections.abc import Mapping, Sequence
from typing import Any

from supertiny.core.rates import paired, share
from supertiny.core.records import Example
from supertiny.measure.achievable import interval


def splits(test: Sequence[Example], ood: Sequence[Example]) -> dict[str, list[str]]:
    """Column of the tables -> the ids of its queries."""
    tagged = {f"ood_{tag}": [row.id for row in ood if tag in row.tags] for tag in ("seen", "unseen")}
    return {"test": [row.id for row in test], "ood": [row.id for row in ood], **tagged}


def comparison(
    verdicts: Mapping[str, Mapping[str, bool]],
    columns: Mapping[str, Sequence[str]],
    starts: Mapping[str, str],
    seed: int,
) -> dict[str, Any]:
    """For each model and column the rate over the queries that all models answered, and how far it is from its start.

    `verdicts`: model -> query id -> right. `difference` is the rate less that of the model it was trained from, with
    the 95 % interval of a bootstrap over queries, each with both verdicts; None for a model without a start.
    """
    answered = set.intersection(*(set(of) for of in verdicts.values()))
    rows: dict[str, Any] = {}
    for name, of in verdicts.items():
        rows[name] = {}
        for column, ids in columns.items():
            common = [one for one in ids if one in answered]
            right = [of[one] for one in common]
            before = [verdicts[starts[name]][one] for one in common] if name in starts else []
            low, high = interval(sum(right), len(right), seed)
            rate = {"n": len(right), "ar": share(right), "ar_low": low, "ar_high": high}
            rows[name][column] = rate | paired(right, before, seed)
    return rows
