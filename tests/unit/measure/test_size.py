"""What a request costs, of the facts that lie in size.json alone."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file
from transformers import BertConfig, LlamaConfig, Qwen2Config

from supertiny.measure.size import cascade_size, model_size
from supertiny.model.flops import ModelShape, cost, encoder_flops, gemm_flops, paper_flops, parameters

SIZES = {
    **{"vocab_size": 97, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3},
    "num_attention_heads": 4,
}
WORKLOAD = {"prompt_tokens": 85.2, "uncached_tokens": 70.0, "new_tokens": 17.5}


def folder(path, config, numbers=1000):
    path.mkdir()
    config.save_pretrained(path)
    save_file({"a": np.zeros((numbers, 2), np.float32)}, path / "model.safetensors")
    return path


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True),
        LlamaConfig(**SIZES, num_key_value_heads=2, head_dim=24, tie_word_embeddings=False),
        Qwen2Config(**SIZES, num_key_value_heads=1),
    ],
    ids=["llama", "llama of its own head size", "qwen2"],
)
def test_a_models_cost_is_the_formulas_at_whole_tokens(tmp_path, config):
    size = json.loads(json.dumps(model_size(folder(tmp_path / "m", config))))
    shape, found = ModelShape.from_config(config), cost(size, WORKLOAD)
    assert found["gflops_paper"] == round(paper_flops(shape, 86, 70, 18) / 1e9, 3)
    assert found["gflops_gemm"] == round(gemm_flops(shape, 86, 70, 18) / 1e9, 3)
    assert found["parameters_m"] == round(parameters(shape, config.tie_word_embeddings) / 1e6, 3)
    assert found["weights_mb"] == size["weights_mb"] == 0.004, "2,000 floats, as if they had 16 bits"


def test_floats_count_two_bytes_and_codes_what_they_take(tmp_path):
    """So what quantization saves is said against 16 bits, in which models are served, not against checkpoints."""
    made = folder(tmp_path / "m", LlamaConfig(**SIZES))
    tensors = {
        "codes": np.zeros((30000,), np.int8),
        "scales": np.zeros((500,), np.float32),
        "halves": np.zeros((250,), np.float16),
        "places": np.zeros((100,), np.int64),
        "none": np.zeros((0, 4), np.float32),
    }
    save_file(tensors, made / "model.safetensors")
    assert model_size(made)["weights_mb"] == round((30000 + 2 * 500 + 2 * 250 + 8 * 100) / 1e6, 3)


def test_a_cascade_reads_the_second_encoder_as_often_as_it_was_asked(tmp_path):
    """Two of the domains' encoders, of which one reads; 1.4 passes are all of the first step and .4 of the second."""
    large, small = (BertConfig(**SIZES | {"num_hidden_layers": layers}) for layers in (300, 200))
    steps = [[folder(tmp_path / "first", large)], [folder(tmp_path / name, small, 500) for name in "ab"]]
    size = json.loads(json.dumps(cascade_size(steps)))
    one, two = (encoder_flops(ModelShape.from_config(config), 86) for config in (large, small))
    found = cost(size, WORKLOAD | {"encoder_passes": 1.4})
    assert found["gflops_gemm"] == pytest.approx((one + 0.4 * two) / 1e9, abs=1e-3)
    assert found["gflops_paper"] < found["gflops_gemm"]
    assert (found["parameters_m"], len(size["configs"])) == (0.004, 2)
    assert found["weights_mb"] == pytest.approx(0.008, abs=1e-4)
    alone = cost(cascade_size([steps[0], []]), WORKLOAD | {"encoder_passes": 1.0})
    assert alone["gflops_gemm"] == pytest.approx(one / 1e9, abs=1e-3) and alone["parameters_m"] == 0.002
