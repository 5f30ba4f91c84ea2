"""A model in fewer bits: from a Hugging Face folder to one that serving engines load (paper 3.3)."""

import json
import os
import shutil
from collections.abc import Collection, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization import QuantizationConfig as Recipe
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModelForCausalLM

from supertiny.compress.config import SIZES, QuantizationConfig
from supertiny.core.errors import UserError
from supertiny.core.files import read_json, whole_folder
from supertiny.model import checkpoint
from supertiny.model.batches import Pack
from supertiny.model.checkpoint import RECIPE, dequantized, read_tensors, recipe
from supertiny.model.hardware import compute_dtype, device


@dataclass(frozen=True, slots=True)
class Quantized:
    """What is to be stored of a quantized model."""

    tensors: dict[str, Tensor]
    recipe: dict[str, Any]
    """`quantization_config` of config.json"""


def int8_by_group(tensors: dict[str, Tensor], layers: Sequence[str], group: int) -> Quantized:
    """W8A16: symmetric int8 codes, a scale for each `group` inputs of an output; activations stay as they are."""
    weights = QuantizationArgs(num_bits=8, type="int", strategy="group", group_size=group, symmetric=True)
    return _rounded(tensors, layers, QuantizationScheme(targets=["Linear"], weights=weights), "pack-quantized")


def fp8_by_channel(tensors: dict[str, Tensor], layers: Sequence[str]) -> Quantized:
    """W8A8: E4M3 weights, a scale for each output; the engine rounds activations to E4M3 token by token."""
    weights = QuantizationArgs(num_bits=8, type="float", strategy="channel", symmetric=True)
    inputs = QuantizationArgs(num_bits=8, type="float", strategy="token", symmetric=True, dynamic=True)
    scheme = QuantizationScheme(targets=["Linear"], weights=weights, input_activations=inputs)
    return _rounded(tensors, layers, scheme, "float-quantized")


def _rounded(tensors: dict[str, Tensor], layers: Sequence[str], scheme: QuantizationScheme, form: str) -> Quantized:
    """`tensors` with the weights of `layers` as codes and scales; the head stays as it is, tied or not."""
    compressor, found = BaseCompressor.get_value_from_registry(form), dict(tensors)
    for name in tqdm(layers, desc="quantize", unit="layer"):
        weight = found.pop(f"{name}.weight").float()
        parts = compressor.compress({"weight": weight, "weight_scale": scales(weight, scheme.weights)}, scheme)
        found |= {f"{name}.{part}": tensor for part, tensor in parts.items()}
    config = Recipe(
        config_groups={"group_0": scheme}, format=form, ignore=["lm_head"], quantization_status="compressed"
    )
    return Quantized(found, config.model_dump(mode="json"))


def scales(weight_OI: Tensor, args: QuantizationArgs) -> Tensor:
    """[O, groups] of the weights' size over the range of the codes; one group where `args` name no size."""
    groups = weight_OI.reshape(len(weight_OI), -1, args.group_size or weight_OI.shape[-1])
    found, _ = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    return found


ROWS_A_BATCH = 16
BITS = 4


def int4_by_gptq(base: Path, texts: Sequence[Sequence[int]], group: int, damp: float) -> Quantized:
    """W4A16: symmetric int4 codes, a scale for each `group` inputs of an output, calibrated on tokenized `texts`."""
    library = _library()
    how = library.QuantizeConfig(
        bits=BITS,
        group_size=group,
        sym=True,
        desc_act=False,  # columns in their own order: what every kernel takes
        true_sequential=False,  # a block's layers see its float inputs: two passes over the examples, not five
        damp_percent=damp,
        offload_to_disk=False,
        device=device(),
    )
    rows = [{"input_ids": list(ids), "attention_mask": [1] * len(ids)} for ids in texts]
    source = str(base.resolve())
    with TemporaryDirectory() as scratch, chdir(scratch):  # the library writes logs, with the time, where it runs
        model = library.GPTQModel.load(source, how, dtype=compute_dtype("auto"))
        model.quantize(rows, batch_size=ROWS_A_BATCH, calibration_data_min_length=1)
        model.save("made")
        recipe = read_json(Path("made/config.json"))[RECIPE]
        return Quantized(read_tensors(Path("made")), {key: recipe[key] for key in recipe if key != "meta"})


def _library() -> Any:
    """GPTQModel, asked to compile nothing, and to run where there are fewer than three cores."""
    os.environ.setdefault("GPTQMODEL_DISABLE_PACK_EXT", "1")
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    try:
        import gptqmodel
    except ImportError:
        raise UserError("scheme w4a16 needs the package gptqmodel: pip install 'supertiny[quantize]'") from None
    return gptqmodel


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
