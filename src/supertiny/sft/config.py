"""What fine-tuning is asked to do."""

from dataclasses import dataclass, replace

from supertiny.core.config import require, require_positive
from supertiny.model.training import FitConfig, FrozenConfig


@dataclass(kw_only=True, slots=True)
class PackConfig:
    """Section `pack` of params.yaml: how training examples become prompts, the same for teacher and students."""

    group_size: int
    """examples that share one list of candidates, and its forward pass"""
    function_dropout: float
    """share of groups that lose a function one of them needs; its queries then have no appropriate function"""
    renaming: float
    """share of groups whose functions go by other names, the words of each in another order"""

    def __post_init__(self) -> None:
        require_positive(self, "group_size")
        for name in ("function_dropout", "renaming"):
            require(0 <= getattr(self, name) <= 1, f"{name}: expected 0..1, got {getattr(self, name)}")

    def as_they_are(self) -> "PackConfig":
        """The same without a change of candidates: how dev is read."""
        return replace(self, function_dropout=0.0, renaming=0.0)


@dataclass(kw_only=True, slots=True)
class SftConfig:
    """Sections `sft` (the teacher), `teaching` (students), `general` and `recovery` (pruned ones) of params.yaml."""

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
class SftSizes:
    """Section `sft` of the profile."""

    examples: int
    """training examples; 0: all there are"""
    dev_examples: int
    """examples of the dev split whose loss is logged"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")
        require_positive(self, "dev_examples")
