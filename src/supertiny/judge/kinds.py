"""What every kind of judge is: replies to examples in, a verdict each out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from supertiny.core.calls import Answer, Malformed
from supertiny.core.config import require
from supertiny.core.records import Example
from supertiny.judge import reference
from supertiny.judge.reference import Failure, Verdict

Reply = Answer | Malformed
Judge = Callable[[Sequence[Example], Sequence[Reply]], list[Verdict]]

KINDS = ("reference", "classifier", "llm")


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

    def __post_init__(self) -> None:
        for kind in (self.kind, *self.calibrate):
            require(kind in KINDS, f"kind, calibrate: {kind!r} is none of {', '.join(KINDS)}")
        require(self.kind in self.calibrate, f"calibrate: the chosen kind {self.kind!r} must be among {self.calibrate}")
        require(0 < self.threshold < 1, f"threshold: expected between 0 and 1, got {self.threshold}")
        for name in ("min_agreement", "max_flipped"):
            require(0 <= getattr(self, name) <= 1, f"{name}: expected 0..1, got {getattr(self, name)}")


@dataclass(kw_only=True, slots=True)
class JudgeSizes:
    """Section `judge_sizes` of the profile."""

    llm_examples: int
    """judged examples whose replies the llm judge is measured on; 0: all that the others are"""

    def __post_init__(self) -> None:
        require(self.llm_examples >= 0, f"llm_examples: expected 0 or more, got {self.llm_examples}")


def by_reference(examples: Sequence[Example], replies: Sequence[Reply]) -> list[Verdict]:
    """The reference judge, which knows the accepted answers of each example."""
    return [reference.judge(*pair) for pair in zip(examples, replies, strict=True)]


def verdict(example: Example, reply: Reply, failure: Failure | None) -> Verdict:
    """What a judge without the accepted answers says: right where it names no failure.

    A malformed reply is never right, for no executor would run it; its failure is then the reader's.
    """
    if isinstance(reply, Malformed):
        return reference.judge(example, reply)
    return Verdict(failure is None, failure, reference.judge(example, reply).exact)
