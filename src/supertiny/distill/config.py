"""What distillation is asked to do (paper 3.2)."""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive
from supertiny.distill.divergence import Divergence


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
        Divergence(loss=self.loss, mu=self.mu, alpha=self.alpha)
        require(self.mu_start is None or self.mu_start > 0, f"mu_start: expected more than 0, got {self.mu_start}")
        require_positive(self, "chunk_rows")
