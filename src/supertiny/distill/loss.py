"""The distillation loss over a batch (paper Eq. 5), without a second copy of its N x V logits in memory.

Shapes: N response tokens, V ids of the student, P rows of its head: the V ids and padding. Logits are walked in chunks
of rows; loss and gradient of a chunk are computed together in fp32, and the gradient is written over the logits, which
nobody needs any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from supertiny.distill.divergence import Divergence, fixed, slope
from supertiny.distill.signal import Comparison, Signal, compare


def divergence_sum(
    logits_NP: Tensor, signal: Signal, divergence: Divergence, chunk_rows: int, vocabulary_size: int | None = None
) -> Tensor:
    """Sum over the N response tokens of their divergence in nats, fp32; for bf16, fp32 or fp64 logits.

    What the head says beyond `vocabulary_size` (None: nothing) is padding: no softmax sees it, and its gradient is 0.
    The logits hold the gradient afterwards: read them before, or not at all.
    """
    size = logits_NP.shape[-1] if vocabulary_size is None else vocabulary_size
    total: Tensor = _DivergenceSum.apply(logits_NP, signal, divergence, chunk_rows, size)  # type: ignore[no-untyped-call]
    return total


class _DivergenceSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits_NP: Tensor, signal: Signal, divergence: Divergence, chunk_rows: int, vocabulary_size: int
    ) -> Tensor:
        total, logits_NV = _zero(logits_NP), logits_NP[:, :vocabulary_size]
        for rows, compared in _chunks(logits_NV, signal, chunk_rows):
            alpha_R = divergence.weight(compared.pair)
            total += fixed(compared.pair, alpha_R).sum()
            logits_NV[rows] = compared.gradient(slope(compared.pair, alpha_R)).div_(signal.temperature)
        logits_NP[:, vocabulary_size:] = 0
        ctx.save_for_backward(logits_NP)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None, None, None]:
        # autograd checks versions: whoever else saved these logits, or asks for this gradient twice, gets an error
        (gradient_NP,) = ctx.saved_tensors
        return gradient_NP.mul_(upstream[0]), None, None, None, None


@dataclass(frozen=True, slots=True)
class TokenStats:
    """What happened at every response token; each [N]."""

    alpha: Tensor
    """weight of the forward KL"""
    p_top1: Tensor
    """teacher's probability of its likeliest token"""
    missing_mass: Tensor
    """teacher's probability of all that it was not kept for or the student cannot write"""
    divergence_nats: Tensor


@torch.no_grad()
def token_stats(logits_NV: Tensor, signal: Signal, divergence: Divergence, chunk_rows: int) -> TokenStats:
    """The divergence token by token; the logits stay as they are."""
    alpha_N, divergence_N = (_zero(logits_NV).repeat(len(logits_NV)) for _ in range(2))
    for rows, compared in _chunks(logits_NV, signal, chunk_rows):
        alpha_N[rows] = divergence.weight(compared.pair)
        divergence_N[rows] = fixed(compared.pair, alpha_N[rows])
    return TokenStats(alpha_N, signal.log_p_NK.float().amax(-1).exp(), signal.missing().float(), divergence_N)


def _chunks(logits_NV: Tensor, signal: Signal, chunk_rows: int) -> Iterator[tuple[slice, Comparison]]:
    if len(logits_NV) != len(signal) or (signal.ids_NK is None and logits_NV.shape != signal.log_p_NK.shape):
        raise ValueError(f"logits are {tuple(logits_NV.shape)}, the teacher's {tuple(signal.log_p_NK.shape)}")
    for start in range(0, len(logits_NV), chunk_rows):
        rows = slice(start, start + chunk_rows)
        scores_RV = logits_NV[rows].to(torch.promote_types(logits_NV.dtype, torch.float32))
        if signal.temperature != 1:
            scores_RV = scores_RV / signal.temperature
        yield rows, compare(scores_RV, signal.rows(rows))


def _zero(logits_NV: Tensor) -> Tensor:
    return logits_NV.new_zeros((), dtype=torch.promote_types(logits_NV.dtype, torch.float32))
