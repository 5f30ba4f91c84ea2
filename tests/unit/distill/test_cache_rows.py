"""What is kept of a distribution, by hand, and that its bytes give it back."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.errors import UserError
from supertiny.distill.config import LogitsConfig
from supertiny.distill.rows import (
    RowFormat,
    Rows,
    decode,
    encode,
    from_bits,
    reconciled,
    sorted_from_bits,
    sorted_to_bits,
    to_bits,
)
from supertiny.distill.store import nucleus, real_log_probs

P = [0.02, 0.4, 0.1, 0.3, 0.18]


def config(**changed):
    return LogitsConfig(**{"top_k": 100, "top_p": 0.75, "min_k": 1, "temperature": 1.0, **changed})


def kept(p, **changed):
    rows = nucleus(torch.tensor([p], dtype=torch.float32).log(), config(**changed))
    return rows.ids.tolist(), rows.missing.item()


def a_log_prob(largest=0.0):
    return st.floats(-65504, largest, width=16)


@st.composite
def rows_of(draw):
    """Rows of any vocabulary up to 2**18, with any counts that fit it, and their format."""
    size = draw(st.integers(2, 2**18))
    most = draw(st.integers(1, min(size, 100)))
    fewest = draw(st.integers(1, most))
    counts = draw(st.lists(st.integers(fewest, most), max_size=6))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    log_probs = [np.sort(seed.uniform(0, draw(st.sampled_from([1e-6, 1, 12, 65504])), num)) for num in counts]
    return RowFormat(size, fewest, most), Rows(
        np.concatenate([seed.choice(size, num, replace=False) for num in counts] or [[]]).astype(np.int32),
        -np.concatenate(log_probs or [[]]).astype(np.float16),
        np.array(counts, dtype=np.int64),
        np.array(draw(st.lists(a_log_prob(), min_size=len(counts), max_size=len(counts))), dtype=np.float16),
    )


@given(rows_of())
def test_bytes_give_the_rows_back(case):
    form, rows = case
    back = decode(encode(rows, form), len(rows.counts), form)
    for name in Rows.__slots__:
        assert np.array_equal(getattr(rows, name), getattr(back, name)), name
        assert getattr(rows, name).dtype == getattr(back, name).dtype


@given(rows_of())
def test_a_row_takes_at_most_its_bits(case):
    """Count, 15 bits of rest, ids at ceil(log2 V), and Elias-Fano: 3 bits a value beside log2(2**15 / n)."""
    form, rows = case
    logs = sum(n * (3 + math.log2(2**15 / n)) for n in rows.counts)
    fixed = len(rows.counts) * (form.count_bits + 15) + len(rows.ids) * math.ceil(math.log2(form.vocabulary_size))
    assert 8 * len(encode(rows, form)) <= fixed + logs + 7


@given(st.lists(st.integers(0, 32), max_size=40), st.integers(0, 2**32 - 1))
def test_integers_come_back_at_any_width(widths, value):
    widths = np.array(widths, dtype=np.int64)
    values = value % (1 << widths)
    bits = to_bits(values, widths)
    assert len(bits) == widths.sum()
    assert from_bits(bits, widths).tolist() == values.tolist()


def test_sorted_integers_by_hand():
    """(3, 9, 9, 14) below 16: split at floor(log2(16 / 4)) = 2 low bits 11 01 01 10; high 0, 2, 2, 3 in unary steps."""
    bits = sorted_to_bits(np.array([3, 9, 9, 14]), np.array([4]), 4)
    assert "".join(map(str, bits)) == "11010110" + "1" + "001" + "1" + "01"
    assert sorted_from_bits(bits, np.array([4]), 4).tolist() == [3, 9, 9, 14]


@pytest.mark.parametrize(
    ("changed", "ids", "missing"),
    [
        ({"top_p": 0.39}, [1], 0.6),
        ({"top_p": 0.41}, [1, 3], 0.3),
        ({"top_p": 0.75}, [1, 3, 4], 0.12),
        ({"top_p": 0.999}, [1, 3, 4, 2, 0], 0.0),
        ({"top_p": 1.0}, [1, 3, 4, 2, 0], 0.0),
        ({"top_p": 0.1, "min_k": 4}, [1, 3, 4, 2], 0.02),
        ({"top_p": 0.9, "top_k": 2}, [1, 3], 0.3),
        ({"min_k": 50}, [1, 3, 4, 2, 0], 0.0),
    ],
)
def test_the_nucleus_by_hand(changed, ids, missing):
    """p = (.02, .4, .1, .3, .18): ids by probability 1, 3, 4, 2, 0 with mass .4, .7, .88, .98, 1."""
    found, rest = kept(P, **changed)
    assert found == ids
    assert rest == pytest.approx(missing, rel=1e-3, abs=1e-6)


@given(st.integers(1, 200), st.integers(1, 40), st.floats(0.05, 1), st.integers(0, 1000), st.floats(0.1, 12))
def test_the_nucleus_is_the_smallest_that_reaches_its_mass(size, top_k, top_p, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    log_probs = real_log_probs(torch.randn(3, size, generator=generator) * scale, size, 1.0)
    rows = nucleus(log_probs, config(top_k=top_k, top_p=top_p, min_k=min(3, top_k)))
    ends = np.cumsum(rows.counts)
    for token, (start, end) in enumerate(zip(ends - rows.counts, ends, strict=True)):
        p = log_probs[token].double().exp()
        ids = rows.ids[start:end].tolist()
        assert sorted(p.tolist())[-len(ids) :] == sorted(p[ids].tolist())
        assert min(3, top_k, size) <= len(ids) <= min(top_k, size)
        if top_p == 1:  # a rounded sum may get there before its last id, or never: all are kept
            assert len(ids) == min(top_k, size)
        elif len(ids) > 3:
            assert p[ids[:-1]].sum() < top_p
        if len(ids) < min(top_k, size):
            assert p[ids].sum() >= top_p - 1e-6
        others = [index for index in range(size) if index not in ids]
        assert rows.missing[token] == pytest.approx(p[others].sum().item(), rel=0.02, abs=1e-6)


def test_the_rest_is_what_the_kept_ones_leave_though_fp16_rounds_them():
    """(.97, .0299, .0001 - 1e-6, 1e-6): fp16's log of .0299 is off by up to 1e-3 of it, thirty times the rest."""
    p = torch.tensor([[0.97, 0.0299, 0.0001 - 1e-6, 1e-6]], dtype=torch.float64)
    rows = nucleus(p.log().float(), config(top_k=3, top_p=1.0))
    assert abs(1 - np.exp(rows.log_probs.astype(np.float64)).sum() - 1e-6) > 1e-6
    left = 1 - np.exp(reconciled(rows).log_probs.astype(np.float64)).sum()
    assert left == pytest.approx(1e-6, rel=0.02)
    assert np.exp(reconciled(rows).log_probs) == pytest.approx(p[0, :3].numpy(), rel=4e-3)


def test_rows_without_a_majority_are_read_as_stored():
    rows = nucleus(torch.tensor([P]).log(), config(top_k=2))
    assert np.array_equal(reconciled(rows).log_probs, rows.log_probs.astype(np.float32))


def test_padded_vocabulary_rows_are_cut_before_the_softmax():
    """Logits (0, 0, 9): the third is padding, so each real token has probability 1/2; temperature 2 of (2 ln 3, 0)."""
    assert real_log_probs(torch.tensor([[0.0, 0.0, 9.0]]), 2, 1.0).exp().tolist() == [[0.5, 0.5]]
    tempered = real_log_probs(torch.tensor([[2 * math.log(3), 0.0]], dtype=torch.bfloat16), 2, 2.0).exp()
    assert tempered[0].tolist() == pytest.approx([0.75, 0.25], abs=2e-3)
    with pytest.raises(UserError, match="scores 3 tokens, its tokenizer has 4"):
        real_log_probs(torch.zeros(1, 3), 4, 1.0)


def test_ids_that_cannot_come_are_kept_as_all_but_impossible():
    rows = nucleus(real_log_probs(torch.tensor([[0.0, -torch.inf, -torch.inf]]), 3, 1.0), config(min_k=2))
    assert rows.log_probs.tolist() == [0.0, -65504.0]
    assert rows.log_rest.tolist() == [-65504.0] and rows.missing.tolist() == [0.0]


def test_a_teacher_that_diverged_is_an_error():
    with pytest.raises(UserError, match="not numbers"):
        nucleus(torch.tensor([[0.0, torch.nan]]), config())


@pytest.mark.parametrize(
    "wrong",
    [
        {"ids": [1, 8]},
        {"ids": [-1, 2]},
        {"ids": [1]},
        {"log_probs": [-1.0, -0.5]},
        {"log_probs": [0.1, -1.0]},
        {"log_probs": [math.nan, -1.0]},
        {"counts": [3]},
        {"counts": [0]},
        {"counts": [1, 1]},
        {"log_rest": [0.5]},
    ],
    ids=str,
)
def test_rows_that_do_not_fit_are_refused(wrong):
    sound = {"ids": [1, 2], "log_probs": [-0.5, -1.0], "counts": [2], "log_rest": [-3.0]}
    form = RowFormat(8, 1, 2)
    assert encode(Rows(**{name: np.array(value) for name, value in sound.items()}), form)
    with pytest.raises(ValueError, match="do not fit"):
        encode(Rows(**{name: np.array(value) for name, value in {**sound, **wrong}.items()}), form)


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"top_k": 0}, "top_k"), ({"top_p": 0.0}, "top_p"), ({"min_k": 101}, "min_k"), ({"temperature": 0.0}, "temp")],
)
def test_settings_out_of_range_are_named(changed, named):
    with pytest.raises(UserError, match=named):
        config(**changed)
