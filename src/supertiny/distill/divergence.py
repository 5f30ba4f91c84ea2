"""How far a student is from its teacher at one token: the adaptive divergence (paper Eq. 3-5).

Shapes: N response tokens, C categories of the next token: every id, or the kept ids and last the rest bucket, which
holds all other ids together. Nothing is ever renormalised: p and q sum to one over the C categories as they are.

Every divergence here is `alpha KL(p||q) + (1 - alpha) KL(q||p)`; what differs is where alpha comes from.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from supertiny.distill.config import must_be_one

LOG_ZERO = -1e4
"""log-probability of what never happens; finite, so that 0 log 0 is 0"""
SMALLEST_REST = 2.0**-24
"""a smaller rest bucket is empty, for fp32 cannot tell 1 - sum p from 0 there; its log in KL(q||p) is this one's"""
MASS_SLACK = 1e-6
"""mass that a cumulative fp32 sum may miss: 0.4 + 0.3 reaches 0.7"""
FIRST_GUESS = 64
"""ids among which a head is looked for first; a sort of the whole vocabulary costs fifty times as much"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Teacher p and student q side by side."""

    log_p_NC: Tensor
    """nats, at least LOG_ZERO"""
    log_q_NC: Tensor
    p_NC: Tensor
    q_NC: Tensor
    has_rest: bool
    """whether the last category is the rest bucket"""


def pair(log_p_NK: Tensor, log_q_NC: Tensor, rest_N: Tensor | None = None) -> Pair:
    """Teacher and student from their log-probabilities; `rest_N` is the teacher's mass in the rest bucket, if any."""
    log_p_NC = log_p_NK.clamp(min=LOG_ZERO)
    p_NC = log_p_NC.exp()
    if rest_N is not None:
        rest_N1 = rest_N.to(p_NC.dtype)[:, None]
        p_NC = torch.cat([p_NC, torch.where(rest_N1 < SMALLEST_REST, 0, rest_N1)], -1)
        log_p_NC = torch.cat([log_p_NC, rest_N1.clamp(min=SMALLEST_REST).log()], -1)
    return Pair(log_p_NC, log_q_NC, p_NC, log_q_NC.exp(), rest_N is not None)


def fkl(pair: Pair) -> Tensor:
    """[N] KL(p||q) in nats, the forward one (Eq. 3)."""
    return (pair.p_NC * (pair.log_p_NC - pair.log_q_NC)).sum(-1)


def rkl(pair: Pair) -> Tensor:
    """[N] KL(q||p) in nats, the reverse one (Eq. 3); over K + 1 categories a lower bound of the one over all ids."""
    return (pair.q_NC * (pair.log_q_NC - pair.log_p_NC)).sum(-1)


def head(p_NC: Tensor, mu: float) -> Tensor:
    """[N, C] True for H: the fewest most probable TEACHER tokens whose mass is >= mu; of equal ones the first.

    >>> head(torch.tensor([[0.1, 0.2, 0.3, 0.4]]), 0.7).tolist()
    [[False, False, True, True]]
    """
    if mu >= 1:
        return torch.ones_like(p_NC, dtype=torch.bool)
    count = min(FIRST_GUESS, p_NC.shape[-1])
    top = p_NC.topk(count)
    while count < p_NC.shape[-1] and top.values.sum(-1).min() < mu:
        count = min(16 * count, p_NC.shape[-1])
        top = p_NC.topk(count)
    before = (top.values.cumsum(-1) < mu - MASS_SLACK).sum(-1, keepdim=True).clamp(max=count - 1)
    last = top.values.gather(-1, before)
    above, equal = p_NC > last, p_NC == last
    room = before + 1 - above.sum(-1, keepdim=True)
    return (above | equal & (equal.cumsum(-1) <= room)) & (p_NC > 0)


def alpha(pair: Pair, mu: float) -> Tensor:
    """[N] share of the head in the total difference: g_head / (g_head + g_tail), 1/2 where p = q (Eq. 4-5).

    The rest bucket is in the tail, and mu >= 1 is alpha = 1, forward KL, whatever is rounded. No gradient flows.
    """
    gap_NC = (pair.p_NC - pair.q_NC).detach().abs()
    if mu >= 1:
        return torch.ones_like(gap_NC[:, 0])
    kept = gap_NC.shape[-1] - pair.has_rest
    total = gap_NC.sum(-1)
    share = (gap_NC[:, :kept] * head(pair.p_NC[:, :kept], mu)).sum(-1) / total
    return torch.where(total > 0, share, 0.5).clamp(max=1)


def mixture(pair: Pair, alpha: Tensor | float) -> Tensor:
    """[N] alpha KL(p||q) + (1 - alpha) KL(q||p), in nats; with the alpha of each token it is AKL (Eq. 5)."""
    return alpha * fkl(pair) + (1 - alpha) * rkl(pair)


def slope(pair: Pair, alpha_N: Tensor) -> Tensor:
    """[N, C] derivative of `mixture` in log q, but for a multiple of q, which a softmax under it takes away."""
    alpha_N1 = alpha_N[:, None]
    return (1 - alpha_N1) * pair.q_NC * (pair.log_q_NC - pair.log_p_NC) - alpha_N1 * pair.p_NC


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """Which divergence a student minimises."""

    loss: str
    """akl | fkl | rkl | fixed"""
    mu: float
    """akl: probability mass of the head, above 0; from 1 on it is fkl"""
    alpha: float
    """fixed: weight of the forward KL"""

    def __post_init__(self) -> None:
        must_be_one(self)

    def weight(self, pair: Pair) -> Tensor:
        """[N] alpha of every token."""
        if self.loss == "akl":
            return alpha(pair, self.mu)
        return torch.full_like(pair.p_NC[:, 0], {"fkl": 1.0, "rkl": 0.0, "fixed": self.alpha}[self.loss])


def mu_at(step: int, total: int, mu_start: float, mu: float) -> float:
    """The head's mass at `step` (from 0) of `total`: linear from `mu_start` at the first to `mu` at the last.

    >>> [mu_at(step, 3, 1.0, 0.5) for step in range(3)]
    [1.0, 0.75, 0.5]
    """
    return mu_start + (mu - mu_start) * (step / (total - 1) if total > 1 else 1.0)
