"""Attention as two batched matrix products, for CPUs that multiply bfloat16 natively.

PyTorch's fused CPU kernel multiplies in blocks too small for their bf16 units; on short packs two whole
products and a softmax between them are faster. Registered with transformers under `NAME`.
"""

import torch
from torch import Tensor, nn
from transformers import AttentionInterface

NAME = "supertiny_bmm"


def attention(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scaling: float, **_: object
) -> tuple[Tensor, None]:
    """q [B, H, T, D], k and v [B, H_kv, S, D], mask [B, 1, T, S] True where seen -> [B, T, H, D]."""
    B, H, T, D = q.shape
    S = k.shape[2]
    k, v = (x.repeat_interleave(H // k.shape[1], dim=1).reshape(B * H, S, D) for x in (k, v))
    unseen = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill(~mask, -1e9)
    scores = torch.baddbmm(
        unseen.expand(B, H, T, S).reshape(B * H, T, S), q.reshape(B * H, T, D), k.transpose(1, 2), alpha=scaling
    )
    return torch.bmm(torch.softmax(scores, -1), v).reshape(B, H, T, D).transpose(1, 2).contiguous(), None


def is_faster(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether this attention beats PyTorch's own on packs."""
    return dtype is torch.bfloat16 and device.type == "cpu"


AttentionInterface.register(NAME, attention)
