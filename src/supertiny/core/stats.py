"""Means of what was counted, and how sure they are."""

from collections import Counter
from collections.abc import Hashable, Sequence
from math import hypot, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

DIGITS = 4
"""that a rate is rounded to"""
RESAMPLES = 2000
"""of a bootstrap"""
Z = NormalDist().inv_cdf(0.975)

Ends = tuple[float | None, float | None]
"""of an interval; None without any value"""


def share(values: Sequence[float]) -> float | None:
    """The mean of `values`, such as verdicts; None without any."""
    return round(sum(values) / len(values), DIGITS) if values else None


def mean_interval(groups: Sequence[Hashable], values: Sequence[float], seed: int) -> Ends:
    """Percentile bootstrap 95 % interval of the mean of `values`, resampling whole groups, whose rows hang together."""
    if not values:
        return None, None
    names = {name: at for at, name in enumerate(dict.fromkeys(groups))}
    of = [names[name] for name in groups]
    size = np.bincount(of)
    sums = np.bincount(of, weights=np.asarray(values, dtype=float))
    draws = np.random.default_rng(seed).multinomial(len(size), np.full(len(size), 1 / len(size)), RESAMPLES)
    low, high = np.quantile((draws @ sums) / (draws @ size), [0.025, 0.975])
    return round(float(low), DIGITS), round(float(high), DIGITS)


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
