"""Means of what was counted, and how sure they are."""

from collections.abc import Hashable, Sequence

import numpy as np

DIGITS = 4
"""that a rate is rounded to"""
RESAMPLES = 2000
"""of a bootstrap"""


def share(values: Sequence[float]) -> float | None:
    """The mean of `values`, such as verdicts; None without any."""
    return round(sum(values) / len(values), DIGITS) if values else None


def mean_interval(groups: Sequence[Hashable], values: Sequence[float], seed: int) -> tuple[float | None, float | None]:
    """Percentile bootstrap 95 % interval of the mean of `values`, resampling whole groups, whose rows hang together.

    For two systems on the same queries: a group a query, and the difference of its two verdicts as its value.
    """
    if not values:
        return None, None
    names = {name: at for at, name in enumerate(dict.fromkeys(groups))}
    of = [names[name] for name in groups]
    size = np.bincount(of)
    sums = np.bincount(of, weights=np.asarray(values, dtype=float))
    draws = np.random.default_rng(seed).multinomial(len(size), np.full(len(size), 1 / len(size)), RESAMPLES)
    low, high = np.quantile((draws @ sums) / (draws @ size), [0.025, 0.975])
    return round(float(low), DIGITS), round(float(high), DIGITS)


def paired(right: Sequence[bool], other: Sequence[bool], seed: int) -> dict[str, float | None]:
    """How much more often `right` than `other`, verdicts on the same queries, with its interval; None without other."""
    gains = [now - then for now, then in zip(right, other, strict=True)] if other else []
    low, high = mean_interval(range(len(gains)), gains, seed)
    return {"difference": share(gains), "difference_low": low, "difference_high": high}


def interval(successes: int, n: int, seed: int) -> tuple[float | None, float | None]:
    """Percentile bootstrap 95 % interval of a rate; [1, 1] for a perfect one, however small n is.

    A resample of n zeros and ones is a draw from Binomial(n, rate), so no resample is ever written out.
    """
    if n == 0:
        return None, None
    rates = np.random.default_rng(seed).binomial(n, successes / n, RESAMPLES) / n
    low, high = np.quantile(rates, [0.025, 0.975])
    return round(float(low), DIGITS), round(float(high), DIGITS)
