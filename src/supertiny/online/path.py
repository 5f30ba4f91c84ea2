"""From a query to its call, a function a step: a terminal and a service show the same path (paper Figure 2c)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from supertiny.core.calls import Answer, Malformed, Pool
from supertiny.core.records import Example
from supertiny.data.dataset import Knowledge
from supertiny.data.knowledge import lookup
from supertiny.measure.workload import requests
from supertiny.model.ask import Generation, Request
from supertiny.prompt.compressed import PromptConfig
from supertiny.prompt.thought import read_answer
from supertiny.retrieve.index import Scored
from supertiny.retrieve.retrievers import EmbeddingRetriever, Retriever, described_by

Ask = Callable[[Request], Generation]


@dataclass(frozen=True, slots=True)
class Found:
    """The functions that may serve a query."""

    ranked: Scored
    """(name, score), the likeliest first"""
    searched_for: str | None
    """the text whose nearest documents these are; None: a classifier's choice"""


def with_knowledge(example: Example, knowledge: Knowledge) -> Example:
    """`example` with what the knowledge base says of the query's terms."""
    return replace(example, knowledge=lookup(example.query, knowledge))


def find(examples: Sequence[Example], retriever: Retriever, k: int) -> list[Found]:
    """The `k` likeliest functions of each example; what is searched for is written once. The ids must differ."""
    if not isinstance(retriever, EmbeddingRetriever):
        return [Found(ranked, None) for ranked in retriever.scored(examples, k)]
    texts = retriever.describe(examples)
    written = described_by(dict(zip((one.id for one in examples), texts, strict=True)))
    ranked = EmbeddingRetriever(retriever.index, written, retriever.instruction).scored(examples, k)
    return [Found(one, text) for one, text in zip(ranked, texts, strict=True)]


def offered(example: Example, found: Found) -> Example:
    """`example` with the functions that were found as its candidates."""
    return replace(example, candidates=tuple(name for name, _ in found.ranked))


def to_request(example: Example, pool: Pool, prompt: PromptConfig) -> Request:
    """What the model is asked."""
    (request,) = requests([example], pool, prompt)
    return request


def answered(request: Request, ask: Ask) -> tuple[Generation, Answer | Malformed]:
    """What the model writes, read strictly: only a call of a candidate is one."""
    generation = ask(request)
    return generation, read_answer(generation.text, {function.name: function for function in request.candidates})
