"""Recall@k: how often a function that serves the query is among the first k (paper App. D, Table 5)."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from supertiny.core.calls import Call, Pool
from supertiny.core.records import SEEN, UNSEEN, Example
from supertiny.core.stats import share
from supertiny.retrieval.config import DETAILS, RetrievalConfig
from supertiny.retrieval.index import Embed, FunctionIndex
from supertiny.retrieval.retrievers import EmbeddingRetriever, Retriever, described_by, dialogues, queries


def with_call(examples: Sequence[Example]) -> list[Example]:
    """Examples whose reference answer is a call."""
    return [example for example in examples if example.answers and isinstance(example.answers[0], Call)]


def needed(example: Example) -> str:
    """The name of the function that the reference answer of one of `with_call` calls."""
    answer = example.answers[0]
    assert isinstance(answer, Call), f"example {example.id!r} needs no function"
    return answer.name


def recall(examples: Sequence[Example], ranked: Sequence[Sequence[str]], cutoffs: Sequence[int]) -> dict[str, Any]:
    """Share of `examples` with the function of an accepted answer among the first k, for each k; None without examples.

    Right for examples whose reference is a call (`with_call`): a refusal has no function to find.
    """
    places = [_place(example, names) for example, names in zip(examples, ranked, strict=True)]
    return {str(k): share([place < k for place in places]) for k in cutoffs}


def split_recall(
    retriever: Retriever, splits: Mapping[str, Sequence[Example]], cutoffs: Sequence[int]
) -> dict[str, Any]:
    """One retriever's row of Table 5: `recall` and `n` of each split that has examples, `ood` also seen and unseen."""
    row: dict[str, Any] = {"extensible": retriever.extensible, "recall": {}, "n": {}}
    for name, rows in splits.items():
        called = with_call(rows)
        ranked = retriever.rank(called, max(cutoffs))
        parts = {name: list(range(len(called)))}
        if name == "ood":
            for tag in (SEEN, UNSEEN):
                parts[f"ood_{tag}"] = [at for at, example in enumerate(called) if tag in example.tags]
        for part, places in parts.items():
            if places:
                row["recall"][part] = recall([called[at] for at in places], [ranked[at] for at in places], cutoffs)
                row["n"][part] = len(places)
    return row


def _place(example: Example, names: Sequence[str]) -> float:
    """Where the first accepted function stands, from 0; infinity where none does."""
    accepted = {answer.name for answer in example.answers if isinstance(answer, Call)}
    return next((place for place, name in enumerate(names) if name in accepted), inf)


Splits = Mapping[str, Sequence[Example]]


def table(
    classifier: Retriever,
    embed: Embed,
    pool: Pool,
    splits: Splits,
    written: Mapping[str, Mapping[str, str]],
    cfg: RetrievalConfig,
) -> dict[str, Any]:
    """Every retriever's row (`split_recall`) by its name.

    `classifier`; `query_<detail>`, the query alone in documents of each detail; `dialogue`, the text the classifier
    reads; each variant of `written` API descriptions by example id, plain and, as `<variant>_instructed`, behind the
    instruction. With descriptions every row, those without one too, is of the examples that all of `written` describe.
    """
    splits = {
        name: [one for one in examples if all(one.id in texts for texts in written.values())]
        for name, examples in splits.items()
    }
    indexes = {detail: FunctionIndex(embed, pool.values(), detail) for detail in DETAILS}
    rows = {"classifier": split_recall(classifier, splits, cfg.cutoffs)}
    for detail, index in indexes.items():
        rows[f"query_{detail}"] = split_recall(EmbeddingRetriever(index, queries), splits, cfg.cutoffs)
    rows["dialogue"] = split_recall(EmbeddingRetriever(indexes[cfg.detail], dialogues), splits, cfg.cutoffs)
    for variant, texts in written.items():
        for name, instruction in {variant: "", f"{variant}_instructed": cfg.instruction}.items():
            retriever = EmbeddingRetriever(indexes[cfg.detail], described_by(texts), instruction)
            rows[name] = split_recall(retriever, splits, cfg.cutoffs)
    return rows
