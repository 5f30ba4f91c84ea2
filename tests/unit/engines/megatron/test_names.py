"""Hugging Face weights as Megatron-Core's, in any number of parts, and back: pure arithmetic on tensors."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

from supertiny.engines.megatron.worker.model import HEAD, Gated, Grouped, Padded, padded, sources

SHAPE = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 301,
}
CONFIGS = {
    "qwen2": Qwen2Config(**SHAPE, tie_word_embeddings=False),
    "qwen2, tied": Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "llama": LlamaConfig(**SHAPE, tie_word_embeddings=False),
    "llama, tied, heads wider than the model": LlamaConfig(**SHAPE, head_dim=10, tie_word_embeddings=True),
    "a pruned llama": MistralConfig(**SHAPE | {"hidden_size": 42}, head_dim=6, sliding_window=None),
    "llama, biases everywhere": LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True),
    "one key head for each query": LlamaConfig(**SHAPE | {"num_key_value_heads": 8}),
}


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_tensor_comes_back_bit_for_bit(config, parts):
    torch.manual_seed(0)
    before = {
        name: torch.randn_like(value) for name, value in AutoModelForCausalLM.from_config(config).state_dict().items()
    }
    after = {}
    for name, source in sources(config, 0, config.num_hidden_layers).items():
        if not all(one in before for one in source.names) or (name == HEAD and config.tie_word_embeddings):
            assert name.endswith("bias") or name == HEAD, f"{name} has no source among the model's tensors"
            continue
        shards = source.sharing.split([before[one] for one in source.names], parts)
        assert len(shards) == parts and len({shard.shape for shard in shards}) == 1, "all parts are of one size"
        after |= zip(source.names, source.sharing.join(shards), strict=True)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    assert after.keys() == before.keys() - tied
    for name, value in after.items():
        assert torch.equal(value, before[name]), name


def test_each_key_head_has_its_queries_before_it_and_its_values_behind():
    """Four query heads of one dimension, two key heads: q0 q1 k0 v0, q2 q3 k1 v1; two processes take one each."""
    rows = [torch.tensor([10.0, 11.0, 12.0, 13.0]), torch.tensor([20.0, 21.0]), torch.tensor([30.0, 31.0])]
    first, second = Grouped(key_heads=2, head_dim=1).split(rows, 2)
    assert first.tolist() == [10, 11, 20, 30] and second.tolist() == [12, 13, 21, 31]


def test_each_process_has_its_gates_above_its_own_ups():
    """Else it would multiply channels of two processes."""
    gate, up = torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([[5.0], [6.0], [7.0], [8.0]])
    first, second = Gated().split([gate, up], 2)
    assert first.flatten().tolist() == [1, 2, 5, 6] and second.flatten().tolist() == [3, 4, 7, 8]


def test_a_vocabulary_gets_zeros_that_any_power_of_two_of_processes_can_share():
    rows = torch.ones(300, 2)
    shards = Padded(300).split([rows], 8)
    assert [len(shard) for shard in shards] == [48] * 8
    assert torch.cat(shards).sum() == 600 and shards[-1].sum() == 0
    assert all(padded(size, parts) % parts == 0 for size in (1, 300, 151_936) for parts in (1, 2, 3, 6, 8, 48))
    assert padded(151_936, 8) == 151_936
