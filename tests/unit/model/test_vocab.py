"""Matching ids of a student and its teacher through the tokenizer both come from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.errors import UserError
from supertiny.model.checkpoint import load_config, load_model, load_tokenizer, save, tokenizer_identity
from supertiny.model.vocab import Vocabulary, align, full_ids, record_trimmed, vocabulary, vocabulary_of

FULL = "f" * 64
PARTS = st.lists(st.integers(0, 30), unique=True, min_size=1).map(lambda ids: Vocabulary(FULL, sorted(ids)))


@given(PARTS, PARTS)
def test_both_ways_name_the_same_token_or_none(student, teacher):
    found = align(student, teacher)
    for own, there in enumerate(found.to_teacher.tolist()):
        full = student.ids[own]
        if there >= 0:
            assert teacher.ids[there] == full
            assert found.to_student[there] == own
        else:
            assert full not in teacher.ids
    assert (found.to_student >= 0).sum() == (found.to_teacher >= 0).sum()
    assert (len(found.to_teacher), len(found.to_student)) == (len(student.ids), len(teacher.ids))


def test_padded_rows_of_a_family_stay_outside():
    """Qwen2.5: 151,665 real ids under 151,936 rows in one size and 152,064 in another: the real ones are the same."""
    small, large = Vocabulary(FULL, range(151_665)), Vocabulary(FULL, range(151_665))
    found = align(small, large)
    assert found.to_teacher.tolist() == found.to_student.tolist() == list(range(151_665))


def test_a_model_with_padded_rows_has_the_ids_of_its_tokenizer(tiny, tokenizer, tmp_path):
    """257 tokens; rows up to 320 are padding."""
    tiny.resize_token_embeddings(320)
    save(tiny, tokenizer, tmp_path / "padded")
    assert load_config(tmp_path / "padded").vocab_size == 320
    found = vocabulary(tmp_path / "padded")
    assert (found.tokenizer_sha256, list(found.ids)) == (tokenizer_identity(tokenizer), list(range(257)))


def test_models_of_different_tokenizers_are_refused_and_both_named():
    with pytest.raises(UserError) as error:
        align(Vocabulary("a" * 64, range(4)), Vocabulary("b" * 64, range(4)))
    assert "a" * 64 in str(error.value) and "b" * 64 in str(error.value)


def test_an_untrimmed_folder_has_no_record(tiny_folder):
    assert full_ids(tiny_folder) is None


def test_the_record_is_read_from_the_folder(tiny, tokenizer, tmp_path):
    """Of ten tokens the 2nd, 4th and 9th, then of those the 1st and 3rd."""
    record_trimmed(tiny.config, Vocabulary(FULL, range(10)), [1, 3, 8])
    save(tiny, tokenizer, tmp_path / "once")
    assert full_ids(tmp_path / "once") == [1, 3, 8]
    record_trimmed(tiny.config, Vocabulary(FULL, [1, 3, 8]), [0, 2])
    save(tiny, tokenizer, tmp_path / "twice")
    assert full_ids(tmp_path / "twice") == [1, 8]


def test_a_record_that_does_not_fit_its_tokenizer_is_refused(tiny, tokenizer):
    record_trimmed(tiny.config, Vocabulary(FULL, range(10)), [1, 3])
    with pytest.raises(UserError, match="lists 2 tokens, the tokenizer beside it has 257"):
        vocabulary_of(tiny.config, tokenizer)


@pytest.mark.parametrize("record", [[1, 2], {"ids": "1 2"}, {"tokenizer_sha256": FULL, "ids": "1 x"}, "1 2"])
def test_a_broken_record_is_named(tiny_folder, tmp_path, record):
    tiny = load_model(tiny_folder)
    tiny.config.full_vocabulary = record
    save(tiny, load_tokenizer(tiny_folder), tmp_path / "bad")
    with pytest.raises(UserError, match="full_vocabulary cannot be read"):
        full_ids(tmp_path / "bad")
