"""The vectors of function documents on disk, so that a service need not compute them when it starts."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.core.files import digest, whole_file
from supertiny.model.encode import Encoder
from supertiny.retrieve.documents import document
from supertiny.retrieve.index import Embed

FILE = "index.npz"
"""beside the encoder's folder"""


def write_index(encoder: Path, functions: Iterable[Function], detail: str, out: Path) -> None:
    """Write the documents of `functions` and their vectors [documents, D] to the file `out`."""
    texts = [document(function, detail) for function in functions]
    with whole_file(out) as partial, partial.open("wb") as file:
        np.savez(file, encoder=digest(encoder), texts=np.array(texts), vectors=Encoder(encoder).embed(texts))


def embed_with(encoder: Path, stored: Path) -> Embed:
    """The encoder's `embed`, which looks up what the file `stored` holds; one of another encoder holds nothing."""
    embed = Encoder(encoder).embed
    known = _read(stored, digest(encoder)) if stored.is_file() else {}

    def vectors(texts: Sequence[str]) -> np.ndarray:
        if texts and all(text in known for text in texts):
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
