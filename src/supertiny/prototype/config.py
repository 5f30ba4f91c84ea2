"""What the prototype, its judges and the training set they make are asked to do."""

from dataclasses import asdict, dataclass
from typing import Any

from supertiny.core.ask import ChatConfig
from supertiny.core.config import require
from supertiny.model.config import LabellingConfig

SHOWN = ("nearest", "nearest_first", "fixed")
DOCUMENTS = ("signature", "description", "parameters")
"""how much a function document says; each says also what those before it say"""
JUDGES = ("reference", "classifier", "llm")


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
        require(self.examples in SHOWN, f"examples: expected one of {', '.join(SHOWN)}, got {self.examples!r}")
        require(
            self.documents in DOCUMENTS, f"documents: expected one of {', '.join(DOCUMENTS)}, got {self.documents!r}"
        )
        require(self.num_examples >= 0, f"num_examples: expected 0 or more, got {self.num_examples}")


@dataclass(kw_only=True, slots=True)
class PrototypeSizes:
    """Section `sizes.prototype` of the profile: how many queries it answers; 0 is all."""

    train: int
    """of the training pool"""
    ablation: int
    """of the dev split, under each variant of the ablation"""

    def __post_init__(self) -> None:
        for name in ("train", "ablation"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")


@dataclass(kw_only=True, slots=True)
class JudgeConfig:
    """Section `judge` of params.yaml."""

    kind: str
    """reference | classifier | llm: the judge that verdicts are asked of"""
    calibrate: list[str]
    """kinds measured against the experts; `kind` among them"""
    min_agreement: float
    """share of the experts' verdicts that `kind` must give too; the paper's judge: .93"""
    max_flipped: float
    """share of wrong replies that an instruction planted in the data may turn to right by `kind`"""
    threshold: float
    """classifier: P(right) from which a reply counts as right; higher: fewer accepted, more of them right"""
    chat: ChatConfig
    """llm: its reasoning and its verdict"""
    classifier: LabellingConfig
    """how the classifier judge is trained"""

    def __post_init__(self) -> None:
        for kind in (self.kind, *self.calibrate):
            require(kind in JUDGES, f"kind, calibrate: {kind!r} is none of {', '.join(JUDGES)}")
        require(self.kind in self.calibrate, f"calibrate: the chosen kind {self.kind!r} must be among {self.calibrate}")
        require(0 < self.threshold < 1, f"threshold: expected between 0 and 1, got {self.threshold}")
        for name in ("min_agreement", "max_flipped"):
            require(0 <= getattr(self, name) <= 1, f"{name}: expected 0..1, got {getattr(self, name)}")


@dataclass(kw_only=True, slots=True)
class JudgeSizes:
    """Section `sizes.judge` of the profile."""

    llm_examples: int
    """judged examples whose replies the llm judge is measured on; 0: all that the others are"""

    def __post_init__(self) -> None:
        require(self.llm_examples >= 0, f"llm_examples: expected 0 or more, got {self.llm_examples}")


@dataclass(kw_only=True, slots=True)
class RftSizes:
    """Section `sizes.rft` of the profile."""

    labelled: int
    """further rows of the pool that join with the label the data has, where the prototype here is too weak to earn a
    training set; 0: what the judge accepts is all there is"""

    def __post_init__(self) -> None:
        require(self.labelled >= 0, f"labelled: expected 0 or more, got {self.labelled}")


@dataclass(kw_only=True, slots=True)
class ChangeConfig:
    """One entry of section `ablation` of params.yaml: what differs from section `prototype`; None: nothing."""

    examples: str | None = None
    num_examples: int | None = None
    thought: bool | None = None
    documents: str | None = None
    knowledge: bool | None = None
    constrained: bool | None = None
    candidates: int | None = None
    """functions offered, the needed one among them"""

    def __post_init__(self) -> None:
        require(self.candidates is None or self.candidates > 0, "candidates: expected more than 0")

    def changed(self) -> dict[str, Any]:
        """The fields that differ."""
        return {name: value for name, value in asdict(self).items() if value is not None}
