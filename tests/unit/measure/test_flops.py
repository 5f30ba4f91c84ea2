"""FLOPs by hand, and against torch's own counter on real forward passes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from supertiny.model.flops import ModelShape, encoder_flops, forward_flops, gemm_flops, paper_flops, parameters

TINY = ModelShape(num_layers=2, hidden=4, head_dim=2, num_heads=2, num_kv_heads=1, intermediate=8, vocab=10)
SIZES = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
SHAPES = st.builds(
    ModelShape,
    **{
        name: st.integers(1, 64)
        for name in ("num_layers", "hidden", "head_dim", "num_heads", "num_kv_heads", "intermediate", "vocab")
    },
)


def test_the_papers_formula_by_hand():
    """f(3), s_t = 5: 2 (4*3*4*2*3 + 2*3*5*2*2 + 6*3*4*8) + 2*4*10 = 2 (288 + 120 + 576) + 80 = 2048.

    f(1): 2 (96 + 40 + 192) + 80 = 736.
    """
    assert paper_flops(TINY, s_t=5, s_u=3, n_out=1) == 2048
    assert paper_flops(TINY, s_t=5, s_u=3, n_out=3) == 2048 + 2 * 736


def test_the_exact_count_by_hand():
    """g(3, 5): 2 (288 + 4*3*5*2*2 + 576) + 80 = 2288; g(1, 6): 2 (96 + 96 + 192) + 80 = 848; g(1, 7) = 880."""
    assert gemm_flops(TINY, s_t=5, s_u=3, n_out=1) == 2288
    assert gemm_flops(TINY, s_t=5, s_u=3, n_out=3) == 2288 + 848 + 880


@given(SHAPES, st.integers(1, 50), st.integers(1, 50), st.integers(1, 9), st.integers(1, 4))
def test_laws_of_both_counts(shape, uncached, cached, n_out, batch):
    s_t = uncached + cached
    for count in (paper_flops, gemm_flops):
        one = count(shape, s_t, uncached, n_out)
        assert count(shape, s_t, uncached, n_out, batch) == batch * one
        assert count(shape, s_t, uncached, n_out + 1) > one
        assert count(shape, s_t, s_t, n_out) > one  # the cache saves work
    assert gemm_flops(shape, s_t, uncached, n_out) > paper_flops(shape, s_t, uncached, n_out)


@given(SHAPES, st.integers(1, 50), st.integers(1, 50))
def test_the_counts_differ_by_half_the_attention(shape, uncached, cached):
    s_t = uncached + cached
    half = 2 * shape.num_layers * uncached * s_t * shape.head_dim * shape.num_heads
    assert gemm_flops(shape, s_t, uncached, 1) - paper_flops(shape, s_t, uncached, 1) == half


@pytest.mark.parametrize(("s_t", "s_u", "n_out"), [(5, 0, 1), (5, 6, 1), (5, 5, 0), (0, 0, 1)])
def test_impossible_lengths_are_refused(s_t, s_u, n_out):
    for count in (paper_flops, gemm_flops):
        with pytest.raises(ValueError, match="s_u"):
            count(TINY, s_t, s_u, n_out)


def llama(attention, **changed):
    return LlamaForCausalLM(LlamaConfig(**{**SIZES, **changed}, attn_implementation=attention)).eval()


def qwen2(attention, **changed):
    return Qwen2ForCausalLM(Qwen2Config(**{**SIZES, **changed}, attn_implementation=attention)).eval()


def counted(model, num_tokens, batch, cache=None):
    """Operations that torch counts in one generation step of `model`, and the KV cache after it.

    The counter knows no flash kernel of the CPU, so sdpa runs as the plain products it stands for.
    """
    ids = torch.ones(batch, num_tokens, dtype=torch.long)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        out = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return counter.get_total_flops(), out.past_key_values


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("changed", [{}, {"num_key_value_heads": 4}, {"num_key_value_heads": 1}, {"head_dim": 24}])
@pytest.mark.parametrize("make", [llama, qwen2])
def test_the_exact_count_is_torchs_own(make, changed, attention):
    model, batch = make(attention, **changed), 2
    shape = ModelShape.from_config(model.config)
    whole, _ = counted(model, 9, batch)
    prefix, cache = counted(model, 4, batch)
    suffix, cache = counted(model, 5, batch, cache)
    steps = []
    for _ in range(2):
        step, cache = counted(model, 1, batch, cache)
        steps.append(step)
    assert whole == gemm_flops(shape, s_t=9, s_u=9, n_out=1, batch=batch)
    assert prefix == gemm_flops(shape, s_t=4, s_u=4, n_out=1, batch=batch)
    assert suffix == forward_flops(shape, 5, 9, batch)
    assert steps == [forward_flops(shape, 1, 10, batch), forward_flops(shape, 1, 11, batch)]
    assert suffix + sum(steps) == gemm_flops(shape, s_t=9, s_u=5, n_out=3, batch=batch)


def test_an_encoders_count_by_hand():
    """BERT, s_t = 5: 2 (4*5*4*2*(2+2) + 4*5*5*2*2 + 2*2*5*4*8) = 3360.

    The layer's 640 + 400 + 640; App. J counts half of the 400 of attention.
    """
    bert = replace(TINY, num_kv_heads=2, num_ffn=2)
    assert encoder_flops(bert, 5) == 3360
    assert encoder_flops(bert, 5, attention=2) == 3360 - 2 * 200


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_an_encoders_count_is_torchs_own(attention):
    config = BertConfig(vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4)
    config._attn_implementation = attention
    model = BertModel(config, add_pooling_layer=False).eval()
    ids = torch.ones(1, 9, dtype=torch.long)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(ids)
    assert counter.get_total_flops() == encoder_flops(ModelShape.from_config(config), 9)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("make", [llama, qwen2])
def test_parameters_are_the_models_own(make, tied):
    model = make("eager", tie_word_embeddings=tied)
    assert parameters(ModelShape.from_config(model.config), tied) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        (
            ModelShape(
                num_layers=30, hidden=576, head_dim=64, num_heads=9, num_kv_heads=3, intermediate=1536, vocab=49152
            ),
            134_515_008,
        ),
        (
            ModelShape(
                num_layers=24,
                hidden=896,
                head_dim=64,
                num_heads=14,
                num_kv_heads=2,
                intermediate=4864,
                vocab=151936,
                qkv_bias=True,
            ),
            494_032_768,
        ),
    ],
    ids=["SmolLM2-135M", "Qwen2.5-0.5B"],
)
def test_parameters_of_known_models(shape, count):
    assert parameters(shape, tied=True) == count
