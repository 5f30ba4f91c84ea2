"""Megatron-Core's model of a Hugging Face config: this process's part of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any, Protocol

import torch
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.tensor_parallel import layers
from megatron.core.transformer import ModuleSpec, TransformerConfig
from megatron.core.transformer.torch_norm import WrappedTorchNorm
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch import distributed as dist
from torch.nn import Parameter
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from supertiny.core.errors import UserError
from supertiny.engines.megatron.layout import Layout
from supertiny.engines.megatron.worker.parallel import Place


class TreeAttention(torch.nn.Module):
    """In place of Megatron-Core's `core_attention`; made and called as that is."""

    def __init__(self, softmax_scale: float | None = None, **_: Any) -> None:
        super().__init__()
        self.scale = softmax_scale

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, **_: Any) -> Tensor:
        """Queries [T, B, N, H], keys and values [T, B, G, H], mask [B, 1, T, T] True where seen -> [T, B, N H].

        A mask of T + 1 rows says in its last one which keys and values get a gradient; without it all do.
        """
        size, shared = len(query), query.shape[2] // key.shape[2]
        seen = attention_mask[:, :, :size]
        if attention_mask.shape[2] > size:
            learned = attention_mask[:, 0, size].T[:, :, None, None]
            key, value = (torch.where(learned, one, one.detach()) for one in (key, value))
        key, value = (one.repeat_interleave(shared, dim=2) for one in (key, value))  # a kernel with a mask wants it so
        q, k, v = (one.permute(1, 2, 0, 3) for one in (query, key, value))
        read = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=self.scale)
        return read.permute(2, 0, 1, 3).flatten(2)


PADDING = 128
"""the vocabulary gets rows until it is a multiple of this, so that any power of two of processes can share it"""
EMBEDDING, HEAD = "embedding.word_embeddings.weight", "output_layer.weight"


class Sharing(Protocol):
    """How the tensors of a checkpoint lie in one parameter, and that parameter on several processes."""

    def split(self, tensors: Sequence[Tensor], parts: int) -> list[Tensor]:
        """Each process's part of the parameter that `tensors` make."""

    def join(self, shards: Sequence[Tensor]) -> list[Tensor]:
        """The tensors again."""


@dataclass(frozen=True, slots=True)
class Whole:
    """One tensor, the same on all processes."""

    def split(self, tensors: Sequence[Tensor], parts: int) -> list[Tensor]:
        """All of it for each."""
        return [tensors[0]] * parts

    def join(self, shards: Sequence[Tensor]) -> list[Tensor]:
        """That of the first."""
        return [shards[0]]


@dataclass(frozen=True, slots=True)
class Columns:
    """A matrix cut along its inputs: [D, F] as [D, F/parts]."""

    def split(self, tensors: Sequence[Tensor], parts: int) -> list[Tensor]:
        """Equal parts, in order."""
        return list(tensors[0].chunk(parts, dim=1))

    def join(self, shards: Sequence[Tensor]) -> list[Tensor]:
        """Side by side."""
        return [torch.cat(list(shards), dim=1)]


@dataclass(frozen=True, slots=True)
class Padded:
    """Rows of a vocabulary, cut in equal parts; the last ones are zeros."""

    size: int
    """rows of the checkpoint"""

    def split(self, tensors: Sequence[Tensor], parts: int) -> list[Tensor]:
        """[V, D] as [padded V/parts, D]."""
        missing = padded(self.size, parts) - self.size
        return list(torch.nn.functional.pad(tensors[0], (0, 0, 0, missing)).chunk(parts))

    def join(self, shards: Sequence[Tensor]) -> list[Tensor]:
        """One below the other, without the zeros."""
        return [torch.cat(list(shards))[: self.size]]


@dataclass(frozen=True, slots=True)
class Gated:
    """Gate and up of a SwiGLU: each process has its part of the one above its part of the other."""

    def split(self, tensors: Sequence[Tensor], parts: int) -> list[Tensor]:
        """Twice [F, D] as [2 F/parts, D]."""
        return [torch.cat(pair) for pair in zip(*(one.chunk(parts) for one in tensors), strict=True)]

    def join(self, shards: Sequence[Tensor]) -> list[Tensor]:
        """Gate and up."""
        return [torch.cat(halves) for halves in zip(*(one.chunk(2) for one in shards), strict=True)]


@dataclass(frozen=True, slots=True)
class Grouped:
    """Queries, keys and values: for each key head its queries, then it, then its values."""

    key_heads: int
    head_dim: int

    def split(self, tensors: Sequence[Tensor], parts: int) -> list[Tensor]:
        """[.., D] three times, their rows by heads, as one of [(queries + 2 G) H/parts, D]; biases without D."""
        groups = [one.reshape(self.key_heads, -1, *one.shape[1:]) for one in tensors]
        return list(torch.cat(groups, dim=1).flatten(0, 1).chunk(parts))

    def join(self, shards: Sequence[Tensor]) -> list[Tensor]:
        """Queries, keys and values."""
        whole = torch.cat(list(shards))
        groups = whole.reshape(self.key_heads, -1, *whole.shape[1:])
        queries = groups.shape[1] - 2 * self.head_dim
        return [one.flatten(0, 1) for one in torch.split(groups, [queries, self.head_dim, self.head_dim], dim=1)]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a parameter comes from and goes to."""

    names: tuple[str, ...]
    """of the checkpoint's tensors"""
    sharing: Sharing


def padded(size: int, parts: int) -> int:
    """Rows of a vocabulary of `size` that `parts` processes share.

    >>> padded(257, 2), padded(256, 8), padded(257, 3)
    (384, 256, 384)
    """
    multiple = lcm(PADDING, parts)
    return -(-size // multiple) * multiple


def sources(config: PreTrainedConfig, first_block: int, num_blocks: int) -> dict[str, Source]:
    """The source of every parameter that a stage with these blocks may have, under the names it has there."""
    found = {
        EMBEDDING: Source(("model.embed_tokens.weight",), Padded(config.vocab_size)),
        "decoder.final_layernorm.weight": Source(("model.norm.weight",), Whole()),
        HEAD: Source(
            ("model.embed_tokens.weight" if config.tie_word_embeddings else "lm_head.weight",),
            Padded(config.vocab_size),
        ),
    }
    for number in range(num_blocks):
        theirs = f"model.layers.{first_block + number}."
        for name, source in _block_names(config).items():
            names = tuple(theirs + one for one in source.names)
            found[f"decoder.layers.{number}.{name}"] = Source(names, source.sharing)
    return found


def _block_names(config: PreTrainedConfig) -> dict[str, Source]:
    """One block's, under their names in it."""
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = Grouped(config.num_key_value_heads, head_dim)
    found = {
        "input_layernorm.weight": Source(("input_layernorm.weight",), Whole()),
        "pre_mlp_layernorm.weight": Source(("post_attention_layernorm.weight",), Whole()),
    }
    for kind in ("weight", "bias"):
        inwards = Columns() if kind == "weight" else Whole()
        found |= {
            f"self_attention.linear_qkv.{kind}": Source(tuple(f"self_attn.{one}_proj.{kind}" for one in "qkv"), heads),
            f"self_attention.linear_proj.{kind}": Source((f"self_attn.o_proj.{kind}",), inwards),
            f"mlp.linear_fc1.{kind}": Source((f"mlp.gate_proj.{kind}", f"mlp.up_proj.{kind}"), Gated()),
            f"mlp.linear_fc2.{kind}": Source((f"mlp.down_proj.{kind}",), inwards),
        }
    return found


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
    model.rotary_pos_emb.inv_freq = LlamaRotaryEmbedding(config).inv_freq.clone().to(place.device)
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
        moe_token_dispatcher_type="alltoall",  # no experts here; the default forbids lengths that vary all the same
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


class Folder(Mapping[str, Tensor]):
    """The tensors of a checkpoint folder, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as tensors:
                self._files |= dict.fromkeys(tensors.keys(), file)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._files:
            raise UserError(f"{self.folder} has no tensor {name!r} in safetensors; make the model again")
        with safe_open(self._files[name], "pt") as tensors:
            found: Tensor = tensors.get_tensor(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def fill(model: GPTModel, config: PreTrainedConfig, tensors: Mapping[str, Tensor], place: Place) -> None:
    """Set every parameter of this part of `model` from a checkpoint; where there are fp32 masters, them too."""
    parts = dist.get_world_size(place.tensor_group)
    for parameter, source in _parameters(model, config).values():
        whole = [tensors[name] for name in source.names]
        value = source.sharing.split(whole, parts)[place.tensor_rank]
        for one in (parameter, master(parameter)):
            one.data.copy_(value)


def master(parameter: Parameter) -> Tensor:
    """What the optimizer steps: an fp32 copy of a bfloat16 parameter, else itself."""
    return getattr(parameter, "main_param", parameter)


def export(model: GPTModel, config: PreTrainedConfig, place: Place, file: Path) -> None:
    """Write what this stage has trained to `file`, under the names of the checkpoint; of all copies the first does."""
    if place.copy:
        return
    found: dict[str, Tensor] = {}
    for name, (parameter, source) in _parameters(model, config).items():
        shared_head = name == HEAD and config.tie_word_embeddings  # the first stage has it as its embeddings
        if parameter.requires_grad and not shared_head:
            shards = _gathered(master(parameter).detach(), place)
            found |= zip(source.names, source.sharing.join(shards), strict=True)
    if place.tensor_rank == 0:
        save_file({name: tensor.contiguous().cpu() for name, tensor in found.items()}, file)


def adopt(model: PreTrainedModel, file: Path) -> None:
    """Set those parameters of a Hugging Face model that a stage has exported."""
    unknown = model.load_state_dict(load_file(file), strict=False).unexpected_keys
    assert not unknown, f"{file} has what the model has not: {unknown}"


def _parameters(model: GPTModel, config: PreTrainedConfig) -> dict[str, tuple[Parameter, Source]]:
    """Every parameter of this part, with its source."""
    known = sources(config, *blocks_of(model))
    return {name: (parameter, known[name]) for name, parameter in model.named_parameters()}


def _gathered(shard: Tensor, place: Place) -> list[Tensor]:
    """That of every process that shares the matrix, in their order."""
    shards = [torch.empty_like(shard) for _ in range(dist.get_world_size(place.tensor_group))]
    dist.all_gather(shards, shard.contiguous(), group=place.tensor_group)
    return shards
