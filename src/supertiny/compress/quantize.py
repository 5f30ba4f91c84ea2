"""A model in fewer bits: from a Hugging Face folder to one that serving engines load (paper 3.3)."""

import json
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM

from supertiny.compress.schemes import Quantized, fp8_by_channel, int4_by_gptq, int8_by_group
from supertiny.core.config import require, require_positive
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, whole_folder
from supertiny.model import checkpoint
from supertiny.model.batches import Pack
from supertiny.model.checkpoint import RECIPE, dequantized, read_tensors, recipe

SIZES = (128, 64, 32)
"""what the int4 and int8 kernels of serving engines (Marlin) take"""


def group_size(wanted: int, inputs: Collection[int]) -> int:
    """The largest of `SIZES`, `wanted` at most, that divides the `inputs` of every layer: one size for the model.

    The paper's 128 does not divide 576 = 4.5 x 128. A shorter last group is read by GPTQModel's reference kernel alone;
    compressed-tensors and vLLM refuse it. So the whole model takes 64, as its checkpoint names one size only.

    >>> group_size(128, [576, 1536]), group_size(128, [896, 4864])
    (64, 128)
    """
    for size in SIZES:
        if size <= wanted and not any(number % size for number in inputs):
            return size
    raise UserError(
        f"quantization.group_size: no size of {', '.join(map(str, SIZES))} up to {wanted} divides all layers' inputs "
        f"({', '.join(map(str, sorted(set(inputs))))}); take scheme w8a8, which has no groups, or another width"
    )


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


def quantize(base: Path, scheme: str, packs: Sequence[Pack], out: Path, cfg: QuantizationConfig) -> dict[str, Any]:
    """Write `base` in `scheme` to folder `out`; w4a16 is calibrated on the first of `packs`. Give back what was done.

    The linear layers of all blocks are quantized; embedding, norms and head (tied or not) stay as they are,
    but in the format that GPTQ reads a base in: bfloat16 where that is faster here.
    """
    inputs, texts, examples = linear_inputs(base), list[list[int]](), 0
    group = None if scheme == "w8a8" else group_size(cfg.group_size, set(inputs.values()))
    if scheme == "w4a16":
        texts, examples = calibration(packs, cfg.calibration_examples)
        made = int4_by_gptq(base, texts, group or 0, cfg.damp)
    elif scheme == "w8a16":
        made = int8_by_group(read_tensors(base), list(inputs), group or 0)
    else:
        made = fp8_by_channel(read_tensors(base), list(inputs))
    with whole_folder(out) as partial:
        write(base, made, partial)
    return {
        "scheme": scheme,
        "group_size": group,
        "layers": len(inputs),
        "calibration_examples": examples,
        "calibration_tokens": sum(map(len, texts)),
        "bytes_before": num_bytes(base),
        "bytes_after": num_bytes(out),
        **weight_error(base, out, list(inputs)),
    }


def linear_inputs(base: Path) -> dict[str, int]:
    """Name and number of inputs of every layer that is quantized; a base that was quantized already is an error."""
    config = checkpoint.load_config(base)
    if recipe(base) is not None:
        raise UserError(f"{base}: is quantized already; the base of a quantized model must be a float one")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    layers = {name: one for name, one in model.named_modules() if isinstance(one, nn.Linear) and one is not head}
    return {name: layer.in_features for name, layer in layers.items()}


def calibration(packs: Sequence[Pack], number: int) -> tuple[list[list[int]], int]:
    """Texts of the first `number` training examples or a few more (all, where there are fewer), and how many these are.

    A text is a whole pack, its queries with their answers one behind another: what they share is read once, not each
    time, which makes calibration twice as fast.
    """
    texts, examples = list[list[int]](), 0
    for pack in packs:
        if examples >= number:
            break
        texts.append([*pack.prefix, *(index for one in pack.branches for index in one.prompt + one.response)])
        examples += len(pack.branches)
    if not texts:
        raise UserError("scheme w4a16: there is no training example to calibrate it on")
    return texts, examples


def write(base: Path, made: Quantized, out: Path) -> None:
    """A folder like `base` with other weights: the rest of its config.json and its tokenizer are what they were."""
    save_file(made.tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = read_json(base / "config.json") | {RECIPE: made.recipe}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    if (base / "generation_config.json").is_file():
        shutil.copyfile(base / "generation_config.json", out / "generation_config.json")
    checkpoint.save_tokenizer(checkpoint.load_tokenizer(base), out)


def weight_error(base: Path, out: Path, layers: Sequence[str]) -> dict[str, float]:
    """How far the quantized weights are from those of `base`, over all of them."""
    before, after = read_tensors(base), dequantized(out).weights
    moved = total = largest = 0.0
    for name in (f"{layer}.weight" for layer in layers):
        error = (before[name].float() - after[name]).abs()
        moved, total = moved + float(error.sum()), total + float(before[name].float().abs().sum())
        largest = max(largest, float(error.max()))
    number = sum(before[f"{layer}.weight"].numel() for layer in layers)
    return {"mean_error": moved / number, "max_error": largest, "mean_error_share": moved / total}


def num_bytes(folder: Path) -> int:
    """Of the weights in `folder`."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
