"""GFLOPs a request, parameters and bytes of a model folder (paper App. J)."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from supertiny.core.files import read_json
from supertiny.measure.flops import ModelShape, gemm_flops, paper_flops, parameters


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
