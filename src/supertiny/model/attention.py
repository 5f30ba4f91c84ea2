"""Attention as two batched matrix products, for CPUs that multiply bfloat16 natively.

PyTorch's fused CPU kernel multiplies in blocks too small for their bf16 units; on short packs and prompts two whole
products and a softmax between them are faster. For one token a row, and for scores that are too many to be stored, it
is the other way round. Registered with transformers under `NAME`.

Shapes: B rows, H heads, K key heads, T new tokens, S tokens in all, D dimensions of a head.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "supertiny_bmm"
MAX_SCORES = 2**24
"""of all rows and heads that are stored at once"""


def use_fastest(model: PreTrainedModel, dtype: torch.dtype, device: torch.device) -> None:
    """Have `model` attend by this module where that beats PyTorch's own."""
    if dtype is torch.bfloat16 and device.type == "cpu":
        model.set_attn_implementation(NAME)


def attention(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scaling: float, **options: Any
) -> tuple[Tensor, None]:
    """q [B, H, T, D], k and v [B, K, S, D], mask [B, 1, T, S] True where seen -> [B, T, H, D]."""
    B, H, T, D = q.shape
    K, S = k.shape[1], k.shape[2]
    if T == 1 or B * H * T * S > MAX_SCORES:
        found, _ = sdpa_attention_forward(module, q, k, v, mask, scaling=scaling, **options)
        return found, None
    unseen = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill(~mask, -1e9)
    scores = torch.baddbmm(  # the heads that share a key head stand below each other: no key is copied for them
        unseen[:, :, None].expand(B, K, H // K, T, S).reshape(B * K, H // K * T, S),
        q.reshape(B * K, H // K * T, D),
        k.reshape(B * K, S, D).transpose(1, 2),
        alpha=scaling,
    )
    read = torch.bmm(torch.softmax(scores, -1), v.reshape(B * K, S, D))
    return read.reshape(B, H, T, D).transpose(1, 2).contiguous(), None


def _mask(*args: Any, **options: Any) -> Tensor:
    """As for PyTorch's own, but written out even where it is plainly causal."""
    return sdpa_mask(*args, **options | {"allow_is_causal_skip": False})


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, _mask)
