"""What a quantized folder stores of its weights, in the form that OpenVINO multiplies without unpacking all of it.

Shapes: O outputs and I inputs of a layer, G groups of inputs that share a scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from supertiny.model.quantized import read_tensors, recipe


@dataclass(frozen=True, slots=True)
class Codes:
    """One layer's weights: code times the scale of its group."""

    codes_OGI: Tensor
    """[O, G, I / G] int8"""
    scale_OG1: Tensor
    """[O, G, 1] float32"""

    @property
    def bits(self) -> int:
        """That hold every code: 4 or 8."""
        least, most = self.codes_OGI.aminmax()
        return 4 if least >= -8 and most <= 7 else 8


def codes(folder: Path, weights: Mapping[str, Tensor]) -> dict[str, Codes]:
    """By name, of the layers of `folder` whose `weights`, as floats, are whole multiples of their scales.

    Others (a float model's, or groups in another order) are left out, and stay floats.
    """
    if recipe(folder) is None:
        return {}
    stored, found = read_tensors(folder), {}
    for name in (name.removesuffix(".weight") for name in weights):
        scale = stored.get(f"{name}.weight_scale")
        if (other := stored.get(f"{name}.scales")) is not None:  # GPTQ stores [G, O]
            scale = other.T
        if scale is not None and (one := _codes(weights[f"{name}.weight"], scale.float())) is not None:
            found[name] = one
    return found


def _codes(weight_OI: Tensor, scale_OG: Tensor) -> Codes | None:
    apart = weight_OI.float().reshape(*scale_OG.shape, -1)
    scale = scale_OG[..., None].contiguous()
    made = (apart / scale).round()
    if not torch.equal(made * scale, apart) or made.min() < -128 or made.max() > 127:
        return None
    return Codes(made.to(torch.int8), scale)
