"""The loss of a batch against a naive oracle in Python floats, against autograd, and its use of memory."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from supertiny.distill.config import KINDS
from supertiny.distill.divergence import SMALLEST_REST, Divergence
from supertiny.distill.loss import Signal, divergence_sum, token_stats

V = 12
DIVERGENCES = [Divergence(loss=kind, mu=mu, alpha=0.3) for kind in KINDS for mu in (0.5, 0.9, 1.0)]
choices = st.sampled_from(DIVERGENCES)
seeds = st.integers(0, 10_000)


def softmax(row):
    highest = max(row)
    total = sum(math.exp(x - highest) for x in row)
    return [math.exp(x - highest) / total for x in row]


def oracle_alpha(p, q, divergence, last_is_rest):
    if divergence.loss != "akl" or divergence.mu >= 1:
        return {"rkl": 0.0, "fixed": divergence.alpha}.get(divergence.loss, 1.0)
    head, mass = set(), 0.0
    for index in sorted(range(len(p) - last_is_rest), key=lambda index: -p[index]):
        if mass >= divergence.mu - 1e-6:
            break
        head.add(index)
        mass += p[index]
    in_head = sum(abs(p[i] - q[i]) for i in head)
    total = sum(abs(a - b) for a, b in zip(p, q, strict=True))
    return in_head / total if total else 0.5


def oracle(p, q, divergence, last_is_rest=False):
    """One token, in Python floats."""
    alpha = oracle_alpha(p, q, divergence, last_is_rest)
    forward = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
    reverse = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True) if b > 0)
    return alpha * forward + (1 - alpha) * reverse


def oracle_truncated(teacher, student, kept, divergence):
    p, q = softmax(teacher), softmax(student)
    p, q = ([*(row[i] for i in kept), sum(x for i, x in enumerate(row) if i not in kept)] for row in (p, q))
    return oracle(p, q, divergence, last_is_rest=True)


def draw(seed, rows=5, scale=3.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return tuple(scale * torch.randn(rows, V, generator=generator, dtype=dtype) for _ in range(2))


def truncated(teacher_NV, counts, width=None):
    """The likeliest `counts[n]` ids of each row, padded."""
    width = width or max(counts)
    log_p_NV = teacher_NV.log_softmax(-1)
    ids = log_p_NV.argsort(-1, descending=True)[:, :width].clone()
    log_p = log_p_NV.gather(-1, ids)
    for row, count in enumerate(counts):
        ids[row, count:], log_p[row, count:] = -1, -math.inf
    return Signal(log_p_NK=log_p, ids_NK=ids)


def gradient(student_NV, signal, divergence, chunk_rows=2, factor=1.0):
    leaf = student_NV.clone().requires_grad_()
    value = divergence_sum(leaf * 1.0, signal, divergence, chunk_rows)
    (value * factor).backward()
    return value.item(), leaf.grad


def summed(student_NV, signal, divergence):
    """The same value, token by token."""
    return token_stats(student_NV, signal, divergence, 2).divergence_nats.sum().item()


@given(seeds, choices)
def test_dense_equals_the_naive_oracle(seed, divergence):
    teacher, student = draw(seed)
    expected = sum(
        oracle(softmax(t), softmax(s), divergence) for t, s in zip(teacher.tolist(), student.tolist(), strict=True)
    )
    signal = Signal(log_p_NK=teacher.log_softmax(-1))
    found = gradient(student, signal, divergence)[0]
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert summed(student, signal, divergence) == pytest.approx(found, rel=1e-6)


@given(seeds, choices, st.lists(st.integers(1, V - 1), min_size=5, max_size=5))
def test_truncated_equals_the_naive_oracle(seed, divergence, counts):
    teacher, student = draw(seed, dtype=torch.float64)
    signal = truncated(teacher, counts, width=V)
    assume(signal.missing().min() > SMALLEST_REST)  # a smaller rest counts as so much
    expected = 0.0
    for row, count in enumerate(counts):
        kept = signal.ids_NK[row, :count].tolist()
        expected += oracle_truncated(teacher[row].tolist(), student[row].tolist(), kept, divergence)
    found, _ = gradient(student, signal, divergence)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


@given(seeds, choices, st.integers(1, 4))
def test_fp32_differs_from_fp64_by_its_rounding_alone(seed, divergence, count):
    """Where the rest bucket is well above what 1 - sum p loses in fp32, 1e-7."""
    teacher, student = draw(seed, scale=2.0, dtype=torch.float64)
    signal = truncated(teacher, [count] * 5)
    assume(signal.missing().min() > 1e-3)
    exact = gradient(student, signal, divergence)
    found = gradient(student.float(), Signal(signal.log_p_NK.float(), signal.ids_NK), divergence)
    assert found[0] == pytest.approx(exact[0], rel=1e-4)
    torch.testing.assert_close(found[1], exact[1].float(), atol=1e-4, rtol=1e-3)


def autograd_gradient(student_NV, signal, divergence):
    """The plain formula under torch's autograd; alpha by the Python oracle, a constant."""
    leaf = student_NV.clone().requires_grad_()
    total = 0.0
    for row, logits in enumerate(leaf):
        q, p = logits.softmax(-1), signal.log_p_NK[row].exp()
        if signal.ids_NK is not None:
            kept = signal.ids_NK[row][signal.ids_NK[row] >= 0]
            others = torch.ones(V, dtype=torch.bool)
            others[kept] = False
            p = torch.cat([p[: len(kept)], 1 - p[: len(kept)].sum()[None]])
            q = torch.cat([q[kept], q[others].sum()[None]])
        alpha = oracle_alpha(p.tolist(), q.tolist(), divergence, signal.ids_NK is not None)
        total = total + alpha * (p * (p / q).log()).sum() + (1 - alpha) * (q * (q / p).log()).sum()
    total.backward()
    return leaf.grad


@given(seeds, choices, st.none() | st.lists(st.integers(1, V - 1), min_size=5, max_size=5), st.sampled_from([1, 2, 9]))
def test_the_gradient_is_that_of_the_plain_formula(seed, divergence, counts, chunk_rows):
    teacher, student = draw(seed, dtype=torch.float64)
    signal = truncated(teacher, counts) if counts else Signal(log_p_NK=teacher.log_softmax(-1))
    _, found = gradient(student, signal, divergence, chunk_rows, factor=0.25)
    expected = autograd_gradient(student, signal, divergence) / 4
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("counts", [None, [3, 1, 4, 2, 5]])
@pytest.mark.parametrize("kind", ["fkl", "rkl", "fixed"])
def test_the_gradient_is_the_limit_of_differences(kind, counts):
    """Not for akl: its alpha changes with the student, and no gradient may flow there."""
    teacher, student = draw(3, dtype=torch.float64)
    signal = truncated(teacher, counts) if counts else Signal(log_p_NK=teacher.log_softmax(-1))
    divergence = Divergence(loss=kind, mu=0.5, alpha=0.3)
    _, found = gradient(student, signal, divergence)
    moves = 1e-5 * torch.eye(student.numel(), dtype=torch.float64).view(-1, *student.shape)
    values = [[summed(student + side * move, signal, divergence) for side in (1, -1)] for move in moves]
    limit = [(above - below) / 2e-5 for above, below in values]
    torch.testing.assert_close(found.flatten(), torch.tensor(limit, dtype=torch.float64), atol=1e-7, rtol=1e-6)


@given(seeds, choices)
def test_all_ids_kept_is_the_dense_loss(seed, divergence):
    """K = V: the rest bucket holds nothing in p and q, and weighs nothing."""
    teacher, student = draw(seed)
    dense = gradient(student, Signal(log_p_NK=teacher.log_softmax(-1)), divergence)
    kept = gradient(student, truncated(teacher, [V] * 5), divergence)
    assert kept[0] == pytest.approx(dense[0], rel=1e-4, abs=1e-5)
    torch.testing.assert_close(kept[1], dense[1], atol=1e-5, rtol=1e-4)


@given(seeds, st.integers(1, V))
def test_truncation_never_raises_a_kl(seed, count):
    """Joining categories loses what tells p from q: both KLs are lower bounds."""
    teacher, student = draw(seed, dtype=torch.float64)
    for kind in ("fkl", "rkl"):
        divergence = Divergence(loss=kind, mu=0.5, alpha=0.3)
        whole = summed(student, Signal(log_p_NK=teacher.log_softmax(-1)), divergence)
        part = summed(student, truncated(teacher, [count] * 5), divergence)
        assert part <= whole + 1e-5


@given(seeds, choices, st.none() | st.integers(1, V), st.floats(0.1, 30))
def test_a_student_equal_to_its_teacher_has_no_loss_and_no_gradient(seed, divergence, count, scale):
    """At scale 30 the rest bucket is beyond fp32; what is lost there weighs 1e-5 a token at most."""
    teacher, _ = draw(seed, scale=scale)
    signal = truncated(teacher, [count] * 5) if count else Signal(log_p_NK=teacher.log_softmax(-1))
    value, found = gradient(teacher, signal, divergence)
    assert abs(value) < 5e-5
    assert found.isfinite().all() and found.abs().max() < 1e-5


@given(seeds, choices)
def test_an_extreme_student_has_a_finite_gradient(seed, divergence):
    """Probabilities below the smallest fp32 number, on both sides, in and outside the rest bucket."""
    teacher, student = draw(seed, scale=100.0)
    for signal in (Signal(log_p_NK=teacher.log_softmax(-1)), truncated(teacher, [1, 2, 3, 4, 5])):
        value, found = gradient(student, signal, divergence)
        assert math.isfinite(value) and found.isfinite().all()


@given(seeds, choices, st.none() | st.integers(1, V))
def test_a_gradient_moves_no_mass_in_all(seed, divergence, count):
    """A softmax does not see a shift of its logits, even where the student leaves the rest bucket e^-60."""
    teacher, student = draw(seed, scale=10.0)
    signal = truncated(teacher, [count] * 5) if count else Signal(log_p_NK=teacher.log_softmax(-1))
    _, found = gradient(student, signal, divergence)
    torch.testing.assert_close(found.sum(-1), torch.zeros(5), atol=1e-4, rtol=0)


def test_a_rest_of_a_millionth_is_not_lost_in_rounding():
    """p_rest = 1e-6, q_rest = 1e-2: reverse KL of the rest alone is .01 ln 10^4 = .0921."""
    p, q = (1 - 1e-6, 1e-6), (0.99, 0.01)
    signal = Signal(torch.tensor([[p[0]]], dtype=torch.float64).log().float(), torch.tensor([[0]]))
    student = torch.tensor([[q[0], q[1] / 2, q[1] / 2]]).log()
    expected = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    found = summed(student, signal, Divergence(loss="rkl", mu=0.5, alpha=0.5))
    assert found == pytest.approx(expected, rel=1e-3)


@given(seeds, choices, st.integers(1, 4))
def test_padding_weighs_nothing(seed, divergence, more):
    teacher, student = draw(seed)
    counts = [3, 1, 4, 2, 5]
    short, long = truncated(teacher, counts), truncated(teacher, counts, width=5 + more)
    one, other = gradient(student, short, divergence), gradient(student, long, divergence)
    assert one[0] == pytest.approx(other[0], rel=1e-6)
    torch.testing.assert_close(one[1], other[1])


@given(seeds, choices)
def test_a_token_that_the_student_cannot_write_joins_the_rest(seed, divergence):
    """Its id is -1 with its log-probability still there: the same as a signal without it, but for the teacher's top-1.

    Even where it is token 0, which padding must not touch.
    """
    teacher, student = draw(seed)
    unable = truncated(teacher, [4] * 5)
    unable.ids_NK[:, 0] = -1
    without = Signal(unable.log_p_NK[:, 1:], unable.ids_NK[:, 1:])
    one, other = gradient(student, unable, divergence), gradient(student, without, divergence)
    assert one[0] == pytest.approx(other[0], rel=1e-5, abs=1e-6)
    torch.testing.assert_close(one[1], other[1])
    stats = token_stats(student, unable, divergence, 2)
    torch.testing.assert_close(stats.p_top1, teacher.softmax(-1).amax(-1))
    assert (stats.missing_mass >= stats.p_top1 - 1e-6).all()


def test_nothing_kept_at_all_is_no_loss():
    """One category on both sides: q = p = 1."""
    signal = Signal(torch.full((2, 3), -math.inf), torch.full((2, 3), -1))
    value, found = gradient(torch.randn(2, V), signal, DIVERGENCES[0])
    assert abs(value) < 1e-6 and found.abs().max() < 1e-6


@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("counts", [None, [3, 1, 4, 2, 5]])
def test_temperature_divides_both_and_the_gradient_follows(temperature, counts):
    teacher, student = draw(1, dtype=torch.float64)
    plain = truncated(teacher, counts) if counts else Signal(log_p_NK=teacher.log_softmax(-1))
    warm = Signal(plain.log_p_NK, plain.ids_NK, temperature)
    divergence = Divergence(loss="akl", mu=0.5, alpha=0.5)
    one, other = gradient(student / temperature, plain, divergence), gradient(student, warm, divergence)
    assert one[0] == pytest.approx(other[0])
    torch.testing.assert_close(one[1] / temperature, other[1])


def test_bfloat16_logits_keep_the_loss_in_fp32():
    teacher, student = draw(2, rows=7)
    half = student.bfloat16()
    signal, divergence = truncated(teacher, [5] * 7), Divergence(loss="akl", mu=0.7, alpha=0.5)
    value, found = gradient(half, signal, divergence)
    expected, exact = gradient(half.float(), signal, divergence)
    assert value == pytest.approx(expected, rel=1e-6) and found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize("counts", [None, [3, 1, 4, 2, 5]])
def test_rows_of_a_padded_vocabulary_are_no_part_of_the_softmax(counts):
    """Whatever they say; they get no gradient."""
    teacher, student = draw(6)
    signal = truncated(teacher, counts) if counts else Signal(log_p_NK=teacher.log_softmax(-1))
    padded = torch.cat([student, 9 * torch.randn(5, 4)], -1).requires_grad_()
    value = divergence_sum(padded * 1.0, signal, DIVERGENCES[0], 2, vocabulary_size=V)
    value.backward()
    expected, found = gradient(student, signal, DIVERGENCES[0])
    assert value.item() == expected
    torch.testing.assert_close(padded.grad, torch.cat([found, torch.zeros(5, 4)], -1))


def test_looking_leaves_the_logits_as_they_are():
    teacher, student = draw(4)
    kept = student.clone()
    for signal in (Signal(log_p_NK=teacher.log_softmax(-1)), truncated(teacher, [3] * 5)):
        token_stats(student.requires_grad_(), signal, DIVERGENCES[0], 2)
        assert torch.equal(student, kept)


def test_a_stored_rest_counts_whatever_the_rounded_others_leave():
    """Three ids whose rounded probabilities sum to more than one, and a rest of 1e-3 that is stored beside them."""
    kept = Signal(torch.tensor([[0.4, 0.35, 0.2505]]).log(), torch.tensor([[0, 1, 2]]), rest_N=torch.tensor([1e-3]))
    assert kept.missing().item() == pytest.approx(1e-3)
    assert kept.rows(slice(0, 1)).missing().item() == kept.to(torch.device("cpu")).missing().item()
    unable = Signal(kept.log_p_NK, torch.tensor([[0, 1, -1]]), rest_N=kept.rest_N)
    assert unable.missing().item() == pytest.approx(0.2515)
    student = torch.tensor([[0.4, 0.35, 0.24, 0.01]]).log()
    expected = 0.01 * math.log(10) + 0.24 * math.log(0.24 / 0.2505)
    assert summed(student, kept, Divergence(loss="rkl", mu=0.5, alpha=0.5)) == pytest.approx(expected, rel=1e-4)


def test_whoever_else_needs_the_logits_gets_an_error_not_a_wrong_gradient():
    teacher, student = draw(5)
    signal = Signal(log_p_NK=teacher.log_softmax(-1))
    saved = student.requires_grad_().exp()  # exp keeps its output for its own backward
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        divergence_sum(saved, signal, DIVERGENCES[0], 2).backward()
    twice = divergence_sum(student * 1.0, signal, DIVERGENCES[0], 2)
    twice.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        twice.backward()


def test_no_tokens_no_loss():
    for signal in (Signal(torch.zeros(0, V)), Signal(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long))):
        value, found = gradient(torch.zeros(0, V), signal, DIVERGENCES[0])
        assert value == 0 and found.shape == (0, V)
        assert token_stats(torch.zeros(0, V), signal, DIVERGENCES[0], 2).alpha.shape == (0,)


def test_stats_worked_by_hand():
    """The pair worked by hand; then its likeliest two tokens kept: the rest is .3 to .7, still .5."""
    p, q = torch.tensor([[0.1, 0.2, 0.3, 0.4]]), torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    divergence = Divergence(loss="akl", mu=0.7, alpha=0.5)
    dense = token_stats(q.log(), Signal(p.log()), divergence, 1)
    found = [dense.alpha, dense.p_top1, dense.missing_mass, dense.divergence_nats]
    kl = sum(a * math.log(a / b) for a, b in zip(p[0].tolist(), q[0].tolist(), strict=True))
    assert [one.item() for one in found] == pytest.approx([0.5, 0.4, 0.0, kl], abs=1e-6)
    kept = token_stats(q.log(), Signal(p.log()[:, 2:], torch.tensor([[2, 3]])), divergence, 1)
    assert kept.missing_mass.item() == pytest.approx(0.3) and kept.alpha.item() == pytest.approx(0.5)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="ids are"):
        Signal(torch.zeros(2, 3), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="logits are"):
        divergence_sum(torch.zeros(3, V), Signal(torch.zeros(2, V)), DIVERGENCES[0], 2)
    with pytest.raises(ValueError, match="logits are"):
        divergence_sum(torch.zeros(2, V), Signal(torch.zeros(2, V - 1)), DIVERGENCES[0], 2)


class Allocations(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation put into storage of its own."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        held = {id(x.untyped_storage()._cdata) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        pointers = {x.data_ptr() for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)}
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor) and one.untyped_storage().data_ptr() not in pointers | held:
                self.largest = max(self.largest, one.numel())
        return out


@settings(max_examples=8)
@given(choices, st.booleans(), st.sampled_from([torch.float32, torch.bfloat16]), st.sampled_from([500, 504]))
def test_no_second_copy_of_the_logits_lives_in_memory(divergence, dense, dtype, head_rows):
    """64 rows of 500 ids in chunks of 4, with or without padding: nothing above 4 x 500 elements is ever allocated."""
    teacher = torch.randn(64, 500)
    log_p = teacher.log_softmax(-1)
    top = log_p.topk(10)
    signal = Signal(log_p) if dense else Signal(top.values, top.indices)
    logits = torch.randn(64, head_rows).to(dtype).requires_grad_() * 1
    with Allocations() as seen:
        value = divergence_sum(logits, signal, divergence, chunk_rows=4, vocabulary_size=500)
    assert 0 < seen.largest <= 4 * 500
    with Allocations() as seen:
        (found,) = torch.autograd.grad(value, logits, torch.tensor(0.5))
    assert found.data_ptr() == logits.data_ptr() and seen.largest <= 4 * 500
    if not dense:
        with Allocations() as seen, torch.no_grad():
            token_stats(logits[:, :500], signal, divergence, chunk_rows=4)
        assert 0 < seen.largest <= 4 * 500
