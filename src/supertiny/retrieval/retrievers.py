"""Three retrievers behind one interface (paper App. D, Table 5): described, query and classifier."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch

from supertiny.core.calls import Function, Pool
from supertiny.core.errors import UserError
from supertiny.core.prompt import dialogue, one_line
from supertiny.core.records import Example
from supertiny.model.encoder import HeadedEncoder, load_headed
from supertiny.retrieval.index import FILE, Embed, FunctionIndex, Scored, embed_with

Describe = Callable[[Sequence[Example]], list[str]]
"""for each example the text that is searched for"""


class Retriever(ABC):
    """From an example (its query, context, dialogue) to functions that may serve it."""

    extensible: ClassVar[bool]
    """whether a function can join the pool without training"""

    @abstractmethod
    def scored(self, examples: Sequence[Example], k: int | None = None) -> list[Scored]:
        """For each example the `k` best functions (all that it knows without k) and their scores, best first."""

    @abstractmethod
    def add(self, function: Function) -> None:
        """Let `function` be found from now on, or say why it cannot be."""

    def rank(self, examples: Sequence[Example], k: int | None = None) -> list[list[str]]:
        """The names alone."""
        return [[name for name, _ in found] for found in self.scored(examples, k)]


class EmbeddingRetriever(Retriever):
    """The functions whose documents are nearest to what `describe` says of the example."""

    extensible = True

    def __init__(self, index: FunctionIndex, describe: Describe, instruction: str = "") -> None:
        self.index, self.describe, self.instruction = index, describe, instruction

    def scored(self, examples: Sequence[Example], k: int | None = None) -> list[Scored]:
        """By cosine; the instruction, where there is one, stands before each text (App. D.1)."""
        texts = [self.instruction + text for text in self.describe(examples)]
        return self.index.search(self.index.embed(texts), k) if texts else []

    def add(self, function: Function) -> None:
        """Embed one more document."""
        self.index.add(function)

    def over(self, functions: Iterable[Function]) -> "EmbeddingRetriever":
        """The same among other functions."""
        index = FunctionIndex(self.index.embed, functions, self.index.detail)
        return EmbeddingRetriever(index, self.describe, self.instruction)


class ClassifierRetriever(Retriever):
    """A fine-tuned encoder over dialogue, query and context; its classes are the functions it was trained on."""

    extensible = False

    def __init__(self, model: HeadedEncoder) -> None:
        self.model = model

    def scored(self, examples: Sequence[Example], k: int | None = None) -> list[Scored]:
        """By log-probability, nats."""
        labels = self.model.labels
        found = []
        for scores in self.model.scores(dialogues(examples)):
            order = torch.sort(scores["label"], descending=True, stable=True).indices[:k].tolist()
            found.append([(labels[index], float(scores["label"][index])) for index in order])
        return found

    def add(self, function: Function) -> None:
        """Raise: a class more is a training more."""
        raise UserError(
            f"the classifier retriever cannot find {function.name!r}: its classes are the {len(self.model.labels)} "
            "functions it was trained on; add labelled queries of that function and retrain it (stage `retriever`), "
            "or use an embedding retriever, which is extensible"
        )


def queries(examples: Sequence[Example]) -> list[str]:
    """The query as it stands: the baseline without a description."""
    return [one_line(example.query) for example in examples]


def dialogues(examples: Sequence[Example]) -> list[str]:
    """What the classifier reads: the query with its context, what is known of its terms, and earlier turns."""
    return [dialogue(example) for example in examples]


def described_by(descriptions: Mapping[str, str]) -> Describe:
    """Descriptions that were written before, by example id."""

    def describe(examples: Sequence[Example]) -> list[str]:
        for example in examples:
            if example.id not in descriptions:
                raise UserError(f"example {example.id!r}: it has no description; run the stage that writes them")
        return [descriptions[example.id] for example in examples]

    return describe


def offered(rows: Sequence[Example], pool: Pool, embed: Callable[[], Embed], detail: str, count: int) -> list[Example]:
    """`rows`, those without candidates with the `count` functions whose documents are nearest to their dialogue."""
    waiting = [row for row in rows if not row.candidates]
    if not waiting:
        return list(rows)
    found = EmbeddingRetriever(FunctionIndex(embed(), pool.values(), detail), dialogues).rank(waiting, count)
    filled = {row.id: replace(row, candidates=tuple(names)) for row, names in zip(waiting, found, strict=True)}
    return [filled.get(row.id, row) for row in rows]


WRITERS = {"described": ("llm", "base"), "optimized": ("describer", "describer")}
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
    encoder = _made(models / "encoder", "base")
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
