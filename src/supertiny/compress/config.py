"""What shrinking and quantizing are asked to do. No model is touched here, so no torch is imported."""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive

AXES = ("depth", "width")
COUNTS = ("parameters", "gflops", "bytes")
INTER_BY = ("output", "activations")
SIZES = (128, 64, 32)
"""what the int4 and int8 kernels of serving engines (Marlin) take"""
SCHEMES = ("w8a16", "w4a16", "w8a8")


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
class Budget:
    """What may be left of a model, and what may go to keep it."""

    of: str
    """what is counted: parameters | gflops (of a request of the calibration set, nothing cached) | bytes"""
    share: float | None
    """at most so much of the base's count, its vocabulary trimmed; a ratio of 20 % is .8; None: `at_most` is given"""
    at_most: float | None
    """at most so many parameters, GFLOPs or bytes, the vocabulary's included; None: `share` is given"""
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


@dataclass(kw_only=True, slots=True)
class ShrinkConfig:
    """Section `shrink` of params.yaml, under what an entry of `trained.shrink` says of its own."""

    base: str
    """the model that is made smaller, a name under data/models/"""
    blocks: float
    """share of the base's blocks that stay, those of highest importance"""
    channels: float
    """share of the feed-forward channels that each of them keeps, in the same way"""
    trim_vocabulary: bool
    """keep only the tokens that the domain reads or writes; before a search, so that a share is of what is left"""
    general_texts: bool
    """keep the tokens of the general texts too: a model that is to recover on them must spell them"""
    init: str | None
    """null: the base model's weights; else a random model of this shape with the base model's tokenizer, as key=integer
    pairs of a Qwen2 config"""
    of: str | None
    """null: `blocks` and `channels` say the shape; else it is searched for within a budget: see `Budget`"""
    share: float | None
    at_most: float | None
    axes: list[str]
    calibration_packs: int
    """training prompts that importance is measured on"""
    score_packs: int
    """the first of them, on which the perplexity of every candidate is"""
    granularity: Granularity
    """steps of the widths that are searched"""
    groups: Granularity
    """consecutive channels that stay or go together; the paper's are as many as a step, 1 is each on its own"""
    inter_by: str
    """output | activations: feed-forward channels by what they add to the hidden state, or by themselves (App. I)"""
    own_inter: bool
    """each block keeps the feed-forward channels that matter in it; false: the same numbers in all (App. I)"""

    def __post_init__(self) -> None:
        for name in ("blocks", "channels"):
            value = getattr(self, name)
            require(0 < value <= 1, f"{name}: expected more than 0 and at most 1, got {value}")
            given = self.init or self.of
            require(not given or value == 1, f"{name}: must be 1 where {'init' if self.init else 'of'} gives the shape")
        require(not (self.init and self.of), "init, of: a random model has the shape that init says; give one of them")
        require(self.of is not None or self.share is self.at_most is None, "of: expected a count for share or at_most")
        require(self.inter_by in INTER_BY, f"inter_by: expected one of {', '.join(INTER_BY)}, got {self.inter_by!r}")
        require_positive(self, "calibration_packs")
        packs = self.calibration_packs
        require(0 < self.score_packs <= packs, f"score_packs: expected 1 to {packs}, got {self.score_packs}")
        for name in ("hidden", "inter"):
            step, group = getattr(self.granularity, name), getattr(self.groups, name)
            require(step % group == 0, f"groups.{name}: expected a divisor of granularity.{name} {step}, got {group}")
        _ = self.budget

    @property
    def by_output(self) -> bool:
        """See `inter_by`."""
        return self.inter_by == "output"

    @property
    def budget(self) -> Budget | None:
        """Within which the shape is searched for; None: it is given."""
        if self.of is None:
            return None
        return Budget(of=self.of, share=self.share, at_most=self.at_most, axes=self.axes)


@dataclass(kw_only=True, slots=True)
class QuantizationConfig:
    """Section `quantization` of params.yaml: what all quantized models share."""

    group_size: int
    """inputs that share a scale (w8a16, w4a16); the largest divisor below where it does not divide a layer"""
    calibration_examples: int
    """w4a16: training examples that GPTQ sees"""
    damp: float
    """w4a16: share of the mean of the Hessian's diagonal that is added to it"""

    def __post_init__(self) -> None:
        known = ", ".join(map(str, SIZES))
        require(self.group_size in SIZES, f"group_size: expected one of {known}, got {self.group_size}")
        require_positive(self, "calibration_examples")
        require(0 < self.damp < 1, f"damp: expected more than 0 and less than 1, got {self.damp}")


@dataclass(kw_only=True, slots=True)
class QuantizedConfig:
    """One entry of `trained.quantize` of params.yaml: a model in fewer bits."""

    base: str
    """name of the float model in data/models"""
    scheme: str
    """w8a16 | w4a16 | w8a8: bits of weights and activations"""

    @property
    def bits(self) -> int:
        """Of a weight."""
        return int(self.scheme[1])

    def __post_init__(self) -> None:
        require(self.scheme in SCHEMES, f"scheme: expected one of {', '.join(SCHEMES)}, got {self.scheme!r}")
