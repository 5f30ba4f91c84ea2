"""How much better than usual a reply was, token by token (REINFORCE++-baseline; algorithms section 9).

Shapes: P prompts, n replies to each, R = P n replies in that order, T tokens of the longest. A mask is True at the
response tokens. Everything is computed over a whole rollout batch, before it is cut into optimizer steps.
"""

import torch
from torch import Tensor


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
