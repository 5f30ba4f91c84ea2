"""PPO's clip in its four cases, k2 and its gradient, and what adds up over micro-batches."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.config import load
from supertiny.core.errors import UserError
from supertiny.rl.config import CollapseConfig, RlConfig
from supertiny.rl.loss import Rollout, Sums, clipped_policy, entropy, k2, log_distribution, loss_sum, of_targets
from tests.house import ROOT

logits = st.lists(st.floats(-1.5, 1.5, allow_nan=False), min_size=4, max_size=4)
"""the least log-probability is -4.1, so that every log-ratio is below the clamp's 4.47"""


@pytest.fixture
def cfg(monkeypatch):
    monkeypatch.chdir(ROOT)
    return load("rl", RlConfig)


def exact(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope", "clipped"),
    [
        (1.5, 2.0, -2.4, 0.0, True),  # better than thought and already likelier: enough
        (0.5, 2.0, -1.0, -1.0, False),  # better, but less likely: pulled back up; d loss / d log p = -ratio A
        (1.5, -2.0, 3.0, 3.0, False),  # worse and likelier: pushed down in full
        (0.5, -2.0, 1.6, 0.0, True),  # worse and already less likely: enough
        (1.1, 2.0, -2.2, -2.2, False),  # within the clip
        (1.0, -2.0, 2.0, 2.0, False),  # on the policy
    ],
)
def test_the_clip_worked_by_hand(cfg, ratio, advantage, loss, slope, clipped):
    """Clip .2: the ratio counts up to 1.2 and down to .8, where that makes the objective smaller."""
    log_p = exact(math.log(ratio)).requires_grad_()
    found, sums = loss_sum(log_p, Rollout(exact(0.0), log_p.detach(), exact(advantage)), cfg)
    found.backward()
    assert found.item() == pytest.approx(loss)
    assert log_p.grad.item() == pytest.approx(slope)
    assert (sums.clipped, sums.ratio, sums.k2) == (clipped, pytest.approx(ratio), 0.0)


def test_the_first_step_on_a_batch_is_the_plain_policy_gradient():
    """pi = pi_old: the ratio is 1 and the gradient -A grad log pi."""
    log_p = exact(-1.0, -2.0).requires_grad_()
    loss, clipped = clipped_policy((log_p - log_p.detach()).exp(), exact(0.5, -3.0), 0.2)
    loss.sum().backward()
    assert log_p.grad.tolist() == [-0.5, 3.0]
    assert not clipped.any()


def test_k2_and_its_clamp_worked_by_hand():
    """Log-ratios 2, -2, 5: 2, 2 and 12.5, which counts as 10 and has no gradient; else the gradient is the ratio's."""
    log_p = exact(-1.0, -3.0, -1.0).requires_grad_()
    found = k2(log_p, exact(-3.0, -1.0, -6.0), 10.0)
    found.sum().backward()
    assert found.tolist() == [2.0, 2.0, 10.0]
    assert log_p.grad.tolist() == [2.0, -2.0, 0.0]


@given(logits, logits)
def test_in_expectation_the_gradient_of_k2_is_that_of_the_reverse_kl(scores, reference):
    """sum_i pi_i grad k2_i = grad sum_i pi_i (log pi_i - log ref_i), the samples' weights pi_i held fixed."""
    reference_log_p = exact(*reference).log_softmax(-1)
    one, other = (exact(*scores).requires_grad_() for _ in range(2))
    log_p = one.log_softmax(-1)
    (log_p.exp().detach() * k2(log_p, reference_log_p, 10.0)).sum().backward()
    log_q = other.log_softmax(-1)
    (log_q.exp() * (log_q - reference_log_p)).sum().backward()
    torch.testing.assert_close(one.grad, other.grad, atol=1e-12, rtol=1e-9)


def test_k2_of_a_policy_at_its_reference_pulls_nowhere():
    log_p = exact(-1.0, -2.0).requires_grad_()
    k2(log_p, log_p.detach(), 10.0).sum().backward()
    assert not log_p.grad.any()


def test_loss_is_the_policy_plus_the_weighted_k2(cfg):
    """Ratios 1 and 1.5 (cut to 1.2), A 1 and 1: -2.2; log-ratios to the reference 1 and 2: .5 + 2 = 2.5, times .001."""
    cfg.kl_coef = 0.001
    log_p = exact(-1.0, -1.0)
    rollout = Rollout(exact(-1.0, -1.0 - math.log(1.5)), exact(-2.0, -3.0), exact(1.0, 1.0))
    loss, sums = loss_sum(log_p, rollout, cfg)
    assert loss.item() == pytest.approx(-2.2 + 0.0025)
    assert sums.means() == pytest.approx({"policy": -1.1, "k2": 1.25, "ratio": 1.25, "clipped": 0.5, "entropy": 0.0})


def test_micro_batches_add_up_to_the_token_mean(cfg):
    torch.manual_seed(0)
    log_p = torch.randn(7, dtype=torch.float64).requires_grad_()
    columns = [torch.randn(7, dtype=torch.float64) for _ in range(3)]
    whole, sums = loss_sum(log_p, Rollout(*columns), cfg)
    (gradient,) = torch.autograd.grad(whole / 7, log_p)
    added = Sums(0, 0, 0, 0, 0, 0)
    for rows in (slice(0, 2), slice(2, 7)):
        part, stats = loss_sum(log_p[rows], Rollout(*(column[rows] for column in columns)), cfg)
        (part / 7).backward()
        added += stats
    torch.testing.assert_close(log_p.grad, gradient)
    assert added.means() == pytest.approx(sums.means())
    assert added.num_tokens == 7


def test_log_probabilities_and_entropy_worked_by_hand():
    """Scores ln 1, ln 3: .25 and .75. At temperature 1/2 squared: .1 and .9. Entropy of a fair coin: ln 2."""
    scores = exact(0.0, math.log(3.0)).expand(2, 2)
    targets = torch.tensor([0, 1])
    assert of_targets(log_distribution(scores, 1.0), targets).exp().tolist() == pytest.approx([0.25, 0.75])
    assert of_targets(log_distribution(scores, 0.5), targets).exp().tolist() == pytest.approx([0.1, 0.9])
    even, sure = torch.zeros(1, 2), torch.tensor([[0.0, -math.inf]])
    assert entropy(log_distribution(even, 1.0)).item() == pytest.approx(math.log(2))
    assert entropy(log_distribution(sure, 1.0)).item() == 0.0
    assert log_distribution(even.bfloat16(), 1.0).dtype == torch.float32


def test_entropy_is_logged_at_the_tokens_and_not_optimized(cfg):
    scores = torch.zeros(3, 4, requires_grad=True)
    every = log_distribution(scores, 1.0)
    log_p = of_targets(every, torch.tensor([0, 1, 2]))
    loss, sums = loss_sum(log_p, Rollout(log_p.detach(), log_p.detach(), torch.zeros(3)), cfg, every)
    loss.backward()
    assert sums.means()["entropy"] == pytest.approx(math.log(4))
    assert not scores.grad.any()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rollouts": 1}, "rollouts"),
        ({"prompts_a_batch": 0}, "prompts_a_batch"),
        ({"epochs": 0}, "epochs"),
        ({"temperature": 0.0}, "temperature"),
        ({"clip": 1.0}, "clip"),
        ({"kl_coef": -0.1}, "kl_coef"),
        ({"kl_clamp": 0.0}, "kl_clamp"),
        ({"variance_floor": 0.0}, "variance_floor"),
        ({"prompts_a_step": 10_000}, "prompts_a_step"),
    ],
)
def test_what_cannot_be_trained_with_is_refused_by_field(cfg, change, named):
    values = {name: getattr(cfg, name) for name in RlConfig.__slots__}
    with pytest.raises(UserError, match=f"^{named}:"):
        RlConfig(**values | change)


@pytest.mark.parametrize("change", [{"reward_drop": 0.0}, {"min_tokens": -1.0}, {"max_cut_share": 0.0}, {"batches": 0}])
def test_collapse_limits_are_checked_too(change):
    values = {"reward_drop": 1.0, "min_tokens": 8.0, "max_cut_share": 0.5, "batches": 3}
    with pytest.raises(UserError, match=f"^{next(iter(change))}:"):
        CollapseConfig(**values | change)
