"""Retrieval of explanations: a plain lookup of a query's terms in the knowledge base (paper 3.1, RAG)."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

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
    """A JSON list of {"term", "explanation"}; each fault names the entry and field."""
    rows = read_json(path)
    if not isinstance(rows, list):
        raise UserError(f'{path}: expected a list of {{"term": ..., "explanation": ...}}')
    found: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows):
        match row:
            case {"term": str(term), "explanation": str(explanation)} if term.strip() and explanation.strip():
                if term.lower() in found:
                    raise UserError(f"{path}, entry {number}: field 'term': {term!r} stands there twice")
                found[term.lower()] = (term, explanation)
            case _:
                raise UserError(f"{path}, entry {number}: {_fault(row)}")
    return list(found.values())


def _fault(row: Any) -> str:
    """What is wrong with an entry that is no term with its explanation."""
    if not isinstance(row, dict):
        return f"expected an object, got {type(row).__name__}"
    said = {name: row.get(name) for name in ("term", "explanation")}
    name, value = next((key, text) for key, text in said.items() if not (isinstance(text, str) and text.strip()))
    return f"field {name!r}: {'missing' if name not in row else f'expected a text, got {value!r}'}"
