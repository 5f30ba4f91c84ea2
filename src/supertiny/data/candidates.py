"""The functions offered for a query: an oracle retriever until the retrieval stage exists.

Its recall is 1 by construction: a row that has an answer is offered the answer's function. The other
places go to near functions (same words in the name, same domain) and to any others, by chance.
"""

import random
from collections.abc import Collection
from functools import cache

from supertiny.core.calls import Function, Pool


class Oracle:
    """Draws candidates from `pool`, which fixes who may appear (train: in-domain functions alone)."""

    def __init__(self, pool: Pool, num_candidates: int, hard_share: float) -> None:
        self.pool = dict(pool)
        self.num_candidates = num_candidates
        self.hard_share = hard_share
        self._nearest = cache(self._rank)

    def offer(
        self, rng: random.Random, near: str, *, include: bool = True, without: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Names in shuffled order: `near` itself where `include`, hard and random others, none of `without`."""
        chosen = [near] if include else []
        excluded = {near, *without}
        places = min(self.num_candidates, len(self.pool)) - len(chosen)
        hard = [name for name in self._nearest(near) if name not in excluded][: 2 * self.num_candidates]
        num_hard = min(round(places * self.hard_share), len(hard))
        weights = [1 / (rank + 1) for rank in range(len(hard))]
        chosen += _weighted(rng, hard, weights, num_hard)
        rest = [name for name in self.pool if name not in excluded and name not in chosen]
        chosen += rng.sample(rest, min(places - num_hard, len(rest)))
        rng.shuffle(chosen)
        return tuple(chosen)

    def _rank(self, near: str) -> tuple[str, ...]:
        """Every other function, nearest first."""
        target = self.pool.get(near, Function(near, ""))
        others = [name for name in self.pool if name != near]
        return tuple(sorted(others, key=lambda name: (-nearness(target, self.pool[name]), name)))


def nearness(one: Function, other: Function) -> float:
    """Overlap of the names' words (Jaccard) plus 1/2 where the domain is the same.

    >>> nearness(Function("turn_on_light", "", {}, "light"), Function("turn_off_light", "", {}, "light"))
    1.0
    """
    words, others = set(one.name.split("_")), set(other.name.split("_"))
    same_domain = bool(one.domain) and one.domain == other.domain
    return len(words & others) / len(words | others) + 0.5 * same_domain


def _weighted(rng: random.Random, names: list[str], weights: list[float], count: int) -> list[str]:
    """`count` distinct names, likelier with weight (Efraimidis and Spirakis)."""
    keys = [rng.random() ** (1 / weight) for weight in weights]
    order = sorted(range(len(names)), key=lambda i: -keys[i])
    return [names[i] for i in order[:count]]
