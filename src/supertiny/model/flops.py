"""Floating-point operations of one request: the paper's formula and the exact count of matrix products (paper App. J).

    b batch   s_t prompt tokens   s_u of them not in the KV cache   n_out answer tokens   (the rest: `ModelShape`)

A product of (m, k) with (k, n) is 2mkn operations. Generation computes logits for the last position only, attention as
the dense s_u x s_t rectangle (what eager and fused kernels without block skipping execute; the causal mask saves
nothing), and never feeds the last answer token back, so n_out tokens take one prefill and n_out - 1 decode steps.
Both counts are of one request; a workload's figure is that of its mean lengths, rounded up to whole tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import SimpleNamespace
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a Llama or Qwen2 decoder or a BERT encoder, in the paper's letters."""

    num_layers: int
    """l"""
    hidden: int
    """h"""
    head_dim: int
    """d_h"""
    num_heads: int
    """n_a"""
    num_kv_heads: int
    """n_kv"""
    intermediate: int
    """d_i"""
    vocab: int
    """v, rows of the LM head, padded ones included"""
    qkv_bias: bool = False
    """whether query, key and value projections add a bias, as in Qwen2"""
    num_ffn: int = 3
    """m, matrices of a feed-forward block: 3 where it is gated, as all decoders' here, 2 in BERT"""

    @classmethod
    def from_config(cls, config: Any) -> Self:
        """The shape that a transformers config describes."""
        return cls(
            num_layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
            num_heads=config.num_attention_heads,
            num_kv_heads=getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
            intermediate=config.intermediate_size,
            vocab=config.vocab_size,
            qkv_bias=config.model_type == "qwen2",
            num_ffn=2 if config.model_type == "bert" else 3,
        )


def paper_flops(shape: ModelShape, s_t: int, s_u: int, n_out: int, batch: int = 1) -> int:
    """The paper's count: f(s_u) + (n_out - 1) f(1), s_t constant while decoding (App. J, as written).

    f(s_u) = l (4 b s_u h d_h (n_a + n_kv) + 2 b s_u s_t d_h n_a + 6 b s_u h d_i) + 2 b h v
    """
    _check(s_t, s_u, n_out, batch)
    n_a, n_kv, d_h = shape.num_heads, shape.num_kv_heads, shape.head_dim

    def f(s_u: int) -> int:
        projections = 4 * batch * s_u * shape.hidden * d_h * (n_a + n_kv)
        attention = 2 * batch * s_u * s_t * d_h * n_a
        feed_forward = 6 * batch * s_u * shape.hidden * shape.intermediate
        return shape.num_layers * (projections + attention + feed_forward) + 2 * batch * shape.hidden * shape.vocab

    return f(s_u) + (n_out - 1) * f(1)


def gemm_flops(shape: ModelShape, s_t: int, s_u: int, n_out: int, batch: int = 1) -> int:
    """The exact count: g(s_u, s_t) + sum_{i=1}^{n_out - 1} g(1, s_t + i); decode step i sees i answer tokens.

    g(s, c) = l (4 b s h d_h (n_a + n_kv) + 4 b s c d_h n_a + 6 b s h d_i) + 2 b h v

    Attention is 4, for scores and values both (App. J has 2). Equals torch's flop counter on the same forward passes.
    """
    _check(s_t, s_u, n_out, batch)
    prefill = forward_flops(shape, s_u, s_t, batch)
    return prefill + sum(forward_flops(shape, 1, s_t + step, batch) for step in range(1, n_out))


def forward_flops(shape: ModelShape, num_new: int, num_seen: int, batch: int = 1) -> int:
    """g(s, c) of `gemm_flops`: one pass over s = `num_new` tokens that see c = `num_seen`, themselves included."""
    width = shape.head_dim * (shape.num_heads + shape.num_kv_heads)
    attention = 4 * num_new * num_seen * shape.head_dim * shape.num_heads
    dense = num_new * shape.hidden * (4 * width + 6 * shape.intermediate)
    return batch * (shape.num_layers * (dense + attention) + 2 * shape.hidden * shape.vocab)


def encoder_flops(shape: ModelShape, s_t: int, attention: int = 4) -> int:
    """One pass of a bidirectional encoder: l (4 s_t h d_h (n_a + n_kv) + a s_t^2 d_h n_a + 2 m s_t h d_i).

    a: `attention`, 4 is exact and equals torch's flop counter, 2 is App. J's. m: `num_ffn`. Nothing is cached, and
    there is no LM head. Heads on top, and BERT's pooler, which nobody reads, are left out: below 1 % here.
    """
    _check(s_t, s_t, 1, 1)
    projections = 4 * s_t * shape.hidden * shape.head_dim * (shape.num_heads + shape.num_kv_heads)
    scores = attention * s_t * s_t * shape.head_dim * shape.num_heads
    return shape.num_layers * (projections + scores + 2 * shape.num_ffn * s_t * shape.hidden * shape.intermediate)


def parameters(shape: ModelShape, tied: bool) -> int:
    """Number of weights; `tied`: embedding and LM head are one matrix.

    h v (1 + [untied]) + l (2 h d_h (n_a + n_kv) + 3 h d_i + 2 h + [bias] d_h (n_a + 2 n_kv)) + h
    """
    n_a, n_kv = shape.num_heads, shape.num_kv_heads
    projections = 2 * shape.hidden * shape.head_dim * (n_a + n_kv)
    bias = shape.head_dim * (n_a + 2 * n_kv) if shape.qkv_bias else 0
    layer = projections + bias + 3 * shape.hidden * shape.intermediate + 2 * shape.hidden
    return shape.hidden * shape.vocab * (1 if tied else 2) + shape.num_layers * layer + shape.hidden


def _check(s_t: int, s_u: int, n_out: int, batch: int) -> None:
    if not 1 <= s_u <= s_t or n_out < 1 or batch < 1:
        raise ValueError(f"want 1 <= s_u <= s_t, n_out >= 1, batch >= 1; got {s_u=}, {s_t=}, {n_out=}, {batch=}")


def cost(size: Mapping[str, Any], workload: Mapping[str, float]) -> dict[str, float]:
    """Both counts at the workload's mean tokens (rounded up to whole tokens), and the size of the weights.

    `size` is of a language model or of a cascade of encoders, as supertiny.measure.size has it.
    """
    return _cascade(size, workload) if "configs" in size else _model(size, workload)


def _model(size: Mapping[str, Any], workload: Mapping[str, float]) -> dict[str, float]:
    shape = _shape(size["config"])
    s_t, s_u, n_out = (ceil(workload[key]) for key in ("prompt_tokens", "uncached_tokens", "new_tokens"))
    return {
        "gflops_paper": round(paper_flops(shape, s_t, s_u, n_out) / 1e9, 3),
        "gflops_gemm": round(gemm_flops(shape, s_t, s_u, n_out) / 1e9, 3),
        "parameters_m": round(parameters(shape, size["config"]["tie_word_embeddings"]) / 1e6, 3),
        "weights_mb": size["weights_mb"],
    }


def _cascade(size: Mapping[str, Any], workload: Mapping[str, float]) -> dict[str, float]:
    """Encoders read a text one after the other, `encoder_passes` of them on the mean."""
    s_t, shapes = ceil(workload["prompt_tokens"]), [_shape(config) for config in size["configs"]]
    passes = [min(max(workload["encoder_passes"] - at, 0), 1) for at in range(len(shapes))]

    def gflops(attention: int) -> float:
        counts = [share * encoder_flops(shape, s_t, attention) for share, shape in zip(passes, shapes, strict=True)]
        return round(sum(counts) / 1e9, 3)

    return {
        "gflops_paper": gflops(2),
        "gflops_gemm": gflops(4),
        "parameters_m": size["parameters_m"],
        "weights_mb": size["weights_mb"],
    }


def _shape(config: Mapping[str, Any]) -> ModelShape:
    return ModelShape.from_config(SimpleNamespace(**config))
