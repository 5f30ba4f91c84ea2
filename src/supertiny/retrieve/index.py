"""The pool's documents in a FAISS index, searched by cosine (paper 3.1). Shapes: B queries, D dimensions."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import faiss
import numpy as np

from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.retrieve.documents import document

Embed = Callable[[Sequence[str]], np.ndarray]
"""texts -> unit vectors [texts, D] in float32; one pair of equal texts gives equal vectors"""
Scored = list[tuple[str, float]]
"""function names with their scores, best first"""


class FunctionIndex:
    """Function documents as unit vectors; their inner product with a unit vector is the cosine."""

    def __init__(self, embed: Embed, functions: Iterable[Function], detail: str) -> None:
        self.embed, self.detail = embed, detail
        self.names: list[str] = []
        self._index: Any = None
        self.add(*functions)

    def add(self, *functions: Function) -> None:
        """Index more functions, at any time; nothing is trained."""
        if not functions:
            return
        names = [function.name for function in functions]
        if twice := sorted({name for name in names if name in self.names or names.count(name) > 1}):
            raise UserError(f"function {twice[0]!r} is already in the index; a function is indexed once")
        vectors_FD = np.ascontiguousarray(self.embed([document(f, self.detail) for f in functions]), dtype=np.float32)
        if self._index is None:
            self._index = faiss.IndexFlatIP(vectors_FD.shape[1])
        self._index.add(vectors_FD)
        self.names += names

    def search(self, vectors_BD: np.ndarray, k: int | None = None) -> list[Scored]:
        """For each vector the `k` nearest functions (all of them without k) with their cosine; ties in pool order."""
        if self._index is None or not len(vectors_BD):
            return [[] for _ in vectors_BD]
        if vectors_BD.shape[1] != self._index.d:
            raise UserError(
                f"the index holds vectors of {self._index.d} dimensions, the query has {vectors_BD.shape[1]}; "
                "search it with the encoder that made it"
            )
        count = len(self.names)
        scores_BF, rows_BF = self._index.search(np.ascontiguousarray(vectors_BD, dtype=np.float32), count)
        order_BF = np.lexsort((rows_BF, -scores_BF))[:, : count if k is None else k]
        return [
            [(self.names[rows[at]], float(scores[at])) for at in order]
            for rows, scores, order in zip(rows_BF, scores_BF, order_BF, strict=True)
        ]
