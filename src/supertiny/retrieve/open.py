"""The retriever that a name stands for."""

from collections.abc import Callable
from pathlib import Path

from supertiny.core.calls import Pool
from supertiny.core.errors import UserError
from supertiny.model.heads import load_headed
from supertiny.retrieve.index import FunctionIndex
from supertiny.retrieve.retrievers import ClassifierRetriever, Describe, EmbeddingRetriever, Retriever, dialogues
from supertiny.retrieve.stored import FILE, embed_with

WRITERS = {"described": ("llm", "base@llm"), "optimized": ("describer", "describer")}
"""retrievers that search by an API description: folder of the model that writes it, and the stage that makes it"""
KINDS = ("classifier", "embedding", *WRITERS)


def retriever(kind: str, models: Path, pool: Pool, detail: str, writer: Callable[[Path], Describe]) -> Retriever:
    """`classifier`, or the documents of `pool` nearest to the dialogue (`embedding`) or to a description of the API.

    `writer` gives what writes descriptions with a model: as it comes (`described`) or after Algorithm 1 (`optimized`).
    The models lie in folders of `models`; `detail` is how much a document says.
    """
    if kind not in KINDS:
        raise UserError(f"--by: expected one of {', '.join(KINDS)}, got {kind!r}")
    if kind == "classifier":
        return ClassifierRetriever(load_headed(_made(models / "retriever", "retriever")))
    encoder = _made(models / "encoder", "base@encoder")
    describe: Describe = dialogues
    if kind in WRITERS:
        name, stage = WRITERS[kind]
        describe = writer(_made(models / name, stage))
    return EmbeddingRetriever(FunctionIndex(embed_with(encoder, models / FILE), pool.values(), detail), describe)


def _made(folder: Path, stage: str) -> Path:
    """A model's folder, or an error that names the stage which makes it."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: there is no model here; make it with `dvc repro {stage}`, or choose another --by")
    return folder
