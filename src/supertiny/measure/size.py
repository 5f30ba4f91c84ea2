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


def model_size(folder: Path) -> dict[str, Any]:
    """Of a language model: its shape, as its config.json has it, and the bytes of its weights."""
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
    return round(sum(file.stat().st_size for file in files) / 1e6, 3)


def _num_weights(file: Path) -> int:
    """Numbers in a safetensors file, from its header: 8 bytes of length, then JSON."""
    with file.open("rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    return sum(prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
