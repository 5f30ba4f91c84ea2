"""The training losses on a vocabulary that several processes share, without gathering its logits.

Each process holds the scores of its own ids. What all of them need is small: the highest score, the sum of all exps,
and the scores of the K ids that the teacher names; two all-reduces bring it. The divergence itself is that of
`distill.divergence`, over the same K + 1 categories as on one process, and the gradient stays where its ids are.

Shapes: N response tokens, S ids of this process (its share of the padded vocabulary), K kept ids of a token,
C = K + 1 categories, the last the rest bucket; R rows of a chunk.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from supertiny.distill.divergence import LOG_ZERO, Divergence, mixture, pair, slope
from supertiny.distill.loss import SMALLEST_Q, Signal

CHUNK_ROWS = 256
"""response tokens whose cross-entropy is computed at once"""


@dataclass(frozen=True, slots=True)
class Shard:
    """This process's part of the vocabulary."""

    first_id: int
    group: dist.ProcessGroup
    """the processes that share it"""


def divergence_sum(
    logits_NS: Tensor, signal: Signal, divergence: Divergence, chunk_rows: int, num_ids: int, shard: Shard
) -> Tensor:
    """Sum over the N response tokens of their divergence in nats, fp32, the same on all processes.

    What the heads say from id `num_ids` on is padding: no softmax sees it, and its gradient is 0. The logits hold the
    gradient afterwards: read them before, or not at all.
    """
    total: Tensor = _DivergenceSum.apply(logits_NS, signal, divergence, chunk_rows, num_ids, shard)  # type: ignore[no-untyped-call]
    return total


def cross_entropy_sum(logits_NS: Tensor, targets_N: Tensor, num_ids: int, shard: Shard) -> Tensor:
    """Summed -log p(target) in fp32 (paper Eq. 1): the forward KL from a teacher that knows the one right token."""
    targets_N1 = targets_N[:, None]
    knows = Signal(torch.zeros_like(targets_N1, dtype=torch.float32), targets_N1)
    return divergence_sum(logits_NS, knows, Divergence(loss="fkl", mu=1.0, alpha=1.0), CHUNK_ROWS, num_ids, shard)


class _DivergenceSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits_NS: Tensor,
        signal: Signal,
        divergence: Divergence,
        chunk_rows: int,
        num_ids: int,
        shard: Shard,
    ) -> Tensor:
        total = logits_NS.new_zeros((), dtype=torch.float32)
        padding = max(0, min(logits_NS.shape[-1], num_ids - shard.first_id))
        for start in range(0, len(logits_NS), chunk_rows):
            rows = slice(start, start + chunk_rows)
            scores_RS = logits_NS[rows].float() / signal.temperature
            scores_RS[:, padding:] = -torch.inf
            compared = _Shared(scores_RS, signal.rows(rows), shard)
            alpha_R = divergence.weight(compared.pair)
            total += mixture(compared.pair, alpha_R).sum()
            logits_NS[rows] = compared.gradient(slope(compared.pair, alpha_R)).div_(signal.temperature)
        ctx.save_for_backward(logits_NS)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor, None, None, None, None, None]:
        (gradient_NS,) = ctx.saved_tensors
        return gradient_NS.mul_(upstream[0]), None, None, None, None, None


class _Shared:
    """Teacher and student over the same categories; q is the softmax over the ids of ALL processes."""

    def __init__(self, scores_NS: Tensor, signal: Signal, shard: Shard) -> None:
        assert signal.ids_NK is not None, "a dense teacher is online, and its logits are not shared"
        ids_NK, num_own = signal.ids_NK.long(), scores_NS.shape[-1]
        kept_NK, at_NK = ids_NK >= 0, ids_NK - shard.first_id
        self.own_NK = kept_NK & (at_NK >= 0) & (at_NK < num_own)
        self.at_NK = at_NK.clamp(0, num_own - 1)

        highest_N1 = scores_NS.amax(-1, keepdim=True)
        dist.all_reduce(highest_N1, dist.ReduceOp.MAX, shard.group)
        scores_NS = scores_NS.sub_(highest_N1)
        known_NK = scores_NS.gather(-1, self.at_NK).masked_fill_(~self.own_NK, 0)
        self.q_NS = scores_NS.exp_()
        # leaves the rest, and an exact 0 where an id is kept
        self.q_NS.scatter_add_(-1, self.at_NK, -self.q_NS.gather(-1, self.at_NK) * self.own_NK)
        told_NC = torch.cat([known_NK, self.q_NS.sum(-1, keepdim=True)], -1)
        dist.all_reduce(told_NC, dist.ReduceOp.SUM, shard.group)

        known_NK, rest_N1 = told_NC[:, :-1], told_NC[:, -1:]
        sum_N1 = rest_N1 + known_NK.exp().masked_fill(~kept_NK, 0).sum(-1, keepdim=True)
        log_q_NK = (known_NK - sum_N1.log()).masked_fill(~kept_NK, LOG_ZERO)
        self.q_NS.div_(sum_N1)
        self.rest_N1 = (rest_N1 / sum_N1).clamp(min=SMALLEST_Q)
        log_p_NK = signal.log_p_NK.float().masked_fill(~kept_NK, LOG_ZERO)
        self.pair = pair(log_p_NK, torch.cat([log_q_NK, self.rest_N1.log()], -1), signal.missing())

    def gradient(self, slope_NC: Tensor) -> Tensor:
        """[N, S] derivative in this process's scores of a loss whose derivative in log q is `slope_NC`; used once."""
        sum_N1 = slope_NC.sum(-1, keepdim=True)
        gradient_NS = self.q_NS.mul_(slope_NC[:, -1:] / self.rest_N1 - sum_N1)
        kept_NK = (slope_NC[:, :-1] - self.pair.q_NC[:, :-1] * sum_N1) * self.own_NK
        return gradient_NS.scatter_add_(-1, self.at_NK, kept_NK)
