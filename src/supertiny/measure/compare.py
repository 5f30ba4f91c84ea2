"""Systems beside each other on the same queries: their rates and their differences (paper 4.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supertiny.core.records import SEEN, UNSEEN, Example
from supertiny.core.stats import difference, rated, share
from supertiny.judge.reference import Reply, Verdict
from supertiny.measure.evaluate import achievable_rate, bare, clusters, grown

GATES = {8: 0.98, 4: 0.95}
"""least share of the base's AR that a model of so many bits a weight keeps"""
WITHIN = 0.01
"""AR that the smallest model worth its name may lose against the teacher"""

Verdicts = Mapping[str, bool]
"""query id -> whether the answer was right"""
Clusters = Mapping[str, str]
"""query id -> the cluster it is resampled with, of the queries of one column, in their order"""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that was given, and what was said of it."""

    example: Example
    reply: Reply
    verdict: Verdict
    """of the judge that measures"""
    by: Mapping[str, bool]
    """other judge -> whether it calls the answer right"""


def rates(answers: Mapping[str, Answered], columns: Mapping[str, Clusters], seed: int) -> dict[str, Any]:
    """Column -> all rates of one system over those of its queries that `answers` holds, and AR by the other judges."""
    found = {}
    for column, of in columns.items():
        rows = [answers[one] for one in of if one in answers]
        judges = rows[0].by if rows else ()
        parts = [row.example for row in rows], [row.reply for row in rows], [row.verdict for row in rows]
        found[column] = {
            **achievable_rate(*parts, seed),
            "ar_by": {judge: share([row.by[judge] for row in rows]) for judge in judges},
        }
    return found


def splits(test: Sequence[Example], ood: Sequence[Example]) -> dict[str, Clusters]:
    """Column of the tables -> its queries."""
    tagged = {f"ood_{tag}": clusters([row for row in ood if tag in row.tags]) for tag in (SEEN, UNSEEN)}
    changed = {"without_knowledge": clusters(bare(test)), "grown": clusters(grown(test, ood))}
    return {"test": clusters(test), "ood": clusters(ood), **tagged, **changed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A compressed model: its answers, and those of the model it was made of."""

    verdicts: Verdicts
    base: Verdicts
    bits: int | None
    """of a quantized weight; None where weights are floats"""


def kept(model: Compressed, of: Clusters, seed: int) -> dict[str, Any]:
    """AR over those queries of `of` that both answered, its difference from the base's, the share of it that is left.

    `recovery` is None where the base is never right; `gate` is what section 11 asks of it, None where it asks nothing.
    """
    common = [one for one in of if one in model.verdicts and one in model.base]
    now, then = [model.verdicts[one] for one in common], [model.base[one] for one in common]
    names = [of[one] for one in common]
    recovery = round(sum(now) / sum(then), 4) if sum(then) else None
    found = {**rated(names, now, seed), "base_ar": share(then), **difference(names, now, then, seed)}
    return {**found, "recovery": recovery, "gate": GATES.get(model.bits or 0)}


def smallest_within(
    models: Mapping[str, Verdicts], sizes: Mapping[str, float], teacher: str, of: Clusters, seed: int
) -> dict[str, Any]:
    """The model of the least size whose AR is at most `WITHIN` below the teacher's, each on the queries of both.

    It is the teacher where nothing smaller is as good. `sizes` are of the weights, in MB.
    """
    ranked = sorted((name for name in models if sizes[name] <= sizes[teacher]), key=lambda name: sizes[name])
    for name in ranked:
        row = kept(Compressed(verdicts=models[name], base=models[teacher], bits=None), of, seed)
        if row["difference"] is not None and row["difference"] >= -WITHIN:
            itself = {"difference_low": 0.0, "difference_high": 0.0} if name == teacher else {}
            return {"name": name, **row, **itself}
    raise AssertionError  # the teacher is no worse than itself


def comparison(
    verdicts: Mapping[str, Verdicts], columns: Mapping[str, Clusters], starts: Mapping[str, str], seed: int
) -> dict[str, Any]:
    """For each model and column the rate over the queries that all models answered, and how far it is from its start.

    `verdicts`: model -> query id -> right. `difference` is the rate less that of the model it was trained from, over
    the same queries, with its interval over their clusters; None for a model without a start.
    """
    answered = set.intersection(*(set(of) for of in verdicts.values()))
    found: dict[str, Any] = {name: {} for name in verdicts}
    for column, of in columns.items():
        common = [one for one in of if one in answered]
        names = [of[one] for one in common]
        for name, said in verdicts.items():
            right = [said[one] for one in common]
            before = [verdicts[starts[name]][one] for one in common] if name in starts else []
            found[name][column] = {**rated(names, right, seed), **difference(names, right, before, seed)}
    return found
