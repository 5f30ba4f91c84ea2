"""GPTQ: int4 codes that make up for each other's errors on the domain's own examples, by GPTQModel (App. E)."""

import os
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from torch import Tensor
from tqdm import tqdm

from supertiny.core.errors import UserError
from supertiny.core.files import read_json
from supertiny.model.checkpoint import RECIPE, read_tensors
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
    config = QuantizationConfig(
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
