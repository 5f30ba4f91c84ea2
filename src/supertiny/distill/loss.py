"""The distillation loss over a batch (paper Eq. 5), without a second copy of its N x V logits in memory.

Shapes: N response tokens, V ids of the student, P rows of its head: the V ids and padding. Logits are walked in chunks
of rows; loss and gradient of a chunk are computed together in fp32, and the gradient is written over the logits, which
nobody needs any more. `distill.teacher.lesson_loss` calls it; Megatron's worker has its own, over a split vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from supertiny.distill.divergence import LOG_ZERO, Divergence, Pair, mixture, pair, slope

SMALLEST_Q = 1e-37
"""q of a rest bucket at least: the smallest number that fp32 can divide by"""


@dataclass(frozen=True, slots=True)
class Signal:
    """The teacher's next-token distributions, not renormalised."""

    log_p_NK: Tensor
    """fp32 log-probabilities in nats; -inf where padded"""
    ids_NK: Tensor | None = None
    """student ids, no id twice in a row; None: dense, the K = V ids in order. -1: padded, or a token that the student
    cannot write, whose mass is in the rest bucket"""
    temperature: float = 1.0
    """what the teacher's logits were divided by; the student's are divided by the same"""
    rest_N: Tensor | None = None
    """teacher's mass of the ids that were not kept; None: what the others leave of one, but for their rounding"""

    def __post_init__(self) -> None:
        if self.ids_NK is not None and self.ids_NK.shape != self.log_p_NK.shape:
            raise ValueError(f"ids are {tuple(self.ids_NK.shape)}, log-probabilities {tuple(self.log_p_NK.shape)}")

    def __len__(self) -> int:
        return len(self.log_p_NK)

    def rows(self, rows: slice) -> "Signal":
        """The signal of some of the tokens."""
        return self._each(lambda tensor: tensor[rows])

    def to(self, device: torch.device) -> "Signal":
        """The same signal on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def missing(self) -> Tensor:
        """[N] teacher's mass outside the ids that it was kept for and that the student can write."""
        mass_NK = self.log_p_NK.double().exp()  # fp32 would lose a rest of 1e-6 in the sum's rounding
        unable_NK = torch.zeros_like(mass_NK) if self.ids_NK is None else mass_NK * (self.ids_NK < 0)
        rest_N = 1 - mass_NK.sum(-1) if self.rest_N is None else self.rest_N
        return (rest_N + unable_NK.sum(-1)).clamp(min=0)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Signal":
        ids_NK, rest_N = (None if one is None else change(one) for one in (self.ids_NK, self.rest_N))
        return replace(self, log_p_NK=change(self.log_p_NK), ids_NK=ids_NK, rest_N=rest_N)


class Comparison(Protocol):
    """Teacher and student over the same categories."""

    pair: Pair

    def gradient(self, slope_NC: Tensor) -> Tensor:
        """[N, V] derivative in the student's scores of a loss whose derivative in log q is `slope_NC`; used once."""


def compare(scores_NV: Tensor, signal: Signal) -> Comparison:
    """The student's scores (fp32 logits by temperature) beside its teacher."""
    if signal.ids_NK is None:
        return _Dense(scores_NV, signal.log_p_NK)
    return _Truncated(scores_NV, signal, signal.ids_NK)


class _Dense:
    def __init__(self, scores_NV: Tensor, log_p_NV: Tensor) -> None:
        self.pair = pair(log_p_NV.to(scores_NV.dtype), scores_NV.log_softmax(-1))

    def gradient(self, slope_NC: Tensor) -> Tensor:
        """G_j - q_j sum G: a softmax passes on what is left of the slope G."""
        return slope_NC.addcmul_(self.pair.q_NC, slope_NC.sum(-1, keepdim=True), value=-1)


class _Truncated:
    """q is the softmax over the FULL vocabulary; the rest bucket's mass is the sum of its ids, not 1 - sum q."""

    def __init__(self, scores_NV: Tensor, signal: Signal, ids_NK: Tensor) -> None:
        kept_NK = ids_NK >= 0
        self.at_NK = ids_NK.clamp(min=0).long()
        self.q_NV = scores_NV.softmax(-1)
        log_sum_N1 = (
            scores_NV.amax(-1, keepdim=True) - self.q_NV.amax(-1, keepdim=True).log()
        )  # spares a second pass of exp
        log_q_NK = (scores_NV.gather(-1, self.at_NK) - log_sum_N1).masked_fill(~kept_NK, LOG_ZERO)
        # leaves the rest, and an exact 0 where an id is kept
        self.q_NV.scatter_add_(-1, self.at_NK, -self.q_NV.gather(-1, self.at_NK) * kept_NK)
        self.rest_N1 = self.q_NV.sum(-1, keepdim=True).clamp(min=SMALLEST_Q)
        log_q_NC = torch.cat([log_q_NK, self.rest_N1.log()], -1)
        log_p_NK = signal.log_p_NK.to(scores_NV.dtype).masked_fill(~kept_NK, LOG_ZERO)
        self.pair = pair(log_p_NK, log_q_NC, signal.missing())

    def gradient(self, slope_NC: Tensor) -> Tensor:
        """The same; within the rest bucket each id gets its share of it, so the rows are only scaled."""
        sum_N1 = slope_NC.sum(-1, keepdim=True)
        gradient_NV = self.q_NV.mul_(slope_NC[:, -1:] / self.rest_N1 - sum_N1)
        kept_NK = slope_NC[:, :-1] - self.pair.q_NC[:, :-1] * sum_N1
        return gradient_NV.scatter_add_(-1, self.at_NK, kept_NK)


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
            total += mixture(compared.pair, alpha_R).sum()
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
        divergence_N[rows] = mixture(compared.pair, alpha_N[rows])
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
