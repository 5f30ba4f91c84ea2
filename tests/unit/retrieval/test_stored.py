"""The index on disk: it holds what the encoder says, is used instead of it, and never for another encoder."""

import shutil

import numpy as np
import pytest

from supertiny.core.calls import Function
from supertiny.core.errors import UserError
from supertiny.model.encoder import Encoder
from supertiny.retrieval.index import document, embed_with, write_index

FAN = Function("turn_on_fan", "Turns on a fan")


@pytest.fixture
def stored(tmp_path, tiny_folder, pool):
    write_index(tiny_folder, pool.values(), "description", tmp_path / "index.npz")
    return tmp_path / "index.npz"


@pytest.fixture
def asked(monkeypatch):
    """The texts that the encoder itself was asked for."""
    texts, embed = [], Encoder.embed

    def spy(self, given, progress=None):
        texts.extend(given)
        return embed(self, given, progress)

    monkeypatch.setattr(Encoder, "embed", spy)
    return texts


def test_documents_are_looked_up_and_all_else_is_embedded(stored, tiny_folder, pool, asked):
    texts = [document(function, "description") for function in pool.values()]
    embed = embed_with(tiny_folder, stored)
    found = embed(texts[::-1])
    assert not asked
    assert np.array_equal(found, Encoder(tiny_folder).embed(texts)[::-1])
    asked.clear()
    embed([*texts, document(FAN, "description")])
    embed(["too hot"])
    embed([])
    assert asked == [*texts, document(FAN, "description"), "too hot"]


def test_vectors_of_another_encoder_and_of_other_documents_are_not_used(stored, tmp_path, tiny_folder, pool, asked):
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    (other / "note.txt").write_text("not the same folder")
    texts = [document(function, "description") for function in pool.values()]
    embed_with(other, stored)(texts)
    assert asked == texts
    longer = [document(function, "parameters") for function in pool.values()]
    embed_with(tiny_folder, stored)(longer)
    assert asked == texts + longer
    embed_with(tiny_folder, tmp_path / "none.npz")(texts)
    assert asked == texts + longer + texts


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04 no archive either"])
def test_a_broken_file_is_named(tmp_path, tiny_folder, content):
    (tmp_path / "index.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"index\.npz: is no index of function documents .* export it again"):
        embed_with(tiny_folder, tmp_path / "index.npz")
