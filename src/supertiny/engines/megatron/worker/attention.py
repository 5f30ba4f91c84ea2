"""Attention in any pattern, by PyTorch's fused kernels.

Megatron-Core's own attention is either plainly causal in its fused form, or keeps all scores; a pack of branches
behind one prefix is a tree. Shapes: T tokens, B packs, N heads and G key heads of this process, H dimensions of a head.
"""

from typing import Any

import torch
from torch import Tensor


class TreeAttention(torch.nn.Module):
    """In place of Megatron-Core's `core_attention`; made and called as that is."""

    def __init__(self, softmax_scale: float | None = None, **_: Any) -> None:
        super().__init__()
        self.scale = softmax_scale

    def forward(self, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, **_: Any) -> Tensor:
        """Queries [T, B, N, H], keys and values [T, B, G, H], mask [B, 1, T, T] True where seen -> [T, B, N H]."""
        shared = query.shape[2] // key.shape[2]
        key, value = (one.repeat_interleave(shared, dim=2) for one in (key, value))  # a kernel with a mask wants it so
        q, k, v = (one.permute(1, 2, 0, 3) for one in (query, key, value))
        read = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, scale=self.scale)
        return read.permute(2, 0, 1, 3).flatten(2)
