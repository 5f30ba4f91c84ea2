"""How functions are found and described; no torch is imported."""

from dataclasses import dataclass

from supertiny.core.ask import ChatConfig
from supertiny.core.config import require, require_positive
from supertiny.model.config import FitConfig, FrozenConfig

DETAILS = ("name", "description", "parameters")
"""how much a document says; each says also what those before it say"""


@dataclass(kw_only=True, slots=True)
class DescribeConfig:
    """Section `describe` of params.yaml."""

    num_examples: int
    """expert queries shown with the description of their function's document, no two of one function"""
    max_chars: int
    """a description is cut there, at a word"""
    chat: ChatConfig
    """how the descriptions that are searched for are written"""

    def __post_init__(self) -> None:
        require(self.num_examples >= 0, f"num_examples: expected 0 or more, got {self.num_examples}")
        require_positive(self, "max_chars")


@dataclass(kw_only=True, slots=True)
class RejectConfig:
    """Section `reject` of params.yaml: rejection sampling of descriptions (Algorithm 1)."""

    candidates: int
    """nearest functions of a description that its call may choose from"""
    keep_within: int
    """a description is kept only where the called function is among so many nearest; Algorithm 1: 5"""
    chat: ChatConfig
    """how descriptions are sampled"""

    def __post_init__(self) -> None:
        inside = 0 < self.keep_within <= self.candidates
        require(inside, f"keep_within: expected 1..candidates ({self.candidates}), got {self.keep_within}")
        require(self.chat.temperature > 0, "chat.temperature: expected more than 0; greedy samples are all the same")


@dataclass(kw_only=True, slots=True)
class DescriberConfig:
    """Section `describer` of params.yaml: training on the kept descriptions."""

    epochs: int
    """passes over the kept descriptions"""
    group_size: int
    """descriptions behind one copy of the prompt that they share, and its forward pass"""
    groups_a_step: int
    """groups in one optimizer step"""
    frozen: FrozenConfig
    """what does not learn"""
    fit: FitConfig

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "group_size", "groups_a_step")


@dataclass(kw_only=True, slots=True)
class DescribeSizes:
    """Section `sizes.describe` of the profile. Queries without a call are not counted: they need no API."""

    test: int
    """queries of the test that are described; 0: all"""
    ood: int
    """queries of the OOD test that are described; 0: all"""
    queries: int
    """queries of the training pool whose descriptions are sampled; 0: all"""
    samples: int
    """descriptions sampled for each of them"""
    labelled: int
    """further queries of the pool that join with the document of their reference function, where the models here are
    too weak to keep any description; 0: what rejection keeps is all there is"""
    shard: int
    """calls kept at once: what a killed run can lose; the calling model is loaded anew for each"""

    def __post_init__(self) -> None:
        for name in ("test", "ood", "queries", "labelled"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")
        require_positive(self, "samples", "shard")


@dataclass(kw_only=True, slots=True)
class RetrieverSizes:
    """Section `sizes.retriever` of the profile."""

    examples: int
    """training examples, of which refusals are left out; 0: all there are"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")


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
