"""The retriever that a name stands for."""

from pathlib import Path

from supertiny.core.calls import Pool
from supertiny.core.errors import UserError
from supertiny.model.encode import Encoder
from supertiny.model.heads import load_headed
from supertiny.retrieve.index import FunctionIndex
from supertiny.retrieve.retrievers import ClassifierRetriever, EmbeddingRetriever, Retriever, dialogues


def retriever(kind: str, classifier: Path, encoder: Path, pool: Pool, detail: str) -> Retriever:
    """`classifier` as trained in its folder, or `embedding`: the documents of `pool` nearest to the dialogue.

    `detail` is how much a document says.
    """
    if kind == "classifier":
        return ClassifierRetriever(load_headed(classifier))
    if kind == "embedding":
        return EmbeddingRetriever(FunctionIndex(Encoder(encoder).embed, pool.values(), detail), dialogues)
    raise UserError(f"--by: expected classifier or embedding, got {kind!r}")
