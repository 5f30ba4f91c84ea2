"""Advantages by hand, the laws of whitening, and OpenRLHF's numbers.

Two prompts, two replies each: rewards 3, -1 | -2, -2. Group means 1 and -2, so 2, -2 | 0, 0. With 1, 3, 2 and 2 tokens
the eight tokens hold 2 once, -2 three times and 0 four times: mean -1/2, mean square 16/8 = 2, variance 2 - 1/4 = 7/4.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supertiny.rl.loss import advantages, centred, spread, whitened

REWARDS = torch.tensor([[3.0, -1.0], [-2.0, -2.0]], dtype=torch.float64)
MASK = torch.tensor([[1, 0, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]], dtype=torch.bool)
FLOOR, CLIP = 1e-8, 10.0


def test_worked_by_hand():
    deviation = 1.75**0.5
    best, worst, middle = 2.5 / deviation, -1.5 / deviation, 0.5 / deviation
    expected = [[best, 0, 0], [worst, worst, worst], [0, middle, middle], [middle, 0, middle]]
    found = advantages(REWARDS, MASK, CLIP, FLOOR)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_the_mean_is_that_of_the_group_with_the_reply_itself_and_no_deviation():
    """4, 0, 0, 0: mean 1, so 3, -1, -1, -1; leave-one-out would give 4, -4/3."""
    assert centred(torch.tensor([[4.0, 0.0, 0.0, 0.0]]), CLIP).tolist() == [[3.0, -1.0, -1.0, -1.0]]


def test_the_clip_is_on_the_difference_not_on_the_reward():
    """24, 20: 2, -2, though both rewards are above 10; 100, 0: +-50 is cut to +-10."""
    found = centred(torch.tensor([[24.0, 20.0], [100.0, 0.0]]), CLIP)
    assert found.tolist() == [[2.0, -2.0], [10.0, -10.0]]


def test_the_numbers_of_openrlhf_s_parity_example():
    """Of the parity example: 1 0 0 1 | 1 1 0 1, equal lengths. Differences +-1/2 and 1/4 1/4 -3/4 1/4.

    Mean 0, variance (4/4 + 3/16 + 9/16) / 8 = 7/32: +-1.0690, .5345 and -1.6036, by the formula that backends section
    2.3 found to match OpenRLHF 0.11.2.
    """
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]])
    found = advantages(rewards, torch.ones(8, 3), CLIP, FLOOR)[:, 0]
    expected = [1.0690, -1.0690, -1.0690, 1.0690, 0.5345, 0.5345, -1.6036, 0.5345]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)


def test_groups_of_equal_rewards_teach_nothing():
    assert not advantages(torch.full((2, 2), 3.0), MASK, CLIP, FLOOR).any()


def test_the_floor_keeps_a_tiny_variance_from_growing():
    """+-1e-6: variance 1e-12 counts as 1e-8, so 1e-6 / 1e-4 = .01."""
    found = whitened(torch.tensor([[1e-6], [-1e-6]]), torch.ones(2, 1), FLOOR)
    torch.testing.assert_close(found, torch.tensor([[0.01], [-0.01]]))


@given(
    st.lists(st.sampled_from([-2.0, -1.0, -0.5, -0.25, -0.2, 3.0]), min_size=6, max_size=6),
    st.lists(st.integers(1, 5), min_size=6, max_size=6),
)
def test_over_all_tokens_the_mean_is_nought_and_the_variance_one_and_padding_has_none(rewards, lengths):
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    values = torch.tensor(rewards, dtype=torch.float64).view(2, 3)
    found = advantages(values, mask, CLIP, FLOOR)
    assert not found[~mask].any()
    assert abs(found[mask].mean().item()) < 1e-9
    flat = centred(values, CLIP).abs().max() < 1e-12
    per_token = spread(centred(values, CLIP), mask)[mask]
    if not flat and per_token.var(correction=0) > FLOOR:
        assert found[mask].var(correction=0).item() == pytest.approx(1.0)
    moved = advantages(values + torch.tensor([[7.0], [-3.0]]), mask, CLIP, FLOOR)
    torch.testing.assert_close(moved, found, atol=1e-6, rtol=1e-6)  # a group's level does not matter


@pytest.mark.parametrize("rewards", [torch.zeros(4), torch.zeros(4, 1)])
def test_a_reply_alone_has_no_baseline(rewards):
    with pytest.raises(ValueError, match="n > 1"):
        centred(rewards, CLIP)


def test_shapes_that_do_not_meet_and_empty_batches_are_refused():
    with pytest.raises(ValueError, match="mask"):
        spread(REWARDS, MASK[:3])
    with pytest.raises(ValueError, match="without a response token"):
        whitened(torch.zeros(2, 3), torch.zeros(2, 3), FLOOR)
