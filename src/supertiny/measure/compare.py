"""What each compression cost: every model beside the one it was made of, on the same queries (paper Tables 2, 10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supertiny.core.records import Example
from supertiny.core.stats import interval, paired, share

GATES = {8: 0.98, 4: 0.95}
"""least share of the base's AR that a model of so many bits a weight keeps"""
WITHIN = 0.01
"""AR that the smallest model worth its name may lose against the teacher"""

Verdicts = Mapping[str, bool]
"""query id -> whether the answer was right"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A compressed model: its answers, and those of the model it was made of."""

    verdicts: Verdicts
    base: Verdicts
    bits: int | None
    """of a quantized weight; None where weights are floats"""


def kept(model: Compressed, ids: Sequence[str], seed: int) -> dict[str, Any]:
    """AR over those of `ids` that both answered, its difference from the base's, and the share of it that is left.

    `recovery` is None where the base is never right; `gate` is what section 11 asks of it, None where it asks nothing.
    """
    common = [one for one in ids if one in model.verdicts and one in model.base]
    now, then = [model.verdicts[one] for one in common], [model.base[one] for one in common]
    low, high = interval(sum(now), len(now), seed)
    recovery = round(sum(now) / sum(then), 4) if sum(then) else None
    rate = {"n": len(common), "ar": share(now), "ar_low": low, "ar_high": high, "base_ar": share(then)}
    return {**rate, **paired(now, then, seed), "recovery": recovery, "gate": GATES.get(model.bits or 0)}


def smallest_within(
    models: Mapping[str, Verdicts], sizes: Mapping[str, float], teacher: str, ids: Sequence[str], seed: int
) -> dict[str, Any]:
    """The model of the least size whose AR is at most `WITHIN` below the teacher's, each on the queries of both.

    It is the teacher where nothing smaller is as good. `sizes` are of the weights, in MB.
    """
    ranked = sorted((name for name in models if sizes[name] <= sizes[teacher]), key=lambda name: sizes[name])
    for name in ranked:
        row = kept(Compressed(verdicts=models[name], base=models[teacher], bits=None), ids, seed)
        if row["difference"] is not None and row["difference"] >= -WITHIN:
            return {"name": name, **row}
    raise AssertionError  # the teacher is no worse than itself


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
