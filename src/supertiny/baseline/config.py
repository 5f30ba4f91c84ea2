"""How the traditional system is trained."""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive
from supertiny.model.config import FitConfig


@dataclass(kw_only=True, slots=True)
class PartConfig:
    """How one of its encoders is trained."""

    epochs: int
    """passes over its training examples"""
    min_steps: int
    """optimizer steps at least, by more passes where examples are few"""
    texts_a_step: int
    """examples of one optimizer step"""
    fit: FitConfig

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "min_steps", "texts_a_step")

    def epochs_of(self, num_rows: int) -> int:
        """Passes over `num_rows` examples, one at least.

        >>> fit = FitConfig(learning_rate=1.0, warmup_share=0.0, schedule="linear", weight_decay=0.0, max_grad_norm=1.0)
        >>> cfg = PartConfig(epochs=8, min_steps=100, texts_a_step=16, fit=fit)
        >>> cfg.epochs_of(400), cfg.epochs_of(34)  # 25 steps a pass, and 3
        (8, 34)
        """
        steps_an_epoch = -(-num_rows // self.texts_a_step)
        return max(self.epochs, -(-self.min_steps // steps_an_epoch))


@dataclass(kw_only=True, slots=True)
class BaselineConfig:
    """Section `baseline` of params.yaml."""

    min_count: int
    """training examples that must share an intent with values nobody says, for it to be a label of its own"""
    domain: PartConfig
    """the domain classifier (DC)"""
    all_domains: PartConfig
    """the joint intent and slot model of all domains, which each domain's begins as"""
    frame: PartConfig
    """the joint intent and slot model of each domain (ICSF)"""

    def __post_init__(self) -> None:
        require_positive(self, "min_count")


@dataclass(kw_only=True, slots=True)
class BaselineSizes:
    """Section `sizes.baseline` of the profile."""

    examples: int
    """training examples; 0: all there are"""
    dev_examples: int
    """dev examples whose loss is logged after every epoch; 0: all there are"""

    def __post_init__(self) -> None:
        for name in ("examples", "dev_examples"):
            require(getattr(self, name) >= 0, f"{name}: expected 0 or more, got {getattr(self, name)}")
