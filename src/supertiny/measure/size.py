"""What a system is made of, as facts that formulas are put to later: shapes, numbers and bytes of its models."""

import json
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

from supertiny.core.files import read_json

SHAPE = (
    "model_type",
    "num_hidden_layers",
    "hidden_size",
    "head_dim",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "vocab_size",
    "tie_word_embeddings",
)
"""what the formulas of supertiny.model.flops read of a model's config.json, where it says so"""
WIDE_FLOATS = ("F32", "F64")
"""as safetensors calls them"""


def model_size(folder: Path) -> dict[str, Any]:
    """Of a language model: its shape, as its config.json has it, and the bytes of its weights (`_bytes`)."""
    return {"config": _shape(folder), "weights_mb": _megabytes(_weights(folder))}


def cascade_size(steps: Sequence[Sequence[Path]]) -> dict[str, Any]:
    """The same of encoders that read a text one after the other: a shape for each step, numbers and bytes of all.

    Each step has encoders of one architecture, of which one reads; the first step's reads every text. Parameters are
    counted in the weight files, heads included.
    """
    files = [file for step in steps for folder in step for file in _weights(folder)]
    return {
        "configs": [_shape(step[0]) for step in steps if step],
        "parameters_m": round(sum(map(_num_weights, files)) / 1e6, 3),
        "weights_mb": _megabytes(files),
    }


def _shape(folder: Path) -> dict[str, Any]:
    config = read_json(folder / "config.json")
    return {key: config[key] for key in SHAPE if key in config}


def _weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def _megabytes(files: Sequence[Path]) -> float:
    return round(sum(map(_bytes, files)) / 1e6, 3)


def _bytes(file: Path) -> int:
    """Of the numbers in a safetensors file, floats of more than 16 bits as if they had 16.

    So are models served; checkpoints here are float32 because they are trained so, and a quantized model held against
    that would look twice as small as it is.
    """
    tensors = _tensors(file)
    return sum(prod(one["shape"]) * (2 if one["dtype"] in WIDE_FLOATS else _item(one)) for one in tensors)


def _item(tensor: dict[str, Any]) -> int:
    """Bytes of one number as it is stored; those of an empty tensor do not matter."""
    start, end = tensor["data_offsets"]
    return int(end - start) // max(1, prod(tensor["shape"]))


def _num_weights(file: Path) -> int:
    """Numbers in a safetensors file."""
    return sum(prod(one["shape"]) for one in _tensors(file))


def _tensors(file: Path) -> list[dict[str, Any]]:
    """What a safetensors file says of its tensors, in its header: 8 bytes of length, then JSON."""
    with file.open("rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    return [one for name, one in header.items() if name != "__metadata__"]
