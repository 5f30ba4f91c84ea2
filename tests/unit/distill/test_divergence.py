"""The formula: the values worked by hand, and the laws that hold for any teacher and student.

p = (.1, .2, .3, .4), q = (.4, .3, .2, .1): |p - q| = (.3, .1, .1, .3), .8 in all. At mu = .4 the head is {.4}, so
alpha = .3 / .8 = .375; at .5 and at .7 {.3, .4}: .4 / .8 = .5; at .9 {.2, .3, .4}: .5 / .8 = .625.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.errors import UserError
from supertiny.distill.config import KINDS
from supertiny.distill.divergence import Divergence, alpha, fkl, head, mixture, mu_at, pair, rkl

P, Q = (0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2, 0.1)
logits = st.floats(-8, 8, allow_nan=False)
pairs = st.integers(2, 9).flatmap(lambda n: st.tuples(*[st.lists(logits, min_size=n, max_size=n)] * 2))
masses = st.floats(0.01, 1.2)


def sides(p, q, rest=None):
    """One token; `rest`: the teacher's mass in a bucket that follows its `p`."""
    return pair(torch.tensor([p]).log(), torch.tensor([q]).log(), None if rest is None else torch.tensor([rest]))


def softmaxes(rows):
    return pair(*(torch.tensor([row], dtype=torch.float64).log_softmax(-1) for row in rows))


def akl(both, mu):
    return mixture(both, Divergence(loss="akl", mu=mu, alpha=0.5).weight(both))


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize(("mu", "expected"), [(0.4, 0.375), (0.5, 0.5), (0.7, 0.5), (0.9, 0.625)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_alpha_and_loss_worked_by_hand(mu, expected, dtype):
    both = pair(torch.tensor([P], dtype=dtype).log(), torch.tensor([Q], dtype=dtype).log())
    assert alpha(both, mu).item() == pytest.approx(expected)
    assert akl(both, mu).item() == pytest.approx(expected * kl(P, Q) + (1 - expected) * kl(Q, P), abs=1e-6)


@pytest.mark.parametrize(
    ("mu", "members"), [(0.05, {3}), (0.4, {3}), (0.41, {2, 3}), (0.7, {2, 3}), (0.9, {1, 2, 3}), (0.95, {0, 1, 2, 3})]
)
def test_head_worked_by_hand(mu, members):
    assert set(head(torch.tensor([P]), mu)[0].nonzero().flatten().tolist()) == members


def test_the_head_follows_the_teacher_whatever_the_student_thinks():
    """Student order would give {.4 at the front} and alpha = .3 / .8 on the other end: here both ends differ."""
    p, q = (0.6, 0.3, 0.1), (0.1, 0.1, 0.8)
    assert alpha(sides(p, q), 0.6).item() == pytest.approx(0.5 / 1.4)
    assert alpha(sides(q, p), 0.6).item() == pytest.approx(0.7 / 1.4)


def test_of_equally_probable_tokens_the_first_are_in_the_head_and_no_more_than_needed():
    even = torch.full((1, 5), 0.2)
    assert head(even, 0.5).tolist() == [[True, True, True, False, False]]
    assert head(torch.tensor([[0.2, 0.4, 0.2, 0.2]]), 0.6).tolist() == [[True, True, False, False]]


def test_a_token_without_mass_is_needed_by_no_head_below_one():
    """fp32 softmax: the sum of a row may stay below mu for ever."""
    row = torch.tensor([[0.5, 0.4999, 0.0]])
    assert head(row, 0.99999).tolist() == [[True, True, False]]
    assert head(row, 1.0).all()


def test_a_head_of_thousands_of_tokens_is_found_beside_one_of_a_single_token():
    """3,000 even tokens at mu = .5: 1,500; the peaked row needs one."""
    even, peaked = torch.full((3000,), 1 / 3000), torch.zeros(3000)
    peaked[7] = 1.0
    assert head(torch.stack([even, peaked]), 0.5).sum(-1).tolist() == [1500, 1]


def test_the_rest_bucket_is_in_the_tail_though_it_holds_the_most():
    """Kept .3 and .1, rest .6; student .1, .1, .8: gaps .2, 0, .2. The head is all that was kept, alpha = .2 / .4."""
    both = sides((0.3, 0.1), (0.1, 0.1, 0.8), rest=0.6)
    assert alpha(both, 0.6).item() == pytest.approx(0.5)
    assert alpha(sides((0.3, 0.1), (0.1, 0.2, 0.7), rest=0.6), 0.2).item() == pytest.approx(0.2 / 0.4)
    assert alpha(both, 1.0).item() == 1.0


@given(pairs, masses, masses)
def test_alpha_is_a_share_that_never_falls_with_mu(rows, one, other):
    both = softmaxes(rows)
    low, high = alpha(both, min(one, other)), alpha(both, max(one, other))
    assert 0 <= low.item() <= high.item() + 1e-12 <= 1 + 1e-12


@given(pairs, st.floats(0.01, 0.99))
def test_a_head_of_one_token_weighs_at_most_a_half(rows, mu):
    """|p_1 - q_1| is the absolute sum of the other differences, hence at most the sum of their absolutes."""
    both = softmaxes(rows)
    if head(both.p_NC, mu).sum() == 1:
        assert alpha(both, mu).item() <= 0.5 + 1e-12


@given(pairs, masses)
def test_the_head_is_the_smallest_set_that_reaches_mu(rows, mu):
    p = softmaxes(rows).p_NC[0]
    inside = head(p[None], mu)[0]
    if mu >= 1:
        assert inside.all()
        return
    assert p[inside].sum() >= min(mu, p.sum().item()) - 2e-6
    assert p[inside].sum() - p[inside].min() < mu
    assert inside.all() or p[inside].min() >= p[~inside].max()


@given(st.lists(logits, min_size=2, max_size=9, unique=True), st.randoms(), masses)
def test_order_of_the_vocabulary_does_not_matter(teacher, random, mu):
    student = teacher[1:] + teacher[:1]
    order = random.sample(range(len(teacher)), len(teacher))
    moved = [[row[index] for index in order] for row in (teacher, student)]
    one, other = softmaxes([teacher, student]), softmaxes(moved)
    if all(abs(a - b) > 1e-9 for i, a in enumerate(one.p_NC[0]) for b in one.p_NC[0][:i]):
        torch.testing.assert_close(alpha(one, mu), alpha(other, mu))
        torch.testing.assert_close(akl(one, mu), akl(other, mu))


@given(pairs, masses)
def test_divergences_are_positive_and_nothing_from_itself(rows, mu):
    both, same = softmaxes(rows), softmaxes((rows[0], rows[0]))
    for value, zero in [
        (fkl(both), fkl(same)),
        (rkl(both), rkl(same)),
        (akl(both, mu), akl(same, mu)),
        (mixture(both, 0.3), mixture(same, 0.3)),
    ]:
        assert value.item() >= -1e-12 and zero.item() == 0.0
    assert alpha(same, mu).item() == (1.0 if mu >= 1 else 0.5)


@given(pairs)
def test_from_mass_one_on_it_is_forward_kl_to_the_last_bit(rows):
    both = softmaxes(rows)
    assert torch.equal(akl(both, 1.0), fkl(both)) and torch.equal(akl(both, 1.5), fkl(both))
    assert torch.equal(mixture(both, 0.0), rkl(both)) and torch.equal(mixture(both, 1.0), fkl(both))


def test_an_empty_rest_bucket_weighs_nothing_and_a_student_that_uses_it_pays():
    """p_rest = 0: forward KL is that of the kept; the reverse one has .1 ln(.1 / 2^-24) = 1.433 for the bucket."""
    both = sides((1.0,), (0.9, 0.1), rest=0.0)
    assert fkl(both).item() == pytest.approx(math.log(1 / 0.9))
    assert rkl(both).item() == pytest.approx(0.9 * math.log(0.9) + 0.1 * math.log(0.1 * 2**24))


def test_every_kind_is_the_mixture_of_its_name():
    both = sides(P, Q)
    found = {kind: Divergence(loss=kind, mu=0.4, alpha=0.2).weight(both).item() for kind in KINDS}
    assert found == pytest.approx({"akl": 0.375, "fkl": 1.0, "rkl": 0.0, "fixed": 0.2})


def test_a_token_that_the_teacher_rules_out_costs_much_but_not_infinity():
    both = pair(torch.tensor([[0.0, -math.inf]]), torch.tensor([[0.5, 0.5]]).log())
    assert fkl(both).item() == pytest.approx(math.log(2))
    assert math.isfinite(rkl(both).item()) and rkl(both).item() > 1000
    assert torch.equal(akl(both, 1.0), fkl(both))


@pytest.mark.parametrize(
    ("change", "named"), [({"loss": "jsd"}, "loss"), ({"mu": 0.0}, "mu"), ({"alpha": 1.1}, "alpha")]
)
def test_a_divergence_that_does_not_exist_is_refused_by_field(change, named):
    with pytest.raises(UserError, match=f"^{named}:"):
        Divergence(**{"loss": "akl", "mu": 0.5, "alpha": 0.5} | change)


def test_mu_goes_down_in_equal_steps_and_a_run_of_one_step_has_the_last():
    assert [mu_at(step, 6, 1.0, 0.5) for step in range(6)] == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    assert mu_at(0, 1, 1.0, 0.5) == 0.5
    assert mu_at(3, 9, 0.7, 0.7) == 0.7
