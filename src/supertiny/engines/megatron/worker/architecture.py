"""Megatron-Core's model of a Hugging Face config: this process's part of it."""

from typing import Any

import torch
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.tensor_parallel import layers
from megatron.core.transformer import ModuleSpec, TransformerConfig
from megatron.core.transformer.torch_norm import WrappedTorchNorm
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from supertiny.engines.megatron._layout import Layout
from supertiny.engines.megatron.worker.attention import TreeAttention
from supertiny.engines.megatron.worker.names import padded
from supertiny.engines.megatron.worker.parallel import Place


def build(config: PreTrainedConfig, layout: Layout, place: Place, dtype: torch.dtype, recompute: bool) -> GPTModel:
    """The part of the model that `place` holds, its weights not yet set; `recompute` activations in the backward pass.

    Positions are those of the tokens in their branches, so the rotation is that of several axes, all of them the same.
    """
    shape = _shape(config, layout, dtype, recompute)
    model = GPTModel(
        config=shape,
        transformer_layer_spec=TransformerBlockSubmodules(
            layer_specs=[_block()] * get_num_layers_to_build(shape), layer_norm=WrappedTorchNorm
        ),
        vocab_size=padded(config.vocab_size, layout.tensor),
        max_sequence_length=config.max_position_embeddings,
        pre_process=place.is_first_stage,
        post_process=place.is_last_stage,
        share_embeddings_and_output_weights=config.tie_word_embeddings,
        position_embedding_type="mrope",
    )
    model.rotary_pos_emb.inv_freq = LlamaRotaryEmbedding(config).inv_freq.to(place.device)
    if recompute and place.is_first_stage:
        # where embeddings are frozen, no gradient would be asked of a block that is run again
        model.embedding.register_forward_hook(lambda *called: called[-1].requires_grad_(torch.is_grad_enabled()))
    return model.to(place.device)


def blocks_of(model: GPTModel) -> tuple[int, int]:
    """Number of this stage's first block in the whole model, from 0, and how many it has."""
    blocks = model.decoder.layers
    return blocks[0].layer_number - 1, len(blocks)


class ResponseHead:
    """Has a model apply its head at the predicting positions only: `select` them before each call."""

    def __init__(self, model: GPTModel) -> None:
        self._predict: Tensor | None = None
        if model.post_process:
            model.output_layer.register_forward_pre_hook(self._keep)

    def select(self, predict: Tensor) -> None:
        """`predict` [B, T] is True where logits are wanted."""
        self._predict = predict

    def _keep(self, _: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """[T, B, D] as [N, 1, D], batch row by batch row."""
        states, *others = given
        return (states.transpose(0, 1)[self._predict][:, None], *others)


def _shape(config: PreTrainedConfig, layout: Layout, dtype: torch.dtype, recompute: bool) -> TransformerConfig:
    on_gpu = torch.cuda.is_available()
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    biased = bool(getattr(config, "attention_bias", False))
    again = {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    return TransformerConfig(
        num_layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        ffn_hidden_size=config.intermediate_size,
        num_attention_heads=config.num_attention_heads,
        num_query_groups=config.num_key_value_heads,
        kv_channels=head_dim,
        mrope_section=[head_dim // 2],
        normalization="RMSNorm",
        layernorm_epsilon=config.rms_norm_eps,
        gated_linear_unit=True,
        activation_func=torch.nn.functional.silu,
        add_bias_linear=biased,
        add_qkv_bias=biased or config.model_type == "qwen2",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        init_method=_left_as_it_is,
        output_layer_init_method=_left_as_it_is,
        params_dtype=dtype,
        bf16=dtype is torch.bfloat16,
        pipeline_dtype=dtype,
        tensor_model_parallel_size=layout.tensor,
        pipeline_model_parallel_size=layout.pipeline,
        variable_seq_lengths=True,
        deallocate_pipeline_outputs=True,
        calculate_per_token_loss=True,
        # fused kernels: on a CPU they would want a compiler
        bias_activation_fusion=on_gpu,
        bias_dropout_fusion=on_gpu,
        gradient_accumulation_fusion=on_gpu and layers._grad_accum_fusion_available,
        **(again if recompute else {}),
    )


def _block() -> ModuleSpec:
    """Megatron-Core's own block, but for what attends."""
    spec = get_gpt_layer_local_spec(normalization="RMSNorm")
    spec.submodules.self_attention.submodules.core_attention = TreeAttention
    return spec


def _left_as_it_is(weight: Tensor) -> Tensor:
    """Weights are read from a checkpoint right after; initializing none at all would leave out what marks a shard."""
    return weight
