"""How a model is trained, and on what."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

from supertiny.core.config import require, require_positive
from supertiny.model.hardware import compute_dtype


@dataclass(kw_only=True, slots=True)
class FitConfig:
    """How a model is trained: the science of it."""

    learning_rate: float
    """peak, after warm-up"""
    warmup_share: float
    """share of all steps over which the rate rises linearly"""
    schedule: str
    """cosine | linear | constant, down to zero after warm-up"""
    weight_decay: float
    """AdamW's, on matrices only"""
    max_grad_norm: float
    """gradients are clipped to this 2-norm"""

    def __post_init__(self) -> None:
        require_positive(self, "learning_rate")
        require(0 <= self.warmup_share <= 1, f"warmup_share: expected 0..1, got {self.warmup_share}")
        require(self.schedule in SCHEDULES, f"schedule: expected one of {', '.join(SCHEDULES)}, got {self.schedule!r}")
        require_positive(self, "max_grad_norm")


@dataclass(kw_only=True, slots=True)
class FrozenConfig:
    """What of a language model stays as it is while the rest is fine-tuned."""

    embeddings: bool
    """token embeddings (and a head tied to them)"""
    blocks: float
    """share of the blocks, from the first; with the embeddings frozen too they need no backward pass"""

    def __post_init__(self) -> None:
        require(0 <= self.blocks < 1, f"blocks: expected 0 to less than 1, got {self.blocks}")


@dataclass(kw_only=True, slots=True)
class TrainMachine:
    """On what a model is trained: the profile's part."""

    precision: str
    """auto | float32 | bfloat16 (weights and optimizer state stay float32)"""
    max_tokens: int
    """padded tokens of one micro-batch, which holds one pack or text at least; lower it when memory runs out"""
    gradient_checkpointing: bool
    """recompute activations in the backward pass: less memory, a third more time"""
    save_minutes: float
    """how often the state to resume from is written"""
    processes: int
    """data-parallel processes, one a GPU"""

    def __post_init__(self) -> None:
        require_positive(self, "max_tokens", "processes", "save_minutes")
        compute_dtype(self.precision)


def _cosine(after: float) -> float:
    return 0.5 * (1 + cos(pi * after))


def _scheduled(decay: Callable[[float], float]) -> Callable[[int, int, float], float]:
    def factor(step: int, total: int, warmup_share: float) -> float:
        """Share of the peak rate at `step` (from 0) of `total`."""
        warmup = warmup_share * total
        if step + 1 < warmup:
            return (step + 1) / warmup
        return decay((step - warmup) / max(total - warmup, 1)) if step > warmup else 1.0

    return factor


SCHEDULES = {
    "cosine": _scheduled(_cosine),
    "linear": _scheduled(lambda after: 1 - after),
    "constant": _scheduled(lambda after: 1.0),
}
