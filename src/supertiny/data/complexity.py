"""How varied the queries are: TTR and entropy over character 2-grams (paper App. A, Table 1)."""

import math
import random
from collections import Counter
from collections.abc import Sequence

SAMPLE = 700
"""queries the paper measures on"""


def complexity(queries: Sequence[str], seed: int) -> tuple[float, float]:
    """(TTR, entropy in bits) of the character 2-grams of at most `SAMPLE` queries, drawn by `seed`.

    TTR = distinct / all. Queries are lower-cased and joined by newlines; spaces and newlines count.

    >>> complexity(["aab"], 0)
    (1.0, 1.0)
    """
    sample = random.Random(seed).sample(list(queries), SAMPLE) if len(queries) > SAMPLE else queries
    text = "\n".join(query.lower() for query in sample)
    grams = Counter(text[i : i + 2] for i in range(len(text) - 1))
    total = grams.total()
    if not total:
        return 0.0, 0.0
    entropy = -sum(n / total * math.log2(n / total) for n in grams.values())
    return len(grams) / total, entropy + 0.0
