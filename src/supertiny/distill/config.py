"""What is stored of a teacher, and which divergence a student minimises; no torch is imported."""

from dataclasses import dataclass
from typing import Protocol

from supertiny.core.config import require, require_positive

KINDS = ("akl", "fkl", "rkl", "fixed")
FLOAT_BITS = 15
"""of a stored fp16 log-probability, which has no sign"""


class Choice(Protocol):
    """What tells one divergence from another."""

    @property
    def loss(self) -> str:
        """Its kind."""

    @property
    def mu(self) -> float:
        """Of akl."""

    @property
    def alpha(self) -> float:
        """Of fixed."""


def must_be_one(choice: Choice) -> None:
    """An error that names the field where these are no divergence (Eq. 3-5)."""
    require(choice.loss in KINDS, f"loss: expected one of {', '.join(KINDS)}, got {choice.loss!r}")
    require_positive(choice, "mu")
    require(0 <= choice.alpha <= 1, f"alpha: expected 0..1, got {choice.alpha}")


@dataclass(kw_only=True, slots=True)
class LogitsConfig:
    """Section `logits` of params.yaml: which of the teacher's probabilities are stored."""

    top_k: int
    """most ids kept of a token (paper: 100)"""
    top_p: float
    """probability mass after which no more ids are kept; 1: always top_k"""
    min_k: int
    """fewest ids kept of a token"""
    temperature: float
    """of the softmax, of teacher and student"""

    def __post_init__(self) -> None:
        require(1 <= self.top_k <= 1 << FLOAT_BITS, f"top_k: expected 1..{1 << FLOAT_BITS}, got {self.top_k}")
        require(0 < self.top_p <= 1, f"top_p: expected more than 0 and at most 1, got {self.top_p}")
        require(1 <= self.min_k <= self.top_k, f"min_k: expected 1..top_k = {self.top_k}, got {self.min_k}")
        require_positive(self, "temperature")


@dataclass(kw_only=True, slots=True)
class LogitsSizes:
    """Section `sizes.logits` of the profile."""

    shard_tokens: int
    """response tokens after which a shard of the cache is closed; a killed run redoes at most so many"""

    def __post_init__(self) -> None:
        require_positive(self, "shard_tokens")


@dataclass(kw_only=True, slots=True)
class DistillConfig:
    """Section `distill` of params.yaml: which divergence (Eq. 3-5)."""

    loss: str
    """akl | fkl | rkl | fixed"""
    mu: float
    """akl: probability mass of the teacher's tokens that make the head; from 1 on it is fkl"""
    mu_start: float | None
    """mu at the first step, from where it goes linearly to `mu`; null: constant"""
    alpha: float
    """fixed: weight of the forward KL"""
    chunk_rows: int
    """response tokens whose divergence is computed at once"""

    def __post_init__(self) -> None:
        must_be_one(self)
        require(self.mu_start is None or self.mu_start > 0, f"mu_start: expected more than 0, got {self.mu_start}")
        require_positive(self, "chunk_rows")
