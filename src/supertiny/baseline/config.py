"""What the traditional system is asked to be."""

from dataclasses import dataclass

from supertiny.core.config import require
from supertiny.model.training import FitConfig


@dataclass(kw_only=True, slots=True)
class PartConfig:
    """How one of its two encoders is trained."""

    epochs: int
    """passes over its training examples"""
    batch_size: int
    """examples of one optimizer step"""
    fit: FitConfig

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            require(getattr(self, name) > 0, f"{name}: expected more than 0, got {getattr(self, name)}")


@dataclass(kw_only=True, slots=True)
class BaselineConfig:
    """Section `baseline` of params.yaml."""

    min_count: int
    """training examples that must share an intent with values nobody says, for it to be a label of its own"""
    domain: PartConfig
    """the domain classifier (DC)"""
    frame: PartConfig
    """the joint intent and slot model (ICSF)"""

    def __post_init__(self) -> None:
        require(self.min_count > 0, f"min_count: expected more than 0, got {self.min_count}")


@dataclass(kw_only=True, slots=True)
class BaselineSizes:
    """Section `baseline` of the profile."""

    examples: int
    """training examples; 0: all there are"""
    dev_examples: int
    """dev examples whose accuracy is logged after every epoch; 0: all there are"""
    batch_size: int
    """texts computed at once; lower it when memory runs out"""

    def __post_init__(self) -> None:
        require(self.batch_size > 0, f"batch_size: expected more than 0, got {self.batch_size}")
        for name in ("examples", "dev_examples"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")
