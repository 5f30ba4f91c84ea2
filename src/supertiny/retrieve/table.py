"""Table 5: recall@k of every retriever on the same queries."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supertiny.core.calls import Pool
from supertiny.core.errors import UserError
from supertiny.core.files import read_jsonl
from supertiny.core.records import Example
from supertiny.retrieve.documents import DETAILS
from supertiny.retrieve.index import Embed, FunctionIndex
from supertiny.retrieve.recall import RetrievalConfig, split_recall
from supertiny.retrieve.retrievers import EmbeddingRetriever, Retriever, described_by, dialogues, queries

Splits = Mapping[str, Sequence[Example]]


def table(
    classifier: Retriever, embed: Embed, pool: Pool, splits: Splits, written: Mapping[str, Path], cfg: RetrievalConfig
) -> dict[str, Any]:
    """Every retriever's row (`split_recall`) by its name.

    `classifier`; `query_<detail>`, the query alone in documents of each detail; `dialogue`, the text the classifier
    reads; each variant of `written` API descriptions, plain and, as `<variant>_instructed`, behind the instruction.
    With descriptions every row, those without one too, is of the examples that all of `written` describe.
    """
    described = {variant: _known_descriptions(path, splits) for variant, path in written.items()}
    splits = {
        name: [one for one in examples if all(one.id in texts for texts in described.values())]
        for name, examples in splits.items()
    }
    if described and not any(splits.values()):
        raise UserError(f"{', '.join(map(str, written.values()))} describe no example in common; write them anew")
    indexes = {detail: FunctionIndex(embed, pool.values(), detail) for detail in DETAILS}
    rows = {"classifier": split_recall(classifier, splits, cfg.cutoffs)}
    for detail, index in indexes.items():
        rows[f"query_{detail}"] = split_recall(EmbeddingRetriever(index, queries), splits, cfg.cutoffs)
    rows["dialogue"] = split_recall(EmbeddingRetriever(indexes[cfg.detail], dialogues), splits, cfg.cutoffs)
    for variant, texts in described.items():
        for name, instruction in {variant: "", f"{variant}_instructed": cfg.instruction}.items():
            retriever = EmbeddingRetriever(indexes[cfg.detail], described_by(texts), instruction)
            rows[name] = split_recall(retriever, splits, cfg.cutoffs)
    return rows


def _known_descriptions(path: Path, splits: Splits) -> dict[str, str]:
    """The descriptions of a file, each of which must be of an example of the splits."""
    described = read_descriptions(path)
    known = {example.id for examples in splits.values() for example in examples}
    if foreign := sorted(described.keys() - known):
        raise UserError(f"{path}: {foreign[0]!r} is no example of {', '.join(splits)}; write the descriptions anew")
    return described


def read_descriptions(path: Path) -> dict[str, str]:
    """API descriptions by example id, from lines of {"id", "description"}."""
    described: dict[str, str] = {}
    for number, row in read_jsonl(path):
        match row:
            case {"id": str(name), "description": str(text)}:
                if name in described:
                    raise UserError(f"{path}, line {number}: field 'id': {name!r} stands there twice")
                described[name] = text
            case _:
                raise UserError(f"{path}, line {number}: expected strings 'id' and 'description'")
    return described
