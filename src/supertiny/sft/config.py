"""What fine-tuning is asked to do."""

from dataclasses import dataclass

from supertiny.core.config import require
from supertiny.model.fit import FitConfig


@dataclass(kw_only=True, slots=True)
class SftConfig:
    """Section `sft` of params.yaml."""

    epochs: int
    """passes over the training examples"""
    group_size: int
    """examples that share one list of candidates, and its forward pass"""
    groups_a_step: int
    """groups in one optimizer step"""
    dev_points: int
    """how often the loss on dev examples is logged"""
    fit: FitConfig

    def __post_init__(self) -> None:
        for name in ("epochs", "group_size", "groups_a_step"):
            require(getattr(self, name) > 0, f"{name}: expected more than 0, got {getattr(self, name)}")
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
        require(self.dev_examples > 0, f"dev_examples: expected more than 0, got {self.dev_examples}")
