"""Systems beside each other on the same queries: their rates, their differences, and how sure these are (paper 4.1).

Queries that were made alike are answered right or wrong together, so whole clusters of them are resampled. The cluster
of a query is its template: the test was split by templates, and queries of one differ in values alone. That of a query
for a function never trained on is the function: all its templates stand on one document, which a model can use or not,
and what is asked is how it would fare with other new functions. So 99 unseen queries tell what 20 functions tell.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, sqrt
from statistics import NormalDist
from typing import Any

from supertiny.core.calls import Call
from supertiny.core.records import Example
from supertiny.core.stats import DIGITS, mean_interval, share
from supertiny.judge.reference import Reply, Verdict
from supertiny.measure.evaluate import achievable_rate

GATES = {8: 0.98, 4: 0.95}
"""least share of the base's AR that a model of so many bits a weight keeps"""
WITHIN = 0.01
"""AR that the smallest model worth its name may lose against the teacher"""
UNSEEN = "unseen"
"""tag of a query for a function never trained on"""
BARE = "-bare"
"""behind the id of a query that is asked without its notes"""
Z = NormalDist().inv_cdf(0.975)

Verdicts = Mapping[str, bool]
"""query id -> whether the answer was right"""
Clusters = Mapping[str, str]
"""query id -> the cluster it is resampled with, of the queries of one column, in their order"""
Ends = tuple[float | None, float | None]


def cluster(example: Example) -> str:
    """What a query is resampled with: its template, or a function never trained on; without either it stands alone.

    >>> said = Example(id="1", query="Vacuum  here", answers=(Call("vacuum", {}),))
    >>> cluster(said), cluster(replace(said, template="vacuum {where}")), cluster(replace(said, tags=("unseen",)))
    ('vacuum here', 'vacuum {where}', 'function vacuum')
    """
    if UNSEEN in example.tags and example.answers and isinstance(example.answers[0], Call):
        return f"function {example.answers[0].name}"
    return example.template or " ".join(example.query.lower().split())


def clusters(examples: Sequence[Example]) -> dict[str, str]:
    """The cluster of each query, by its id."""
    return {example.id: cluster(example) for example in examples}


def wilson(rate: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a rate of `n` independent queries, which need be no whole number.

    >>> wilson(0.0, 10), wilson(0.5, 10), wilson(1.0, 10)
    ((0.0, 0.2775), (0.2366, 0.7634), (0.7225, 1.0))
    """
    middle, reach = rate + Z**2 / (2 * n), Z * sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    low, high = ((middle + side * reach) / (1 + Z**2 / n) for side in (-1, 1))
    return max(0.0, round(low, DIGITS)), min(1.0, round(high, DIGITS))


def effective(of: Sequence[str]) -> float:
    """As many independent queries as tell as much, where all of a cluster are alike: (sum m)^2 / sum m^2 (Kish).

    Equal clusters count as one query each. Unequal ones count for less than their number, since the mean is of queries
    and hangs on the large ones: of nine queries alike and one other, little more than one.

    >>> effective("abcd"), effective("aabb"), round(effective("aaaaaaaaab"), 2)
    (4.0, 2.0, 1.22)
    """
    return len(of) ** 2 / sum(count**2 for count in Counter(of).values())


def spread(of: Sequence[str], values: Sequence[float], seed: int) -> Ends:
    """Bootstrap 95 % interval of the mean of `values` over their clusters `of`, in whatever order the rows stand."""
    pairs = sorted(zip(of, values, strict=True))
    return mean_interval([name for name, _ in pairs], [value for _, value in pairs], seed)


def rated(of: Sequence[str], right: Sequence[bool], seed: int) -> dict[str, Any]:
    """n, its clusters, AR, and its 95 % interval over the clusters `of`.

    Where each cluster has the same rate, so above all where AR is 0 or 1, all resamples are equal, and a bootstrap
    would be sure of three queries. Wilson's interval is taken then, of `effective` queries: since nothing tells how
    alike the queries of a cluster are, they are taken for one.
    """
    low, high = spread(of, right, seed)
    if right and low == high:
        low, high = wilson(sum(right) / len(right), effective(of))
    return {"n": len(right), "clusters": len(set(of)), "ar": share(right), "ar_low": low, "ar_high": high}


def difference(of: Sequence[str], right: Sequence[bool], other: Sequence[bool], seed: int) -> dict[str, float | None]:
    """How much more often `right` than `other`, verdicts on the same queries, with its interval; None without other.

    Where each cluster has the same difference, as where the two are always right or wrong together, what was won and
    what was lost are two rates with Wilson's intervals, put together by Newcombe's square and add.
    """
    gains = [now - then for now, then in zip(right, other, strict=True)] if other else []
    mean, (low, high) = share(gains), spread(of if gains else (), gains, seed)
    if mean is not None and low == high:
        (won, won_low, won_high), (lost, lost_low, lost_high) = (
            (part, *wilson(part, effective(of))) for part in (gains.count(side) / len(gains) for side in (1, -1))
        )
        low = max(-1.0, round(mean - hypot(won - won_low, lost_high - lost), DIGITS))
        high = min(1.0, round(mean + hypot(won_high - won, lost - lost_low), DIGITS))
    return {"difference": mean, "difference_low": low, "difference_high": high}


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
        verdicts = [row.verdict for row in rows]
        judges = rows[0].by if rows else ()
        found[column] = {
            **achievable_rate([row.example for row in rows], [row.reply for row in rows], verdicts, seed),
            **rated([of[row.example.id] for row in rows], [verdict.correct for verdict in verdicts], seed),
            "ar_by": {judge: share([row.by[judge] for row in rows]) for judge in judges},
        }
    return found


def bare(test: Sequence[Example]) -> list[Example]:
    """The queries that need a note, as they are asked without it."""
    return [replace(row, id=f"{row.id}{BARE}", knowledge=()) for row in test if "knowledge" in row.tags]


def splits(test: Sequence[Example], ood: Sequence[Example]) -> dict[str, Clusters]:
    """Column of the tables -> its queries."""
    tagged = {f"ood_{tag}": clusters([row for row in ood if tag in row.tags]) for tag in ("seen", UNSEEN)}
    return {"test": clusters(test), "ood": clusters(ood), **tagged, "without_knowledge": clusters(bare(test))}


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
