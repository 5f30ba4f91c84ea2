"""Recall@k: how often a function that serves the query is among the first k (paper App. D, Table 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from supertiny.core.calls import Call
from supertiny.core.config import require
from supertiny.core.rates import share
from supertiny.core.records import Example
from supertiny.retrieve.documents import DETAILS
from supertiny.retrieve.needed import with_call
from supertiny.retrieve.retrievers import Retriever


@dataclass(kw_only=True, slots=True)
class RetrievalConfig:
    """Section `retrieval` of params.yaml."""

    cutoffs: list[int]
    """every k of recall@k"""
    instruction: str
    """what stands before a description in the rows `<variant>_instructed` (App. D.1)"""
    detail: str
    """name | description | parameters: what a document says where a dialogue or a description is searched"""

    def __post_init__(self) -> None:
        require(bool(self.cutoffs) and min(self.cutoffs) > 0, f"cutoffs: expected k above 0, got {self.cutoffs}")
        require(self.detail in DETAILS, f"detail: expected one of {', '.join(DETAILS)}, got {self.detail!r}")


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
            for tag in ("seen", "unseen"):
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
