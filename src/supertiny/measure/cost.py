"""GFLOPs a request, parameters and bytes of a model folder (paper App. J)."""

import json
from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from supertiny.core.files import read_json
from supertiny.model.flops import ModelShape, encoder_flops, gemm_flops, paper_flops, parameters


def cost(model: Path, workload: dict[str, float]) -> dict[str, Any]:
    """Both counts at the workload's mean tokens (rounded up to whole tokens), and the size of the weights."""
    config = SimpleNamespace(**read_json(model / "config.json"))
    shape = ModelShape.from_config(config)
    s_t, s_u, n_out = (-int(-workload[key] // 1) for key in ("prompt_tokens", "uncached_tokens", "new_tokens"))
    return {
        "gflops_paper": round(paper_flops(shape, s_t, s_u, n_out) / 1e9, 3),
        "gflops_gemm": round(gemm_flops(shape, s_t, s_u, n_out) / 1e9, 3),
        "parameters_m": round(parameters(shape, config.tie_word_embeddings) / 1e6, 3),
        "weights_mb": round(sum(file.stat().st_size for file in model.glob("*.safetensors")) / 1e6, 3),
        "workload": workload,
    }


def cascade_cost(steps: Sequence[Sequence[Path]], workload: dict[str, float]) -> dict[str, Any]:
    """The same of encoders that read a text one after the other, `encoder_passes` of them on the mean.

    Each step has encoders of one architecture, of which one reads; the first step's reads every text. Parameters are
    counted in the weight files of all, heads included.
    """
    s_t = ceil(workload["prompt_tokens"])
    shapes = [ModelShape.from_config(SimpleNamespace(**read_json(step[0] / "config.json"))) for step in steps if step]
    passes = [min(max(workload["encoder_passes"] - at, 0), 1) for at in range(len(shapes))]
    files = [file for step in steps for folder in step for file in sorted(folder.glob("*.safetensors"))]

    def gflops(attention: int) -> float:
        counts = [share * encoder_flops(shape, s_t, attention) for share, shape in zip(passes, shapes, strict=True)]
        return round(sum(counts) / 1e9, 3)

    return {
        "gflops_paper": gflops(2),
        "gflops_gemm": gflops(4),
        "parameters_m": round(sum(map(_num_weights, files)) / 1e6, 3),
        "weights_mb": round(sum(file.stat().st_size for file in files) / 1e6, 3),
        "workload": workload,
    }


def _num_weights(file: Path) -> int:
    """Numbers in a safetensors file, from its header: 8 bytes of length, then JSON."""
    with file.open("rb") as content:
        header = json.loads(content.read(int.from_bytes(content.read(8), "little")))
    return sum(prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
