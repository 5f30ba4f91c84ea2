"""How models are trained and where they come from, as params.yaml and the profile say it; no torch is imported."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

from supertiny.core.config import require, require_positive
from supertiny.core.errors import UserError

PRECISIONS = ("auto", "float32", "bfloat16")
"""of weights and activations; auto: bfloat16 where the hardware multiplies it faster"""
SEAM = "\x1e"
"""between two texts that an encoder reads as one: no text that is on one line can hold it"""


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
    """What gets no gradient while the rest of a language model is fine-tuned."""

    embeddings: bool
    """token embeddings (and a head tied to them)"""
    blocks: float
    """share of the blocks, from the first; with the embeddings frozen too they need no backward pass"""
    prefix: bool
    """keys and values of what the branches of a pack share: they are read as they are, which saves its backward pass"""

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
        known = ", ".join(PRECISIONS)
        require(self.precision in PRECISIONS, f"precision: expected one of {known}, got {self.precision!r}")


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


@dataclass(kw_only=True, slots=True)
class TrainingConfig:
    """Section `training` of params.yaml: its `common` under one of its ways to train."""

    shuffle_seed: int
    """order of the training prompts; which prompts there are hangs on the pipeline's seed alone"""
    epochs: float
    """passes over the training examples; .5: over half of them"""
    groups_a_step: int
    """groups in one optimizer step"""
    frozen: FrozenConfig
    """what does not learn"""
    dev_points: int
    """how often the loss on dev examples is logged"""
    fit: FitConfig

    def __post_init__(self) -> None:
        require(self.shuffle_seed >= 0, f"shuffle_seed: expected 0 or more, got {self.shuffle_seed}")
        require_positive(self, "epochs", "groups_a_step")
        require(self.dev_points >= 0, f"dev_points: expected 0 or more, got {self.dev_points}")


@dataclass(kw_only=True, slots=True)
class LabellingConfig:
    """How a labeller is trained."""

    epochs: int
    """passes over the texts"""
    texts_a_step: int
    """texts in one optimizer step"""
    dev_points: int
    """how often the loss on dev texts is logged"""
    fit: FitConfig

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "texts_a_step")
        require(self.dev_points >= 0, f"dev_points: expected 0 or more, got {self.dev_points}")


@dataclass(kw_only=True, slots=True)
class ModelsConfig:
    """Section `base` of the profile: which base models, and whether a hub may be asked for them."""

    llm: str
    """the large model: prototype and, fine-tuned, teacher"""
    student: str
    """the model that students are made of; of the llm's family, for they share its tokenizer"""
    encoder: str
    """the sentence encoder"""
    online: bool
    """whether hf: sources may be downloaded; otherwise they must be on this machine"""

    def source(self, role: str) -> str:
        """The source of one role."""
        if role not in ("llm", "student", "encoder"):
            raise UserError(f"role: expected llm, student or encoder, got {role!r}")
        return str(getattr(self, role))
