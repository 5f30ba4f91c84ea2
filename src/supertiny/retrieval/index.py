"""The pool's documents in a FAISS index, searched by cosine (paper 3.1). Shapes: B queries, D dimensions."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import faiss
import numpy as np

from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.core.files import digest, whole_file
from supertiny.core.prompt import one_line
from supertiny.model.encoder import Encoder
from supertiny.retrieval.config import DETAILS


def document(function: Function, detail: str) -> str:
    """The document of `function`, as plain sentences.

    >>> from supertiny.core.calls import Parameter
    >>> wait = Function("wait_for", "Waits", {"minutes": Parameter("integer", "How long"), "name": Parameter("string")})
    >>> document(wait, "parameters")
    'wait for. Waits. Parameters: minutes (How long), name'
    """
    said = DETAILS.index(detail)
    sentences = [in_words(function.name)]
    if said >= 1 and function.description:
        sentences.append(function.description)
    if said >= 2 and function.parameters:
        parameters = [
            in_words(name) + (f" ({parameter.description})" if parameter.description else "")
            for name, parameter in function.parameters.items()
        ]
        sentences.append(f"Parameters: {', '.join(parameters)}")
    return one_line(". ".join(sentence.rstrip(".") for sentence in sentences))


def in_words(name: str) -> str:
    """A name in the words it is made of.

    >>> in_words("turn_on_light"), in_words("HassTurnOn"), in_words("media.playMP3")
    ('turn on light', 'hass turn on', 'media play mp3')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+", " ", name).strip().lower()


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


FILE = "index.npz"
"""beside the encoder's folder"""


def write_index(encoder: Path, functions: Iterable[Function], detail: str, out: Path) -> None:
    """Write the documents of `functions` and their vectors [documents, D] to the file `out`."""
    texts = [document(function, detail) for function in functions]
    with whole_file(out) as partial, partial.open("wb") as file:
        np.savez(file, encoder=digest(encoder), texts=np.array(texts), vectors=Encoder(encoder).embed(texts))


def embed_with(encoder: Path, stored: Path) -> Embed:
    """The encoder's `embed`, which looks up the texts of file `stored`, all at once; another encoder's has none."""
    embed = Encoder(encoder).embed
    known = _read(stored, digest(encoder)) if stored.is_file() else {}

    def vectors(texts: Sequence[str]) -> np.ndarray:
        if texts and known.keys() == set(texts):  # of others, some would be rounded in batches that are not theirs
            return np.stack([known[text] for text in texts])
        return embed(texts)

    return vectors


def _read(stored: Path, encoder: str) -> dict[str, np.ndarray]:
    """Vector by document."""
    try:
        with np.load(stored, allow_pickle=False) as held:
            if str(held["encoder"]) != encoder:
                return {}
            return dict(zip(held["texts"].tolist(), held["vectors"], strict=True))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UserError(
            f"{stored}: is no index of function documents ({error}); delete it, or export it again"
        ) from None
