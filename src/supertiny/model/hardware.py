"""What this machine computes with: device and number format."""

import time
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from supertiny.core.errors import UserError
from supertiny.model.config import PRECISIONS

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


_ROUNDS = 8
"""trials of each format, in turn; the fastest counts, for other programs only slow a trial down"""
_WORTH = 1.2
"""how much faster bfloat16 must be to be chosen: it rounds"""


def device() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def compute_dtype(precision: str) -> torch.dtype:
    """`auto` is bfloat16 where the hardware multiplies it faster, else float32."""
    if precision not in PRECISIONS:
        raise UserError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    if precision == "auto":
        precision = "bfloat16" if _bfloat16_pays() else "float32"
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


@cache
def _bfloat16_pays() -> bool:
    """Whether bfloat16 saves time here: a CPU may have the instruction, and still do half as much with it.

    Zen 4's AVX512-BF16 is faster than its float32; Sapphire Rapids' is half as fast where its tiles (AMX) are hidden.
    """
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return False
    rounds = [(_product_seconds(torch.bfloat16), _product_seconds(torch.float32)) for _ in range(_ROUNDS)]
    bfloat16, float32 = (min(times) for times in zip(*rounds, strict=True))
    return bfloat16 * _WORTH < float32


def _product_seconds(dtype: torch.dtype) -> float:
    """Of one product as large as a layer's at a batch of prompts."""
    rows, weights = torch.ones(1024, 576, dtype=dtype), torch.ones(1536, 576, dtype=dtype)
    start = time.perf_counter()
    torch.nn.functional.linear(rows, weights)
    return time.perf_counter() - start
