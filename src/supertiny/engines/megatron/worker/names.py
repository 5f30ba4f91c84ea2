"""Which tensors of a Hugging Face checkpoint make which parameter of Megatron-Core, and how each is shared.

Pure arithmetic on tensors, both ways; Megatron-Core itself is not needed. Names of shapes: V rows of the vocabulary,
D width of the model, F channels of the FFN, G key heads, H dimensions of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedConfig

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
        for name, source in _block(config).items():
            names = tuple(theirs + one for one in source.names)
            found[f"decoder.layers.{number}.{name}"] = Source(names, source.sharing)
    return found


def _block(config: PreTrainedConfig) -> dict[str, Source]:
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
