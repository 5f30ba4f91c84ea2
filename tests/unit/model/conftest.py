import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from supertiny.model.checkpoint import load_model
from supertiny.model.train import ResponseLogits

SIZES = {
    "vocab_size": 257,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "initializer_range": 0.2,  # far from uniform attention
    "attn_implementation": "sdpa",
}


@pytest.fixture(scope="session")
def tiny_module(tiny_folder):
    module = ResponseLogits(load_model(tiny_folder))
    module.requires_grad_(False)
    return module.eval()


@pytest.fixture(params=["llama", "qwen2"])
def family(request):
    """Grouped queries, without biases and with."""
    torch.manual_seed(0)
    if request.param == "llama":
        return LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
    model = Qwen2ForCausalLM(Qwen2Config(**SIZES)).eval()
    with torch.no_grad():
        for block in model.model.layers:
            for layer in (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj):
                layer.bias.normal_()
    return model
