"""What the prototype is asked to do."""

from dataclasses import dataclass

from supertiny.core.config import require
from supertiny.measure.evaluate import SplitSizes
from supertiny.model.ask import ChatConfig

KINDS = ("nearest", "nearest_first", "fixed")
DOCUMENTS = ("signature", "description", "parameters")
"""how much a function document says; each says also what those before it say"""


@dataclass(kw_only=True, slots=True)
class PrototypeConfig:
    """Section `prototype` of params.yaml."""

    examples: str
    """nearest: the expert examples most like the query, the likest last | nearest_first: the likest first |
    fixed: the same for every query"""
    num_examples: int
    """in-context examples"""
    thought: bool
    """chain of thought before the answer"""
    documents: str
    """of the functions offered: signature | description | parameters (their types, descriptions, values)"""
    knowledge: bool
    """explanations retrieved from the knowledge base"""
    constrained: bool
    """only valid replies can be written"""
    chat: ChatConfig

    def __post_init__(self) -> None:
        require(self.examples in KINDS, f"examples: expected one of {', '.join(KINDS)}, got {self.examples!r}")
        require(
            self.documents in DOCUMENTS, f"documents: expected one of {', '.join(DOCUMENTS)}, got {self.documents!r}"
        )
        require(self.num_examples >= 0, f"num_examples: expected 0 or more, got {self.num_examples}")


@dataclass(kw_only=True, slots=True)
class PrototypeSizes(SplitSizes):
    """Section `prototype` of the profile: how many queries of each split it answers; 0 is all."""

    train: int
    ablation: int
    """queries of the dev split that each variant of the ablation answers"""
    max_clients: int
    """rounds of its load test with more clients are left out"""

    def __post_init__(self) -> None:
        SplitSizes.__post_init__(self)
        for name in ("train", "ablation", "max_clients"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")
