"""What pruning is asked to do (paper 3.3, App. I)."""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive

AXES = ("depth", "width")
COUNTS = ("parameters", "gflops", "bytes")


@dataclass(kw_only=True, slots=True)
class Granularity:
    """Numbers of channels."""

    hidden: int
    """of the hidden state"""
    inter: int
    """between the feed-forward projections"""

    def __post_init__(self) -> None:
        require_positive(self, "hidden", "inter")


@dataclass(kw_only=True, slots=True)
class PruneConfig:
    """Section `prune` of params.yaml: what every pruned model shares."""

    base: str
    """the model that is pruned, a name under data/models/"""
    calibration_packs: int
    """training prompts that importance is measured on"""
    score_packs: int
    """the first of them, on which the perplexity of every candidate is"""
    granularity: Granularity
    """steps of the widths that are searched"""
    groups: Granularity
    """consecutive channels that stay or go together; the paper's are as many as a step, 1 is each on its own"""
    own_inter: bool
    """each block keeps the feed-forward channels that matter in it; false: the same numbers in all (App. I)"""
    trim_vocabulary: bool
    """keep only the tokens that the domain reads or writes; before anything is counted"""

    def __post_init__(self) -> None:
        require_positive(self, "calibration_packs")
        packs = self.calibration_packs
        require(0 < self.score_packs <= packs, f"score_packs: expected 1 to {packs}, got {self.score_packs}")
        for name in ("hidden", "inter"):
            step, group = getattr(self.granularity, name), getattr(self.groups, name)
            require(step % group == 0, f"groups.{name}: expected a divisor of granularity.{name} {step}, got {group}")


@dataclass(kw_only=True, slots=True)
class PrunedConfig:
    """One entry of `pruned` of params.yaml: a budget, and what may go to keep it."""

    of: str
    """what is counted: parameters | gflops (of a request of the calibration set, nothing cached) | bytes"""
    share: float | None
    """at most so much of the base's count, its vocabulary trimmed; a ratio of 20 % is .8; null: `at_most` is given"""
    at_most: float | None
    """at most so many parameters, GFLOPs or bytes, the vocabulary's included; null: `share` is given"""
    axes: list[str]
    """depth | width, or both: what the search may cut"""

    def __post_init__(self) -> None:
        require(self.of in COUNTS, f"of: expected one of {', '.join(COUNTS)}, got {self.of!r}")
        one = (self.share is None) != (self.at_most is None)
        require(
            one, f"share, at_most: expected a number for one and null for the other, got {self.share}, {self.at_most}"
        )
        if self.share is not None:
            require(0 < self.share <= 1, f"share: expected more than 0 and at most 1, got {self.share}")
        if self.at_most is not None:
            require_positive(self, "at_most")
        known = self.axes and set(self.axes) <= set(AXES)
        require(bool(known), f"axes: expected some of {', '.join(AXES)}, got {self.axes}")

    def __str__(self) -> str:
        """What may be left, as in: at most ..."""
        return f"{self.share:.3g} of the base's {self.of}" if self.share else f"{self.at_most:,.12g} {self.of}"
