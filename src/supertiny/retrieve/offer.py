"""Candidates for queries that bring none: where nothing is labelled, no oracle knows what to hide among others."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from supertiny.core.calls import Pool
from supertiny.core.records import Example
from supertiny.retrieve.index import Embed, FunctionIndex
from supertiny.retrieve.retrievers import EmbeddingRetriever, dialogues


def offered(rows: Sequence[Example], pool: Pool, embed: Callable[[], Embed], detail: str, count: int) -> list[Example]:
    """`rows`, those without candidates with the `count` functions whose documents are nearest to their dialogue."""
    waiting = [row for row in rows if not row.candidates]
    if not waiting:
        return list(rows)
    found = EmbeddingRetriever(FunctionIndex(embed(), pool.values(), detail), dialogues).rank(waiting, count)
    filled = {row.id: replace(row, candidates=tuple(names)) for row, names in zip(waiting, found, strict=True)}
    return [filled.get(row.id, row) for row in rows]
