"""In-context examples for a query, out of the small expert-labelled set."""

from collections.abc import Callable, Sequence
from random import Random

import numpy as np

from supertiny.core.errors import UserError
from supertiny.core.records import Example
from supertiny.prompt.dialogue import dialogue

Embed = Callable[[Sequence[str]], np.ndarray]
"""texts -> unit vectors [N, D]"""


def remembered(embed: Embed) -> Embed:
    """The same function, that computes each text once."""
    known: dict[str, np.ndarray] = {}

    def vectors(texts: Sequence[str]) -> np.ndarray:
        if new := [text for text in dict.fromkeys(texts) if text not in known]:
            known.update(zip(new, embed(new), strict=True))
        return np.stack([known[text] for text in texts])

    return vectors


def nearest(queries: Sequence[Example], expert: Sequence[Example], count: int, embed: Embed) -> list[list[Example]]:
    """For each query the `count` expert examples of highest cosine; the nearest stands last, next to the query."""
    _enough(expert, count)
    scores = embed([dialogue(query) for query in queries]) @ embed([dialogue(one) for one in expert]).T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return [[expert[index] for index in reversed(row)] for row in order]


def fixed(queries: Sequence[Example], expert: Sequence[Example], count: int, seed: int) -> list[list[Example]]:
    """The same `count` expert examples for every query, drawn once."""
    _enough(expert, count)
    chosen = Random(seed).sample(list(expert), count)
    return [chosen for _ in queries]


def _enough(expert: Sequence[Example], count: int) -> None:
    if count > len(expert):
        raise UserError(
            f"params.yaml: prototype.num_examples: {count}, but the expert set has {len(expert)}; ask for fewer"
        )
