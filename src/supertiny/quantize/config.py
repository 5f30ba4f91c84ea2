"""What quantization is asked to do (paper 3.3, App. E)."""

from dataclasses import dataclass

from supertiny.core.config import require, require_positive
from supertiny.quantize.groups import SIZES

SCHEMES = ("w8a16", "w4a16", "w8a8")


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
    """One entry of `quantized` of params.yaml: a model in fewer bits."""

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
