"""The plan of a training on texts: every text once an epoch, never more tokens than fit."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.model.classifier import text_batches, text_steps
from supertiny.model.encoder import Labelled
from supertiny.model.sources import byte_tokenizer

TOKENIZER = byte_tokenizer()
ROWS = st.lists(st.text("ab", min_size=1, max_size=20).map(lambda text: Labelled(text, 0)), min_size=1, max_size=25)


@given(ROWS, st.integers(1, 6), st.integers(1, 60), st.integers(1, 3))
def test_an_epoch_holds_every_text_once_in_steps_of_the_size_asked(rows, texts_a_step, max_tokens, epochs):
    plan = text_steps(rows, TOKENIZER, texts_a_step, max_tokens, epochs, Random(0))
    steps = -(-len(rows) // texts_a_step)
    assert len(plan) == steps * epochs
    for epoch in range(epochs):
        mine = plan[epoch * steps : (epoch + 1) * steps]
        texts = [row.text for step in mine for batch in step for row in batch]
        assert sorted(texts) == sorted(row.text for row in rows)
        assert all(sum(map(len, step)) == texts_a_step for step in mine[:-1])
    assert all(fits(batch, max_tokens) for step in plan for batch in step)


@given(ROWS, st.integers(1, 60))
def test_micro_batches_hold_every_text_within_the_tokens(rows, max_tokens):
    batches = text_batches(rows, TOKENIZER, max_tokens)
    assert sorted(row.text for batch in batches for row in batch) == sorted(row.text for row in rows)
    assert all(fits(batch, max_tokens) for batch in batches)


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 5), (0.04, 1), (1.0, 10), (1.3, 13)])
def test_part_of_an_epoch_holds_as_large_a_part_of_the_texts(epochs, steps):
    rows = [Labelled("a" * size, size) for size in range(1, 11)]
    plan = text_steps(rows, TOKENIZER, 1, 100, epochs, Random(1))
    assert len(plan) == steps
    assert len({row.text for [batch] in plan[10:] or plan for row in batch}) == len(plan[10:] or plan)


def test_no_text_is_no_batch():
    assert text_batches([], TOKENIZER, 9) == []


def test_the_order_is_the_seeds_and_new_every_epoch():
    rows = [Labelled("a" * size, size) for size in range(1, 13)]
    plan = text_steps(rows, TOKENIZER, 3, 100, 2, Random(1))
    assert plan == text_steps(rows, TOKENIZER, 3, 100, 2, Random(1))
    assert plan != text_steps(rows, TOKENIZER, 3, 100, 2, Random(2))
    assert plan[:4] != plan[4:]


def fits(batch, max_tokens):
    """Tokens are bytes, padded to the longest text."""
    return len(batch) * max(len(row.text) for row in batch) <= max_tokens or len(batch) == 1
