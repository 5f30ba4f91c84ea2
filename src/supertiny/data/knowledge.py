"""Retrieval of explanations: a plain lookup of a query's terms in the knowledge base (paper 3.1, RAG)."""

import re
from functools import lru_cache
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.data.dataset import Knowledge


def lookup(query: str, knowledge: Knowledge) -> tuple[str, ...]:
    """Explanations of the terms found in `query`, in order; the longest match wins, case is ignored.

    >>> lookup("wake up the dragon", [("the dragon", "the dragon: the boiler"), ("dragon", "a beast")])
    ('the dragon: the boiler',)
    """
    explanations = {term.lower(): explanation for term, explanation in knowledge}
    found = (explanations[match[0]] for match in _pattern(tuple(explanations)).finditer(query.lower()))
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=8)
def _pattern(terms: tuple[str, ...]) -> re.Pattern[str]:
    """One alternation of whole terms, longest first; matches nothing where there are none."""
    longest_first = sorted(terms, key=lambda term: (-len(term), term))
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)" if terms else r"(?!)")


def read_knowledge(path: Path) -> Knowledge:
    """The knowledge base as the dataset stage wrote it."""
    rows = read_json(path)
    try:
        return [(str(row["term"]), str(row["explanation"])) for row in rows]
    except (TypeError, KeyError):
        raise UserError(f'{path}: expected a list of {{"term": ..., "explanation": ...}}') from None
