"""The loss of one step: PPO's clipped objective plus k2.

Shapes: N response tokens, V ids. Log-probabilities are in nats, those of the softmax that was sampled from.

    ratio = pi / pi_old        policy = -min(ratio A, clip(ratio, 1 - clip, 1 + clip) A)
    k2 = (log pi - log pi_ref)^2 / 2, at most kl_clamp        loss = policy + kl_coef k2, mean over response tokens

k2's gradient, (log pi - log pi_ref) grad log pi, is in expectation over pi that of KL(pi||pi_ref). The clamp is on k2
itself, as OpenRLHF has it: at 10 that is a log-ratio of 4.47, above which a token is not pulled back any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from supertiny.rl.config import RlConfig


def advantages(rewards_Pn: Tensor, mask_RT: Tensor, reward_clip: float, variance_floor: float) -> Tensor:
    """[R, T] advantage of every response token, 0 elsewhere; fp32, or fp64 where the rewards are."""
    return whitened(spread(centred(rewards_Pn, reward_clip), mask_RT), mask_RT, variance_floor)


def centred(rewards_Pn: Tensor, reward_clip: float) -> Tensor:
    """[P, n] reward minus the mean of its group (itself included, no division by a deviation), cut to +- `reward_clip`.

    >>> centred(torch.tensor([[3.0, -2.0], [20.0, -20.0]]), 10.0).tolist()
    [[2.5, -2.5], [10.0, -10.0]]
    """
    if rewards_Pn.ndim != 2 or rewards_Pn.shape[1] < 2:
        raise ValueError(f"rewards are {tuple(rewards_Pn.shape)}, expected [P, n] with n > 1")
    exact_Pn = rewards_Pn.to(torch.promote_types(rewards_Pn.dtype, torch.float32))
    return (exact_Pn - exact_Pn.mean(1, keepdim=True)).clamp(-reward_clip, reward_clip)


def spread(values_Pn: Tensor, mask_RT: Tensor) -> Tensor:
    """[R, T] each reply's value at all of its response tokens (the return at gamma 1), 0 elsewhere."""
    if values_Pn.numel() != len(mask_RT):
        raise ValueError(f"values are {tuple(values_Pn.shape)}, the mask {tuple(mask_RT.shape)}")
    return values_Pn.reshape(-1, 1) * mask_RT


def whitened(values_RT: Tensor, mask_RT: Tensor, variance_floor: float) -> Tensor:
    """[R, T] minus the mean, over the root of the population variance, of ALL response tokens; 0 elsewhere.

    Long replies weigh more in both. A variance below the floor counts as the floor: equal values become 0.
    """
    real = mask_RT.bool()
    values_N = values_RT[real]
    if not len(values_N):
        raise ValueError("a rollout batch without a response token")
    variance = values_N.var(correction=0).clamp(min=variance_floor)
    return torch.where(real, (values_RT - values_N.mean()) * variance.rsqrt(), 0)


@dataclass(frozen=True, slots=True)
class Rollout:
    """What is known of the response tokens before a step; each [N] and without gradient."""

    old_log_p_N: Tensor | None
    """under the policy that wrote them; None: it is the one that now learns, so that every ratio is 1"""
    reference_log_p_N: Tensor
    """under the model that training began with"""
    advantages_N: Tensor

    def to(self, device: torch.device) -> "Rollout":
        """The same on `device`."""
        old_log_p_N = None if self.old_log_p_N is None else self.old_log_p_N.to(device)
        return Rollout(old_log_p_N, self.reference_log_p_N.to(device), self.advantages_N.to(device))


def joined(parts: Sequence[Rollout]) -> Rollout:
    """Several as one, in their order; the policy that wrote them is known of all or of none."""
    old = [part.old_log_p_N for part in parts if part.old_log_p_N is not None]
    return Rollout(
        torch.cat(old) if old else None,
        torch.cat([part.reference_log_p_N for part in parts]),
        torch.cat([part.advantages_N for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Sums:
    """What happened at response tokens, summed over them, so that micro-batches add up."""

    num_tokens: float
    policy: float
    k2: float
    ratio: float
    clipped: float
    """tokens where the clipped term is the smaller one: they have no gradient from the policy term"""
    entropy: float
    """nats; 0 where only the tokens' own log-probabilities were given"""

    def __add__(self, other: Self) -> "Sums":
        return Sums(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def means(self) -> dict[str, float]:
        """Each sum but the first over the number of tokens."""
        return {one.name: getattr(self, one.name) / self.num_tokens for one in fields(self)[1:]}


def loss_sum(log_p_N: Tensor, rollout: Rollout, cfg: RlConfig, log_p_NV: Tensor | None = None) -> tuple[Tensor, Sums]:
    """Sum of the loss over the N tokens, and what happened; divide by the tokens of the whole step for the token mean.

    `log_p_NV`, of every id, is for the entropy alone, which is logged and not optimized.
    """
    old_log_p_N = log_p_N.detach() if rollout.old_log_p_N is None else rollout.old_log_p_N
    ratio_N = (log_p_N - old_log_p_N).exp()
    policy_N, clipped_N = clipped_policy(ratio_N, rollout.advantages_N, cfg.clip)
    k2_N = k2(log_p_N, rollout.reference_log_p_N, cfg.kl_clamp)
    entropy_N = entropy(log_p_NV) if log_p_NV is not None else torch.zeros_like(k2_N)
    sums = [float(each.detach().sum()) for each in (policy_N, k2_N, ratio_N, clipped_N, entropy_N)]
    return (policy_N + cfg.kl_coef * k2_N).sum(), Sums(float(len(log_p_N)), *sums)


def clipped_policy(ratio_N: Tensor, advantages_N: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """[N] PPO's loss, and [N] True where the clipped term decided.

    >>> loss, clipped = clipped_policy(torch.tensor([1.5, 0.5]), torch.tensor([1.0, 1.0]), 0.25)
    >>> loss.tolist(), clipped.tolist()
    ([-1.25, -0.5], [True, False])
    """
    free_N = ratio_N * advantages_N
    bound_N = ratio_N.clamp(1 - clip, 1 + clip) * advantages_N
    return -torch.minimum(free_N, bound_N), bound_N < free_N


def k2(log_p_N: Tensor, reference_log_p_N: Tensor, kl_clamp: float) -> Tensor:
    """[N] half the squared log-ratio, at most `kl_clamp`; the gradient goes through `log_p_N`.

    >>> k2(torch.tensor([-1.0, -9.0]), torch.tensor([-3.0, -1.0]), 10.0).tolist()
    [2.0, 10.0]
    """
    return ((log_p_N - reference_log_p_N) ** 2 / 2).clamp(max=kl_clamp)


def log_distribution(logits_NV: Tensor, temperature: float) -> Tensor:
    """[N, V] log-probabilities of the softmax at `temperature`; at least fp32."""
    return logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32)).div(temperature).log_softmax(-1)


def of_targets(log_p_NV: Tensor, targets_N: Tensor) -> Tensor:
    """[N] log-probability of each target."""
    return log_p_NV.gather(-1, targets_N[:, None])[:, 0]


@torch.no_grad()
def entropy(log_p_NV: Tensor) -> Tensor:
    """[N] entropy of the next token in nats; what is impossible adds nothing."""
    return -(log_p_NV.exp() * log_p_NV.clamp(min=torch.finfo(log_p_NV.dtype).min)).sum(-1)
