"""How many examples are trained on, and how they become prompts."""

from dataclasses import dataclass, replace

from supertiny.core.config import require, require_positive


@dataclass(kw_only=True, slots=True)
class GeneralSizes:
    """Section `sizes.general` of the profile."""

    examples: int
    """training rows; 0: all there are"""
    dev_examples: int
    """rows of dev whose loss is logged"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")
        require_positive(self, "dev_examples")


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
class SftSizes:
    """Section `sizes.sft` of the profile."""

    examples: int
    """training examples; 0: all there are"""
    dev_examples: int
    """examples of the dev split whose loss is logged"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")
        require_positive(self, "dev_examples")
