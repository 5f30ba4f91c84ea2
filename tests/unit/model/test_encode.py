"""Sentence embeddings: what is padded, batched or asked twice changes nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.errors import UserError
from supertiny.model import encoder as module
from supertiny.model.encoder import Encoder, mean_pooled, tokens

TEXTS = ["turn on the light", "lock", "what is the temperature of the greenhouse at night", "off", "play some music"]


@pytest.fixture(scope="module")
def encoder(tiny_folder):
    return Encoder(tiny_folder, "float32")


def test_mean_pooling_by_hand():
    """(1, 2) and (3, 6) have the mean (2, 4); the padded (9, 9) is nobody's. One token alone is its own mean."""
    hidden = torch.tensor([[[1.0, 2], [3, 6], [9, 9]], [[5, 7], [9, 9], [9, 9]]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert mean_pooled(hidden, mask).tolist() == [[2, 4], [5, 7]]


@given(st.integers(0, 5), st.floats(-1e6, 1e6))
def test_mean_pooling_never_reads_padding(size, junk):
    torch.manual_seed(size)
    hidden = torch.randn(1, 3, 4)
    padded = torch.cat([hidden, torch.full((1, size, 4), junk)], dim=1)
    mask = torch.tensor([[1] * 3 + [0] * size])
    torch.testing.assert_close(mean_pooled(padded, mask), hidden.mean(1))


def test_vectors_are_normalised_means_of_the_last_hidden_states(encoder):
    """The oracle: one text at a time, no padding."""
    for text, vector in zip(TEXTS, encoder.embed(TEXTS), strict=True):
        ids = encoder.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            mean = encoder.model(ids).last_hidden_state[0].mean(0).numpy()
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_order_batches_and_repetition_do_not_matter(encoder, monkeypatch):
    vectors = encoder.embed(TEXTS)
    assert vectors.shape == (5, 32) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(encoder.embed(TEXTS[::-1]), vectors[::-1])
    monkeypatch.setattr(module, "BATCH", 2)
    np.testing.assert_allclose(encoder.embed(TEXTS), vectors, atol=1e-5)
    twice = encoder.embed([TEXTS[1], TEXTS[0], TEXTS[1]])
    np.testing.assert_array_equal(twice[0], twice[2])


def test_equal_texts_are_embedded_once(encoder, monkeypatch):
    asked = []
    embed = Encoder._embed
    monkeypatch.setattr(Encoder, "_embed", lambda self, texts: asked.extend(texts) or embed(self, texts))
    encoder.embed(["a", "b", "a", "a"])
    assert sorted(asked) == ["a", "b"]


def test_no_texts_are_no_vectors_of_the_same_kind(encoder):
    none = encoder.embed([])
    assert none.shape == (0, 32) and none.dtype == np.float32


def test_long_texts_are_cut(encoder):
    ids, mask = tokens(encoder.tokenizer, ["ab", "abcdef"], max_tokens=4)
    assert ids.shape == (2, 4) and mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_a_folder_without_encoder_is_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)):
        Encoder(tmp_path)
