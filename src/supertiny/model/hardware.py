"""What this machine computes with: device, number format, and how language models attend.

Shapes of attention: B rows of T tokens, H query heads and K key heads of D numbers, G = H / K query heads a key head.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from supertiny.core.errors import UserError
from supertiny.model.config import PRECISIONS

NAME = "supertiny"
MAX_SCORES = 2**24
"""of all rows and heads that are stored at once"""
UNSEEN = -1e9
"""added to a score: its share is 0, and that of a row which sees nothing is a number still"""


class Layout(Protocol):
    """How the tokens of a forward pass stand to each other, and to those of passes before it."""

    def attend(self, block: Any, q: Tensor, k: Tensor, v: Tensor, scaling: float) -> Tensor:
        """What each token reads in attention module `block`: q [B, H, T, D], k and v [B, K, T, D] -> [B, T, H, D]."""


def hidden_states(model: PreTrainedModel, ids: Tensor, positions: Tensor, layout: Layout) -> Tensor:
    """What the head is applied to, [B, T, width of the model], of tokens [B, T] that attend as `layout` says."""
    if model.config._attn_implementation != NAME:
        model.set_attn_implementation(NAME)
    # a mask of four dimensions is passed on as it is; without one, one of T x T would be made, for nobody
    found = model.base_model(
        input_ids=ids,
        attention_mask=ids.new_ones(1, 1, 1, 1),
        position_ids=positions,
        use_cache=False,
        layout=layout,
    )
    return found.last_hidden_state


def _attention(
    module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, layout: Layout | None = None, **options: Any
) -> tuple[Tensor, None]:
    """As transformers calls it; a call without layout is anybody else's, and attended as anywhere else."""
    if layout is None:
        found, _ = sdpa_attention_forward(module, q, k, v, mask, **options)
        return found, None
    return layout.attend(module, q, k, v, options["scaling"]), None


AttentionInterface.register(NAME, _attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys and values that R rows of queries read: B rows of S, each of them held once for R / B neighbours."""

    k: Tensor
    """[K, B, S, D]"""
    v: Tensor
    """[K, B, S, D]"""
    seen: Tensor | None
    """[B, 1 or T, S] True where a query's token looks; None: everywhere"""

    def __len__(self) -> int:
        return self.k.shape[2]

    def of_queries(self, some: slice) -> "Keys":
        """What these tokens of the queries read."""
        if self.seen is None or self.seen.shape[1] == 1:
            return self
        return Keys(self.k, self.v, self.seen[:, some])


def attend(q: Tensor, parts: Sequence[Keys], scaling: float) -> Tensor:
    """What queries q [R, H, T, D] read from all of `parts`, by one softmax over their scores, [R, T, H, D].

    Nothing is copied for rows and heads that share a key: their queries stand below each other in one product.
    """
    (R, H, T, D), K = q.shape, parts[0].k.shape[0]
    q_KRGTD = (q * scaling).reshape(R, K, H // K, T, D).transpose(0, 1).contiguous()
    step = max(1, MAX_SCORES // (R * H * sum(map(len, parts))))
    if step >= T:
        read = _read(q_KRGTD, parts)
    else:  # some tokens at a time, and in the backward pass again, so that no more scores are ever stored
        cuts = [slice(start, start + step) for start in range(0, T, step)]
        some = [(q_KRGTD[:, :, :, cut].contiguous(), [one.of_queries(cut) for one in parts]) for cut in cuts]
        read = torch.cat([checkpoint(_read, *one, use_reentrant=False) for one in some], 3)
    return read.permute(1, 3, 0, 2, 4).flatten(2, 3)


def _read(q: Tensor, parts: Sequence[Keys]) -> Tensor:
    """Scaled queries [K, R, G, T, D] -> what they read, [K, R, G, T, D]."""
    scores = [_scores(q, one) for one in parts]
    shares = torch.softmax(torch.cat(scores, -1) if len(scores) > 1 else scores[0], -1)
    found = []
    for one, share in zip(parts, torch.split(shares, [len(one) for one in parts], -1), strict=True):
        v = one.v.flatten(0, 1)
        found.append(torch.bmm(share.reshape(len(v), -1, len(one)), v).view(q.shape))
    return sum(found[1:], start=found[0])


def _scores(q: Tensor, part: Keys) -> Tensor:
    """Scaled queries [K, R, G, T, D] by the keys of one part, [K, R, G, T, S]."""
    K, _, G, _, D = q.shape
    k = part.k.flatten(0, 1)
    rows = q.view(len(k), -1, D)
    if part.seen is None:
        found = torch.bmm(rows, k.transpose(1, 2))
    else:
        B, each, S = part.seen.shape
        unseen = torch.zeros(part.seen.shape, dtype=q.dtype, device=q.device).masked_fill(~part.seen, UNSEEN)
        unseen = unseen[None, :, None].expand(K, -1, G if each > 1 else 1, -1, -1).reshape(K * B, -1, S)
        found = torch.baddbmm(unseen, rows, k.transpose(1, 2))
    return found.view(*q.shape[:4], -1)


def attend_alone(block: Any, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, scaling: float) -> Tensor:
    """`attend` to one part k, v [R, K, S, D] of as many rows, by what is fastest here.

    `seen` [R or 1, T, S]; None: a single token sees everything, and each of T = S itself and what is before it.
    """
    R, H, T, _ = q.shape
    S = k.shape[2]
    few = T > 1 and R * H * T * S <= MAX_SCORES
    if few and v.dtype is torch.bfloat16 and v.device.type == "cpu":
        mask = torch.ones(1, T, S, dtype=torch.bool).tril() if seen is None else seen
        return attend(q, [Keys(k.transpose(0, 1), v.transpose(0, 1), mask.expand(R, -1, -1))], scaling)
    found, _ = sdpa_attention_forward(block, q, k, v, None if seen is None else seen[:, None], scaling=scaling)
    return found


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
