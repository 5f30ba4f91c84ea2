"""What this machine computes with: device and number format."""

import time
from functools import cache

import torch

from supertiny.core.errors import UserError

PRECISIONS = ("auto", "float32", "bfloat16")
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
