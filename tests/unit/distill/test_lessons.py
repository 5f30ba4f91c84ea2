"""A student reads its teacher's logits in its own ids, whatever order the batches come in."""

import numpy as np
import pytest
import torch

from supertiny.core.errors import UserError
from supertiny.distill.config import DistillConfig, LogitsConfig
from supertiny.distill.distance import known
from supertiny.distill.rows import Rows
from supertiny.distill.store import CacheReader, CacheWriter, TeacherIdentity, content_key
from supertiny.distill.teacher import Lesson, StoredTeacher, with_mu
from supertiny.model.batches import Branch, Pack
from supertiny.model.vocab import Vocabulary

CONFIG = LogitsConfig(top_k=3, top_p=0.9, min_k=1, temperature=2.0)
FULL = Vocabulary("tokenizer", range(8))
TRIMMED = Vocabulary("tokenizer", [0, 2, 3, 5, 7])
"""the student's ids 0..4 in the teacher's numbers; 1, 4 and 6 are gone"""

# in the student's ids; in the teacher's: prefix 2, prompt 3, response 5 7 / prompt 7, response 0
PACK = Pack([1], (Branch([2], [3, 4]), Branch([4], [0])))


def rows(*tokens):
    """Each token as {teacher id: probability}."""
    ids = [index for token in tokens for index in token]
    kept = np.array([p for token in tokens for p in token.values()])
    rest = np.array([max(1 - sum(token.values()), 0) for token in tokens])
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(rest), -65504).astype(np.float16)
    counts = np.array([len(token) for token in tokens])
    return Rows(np.array(ids, dtype=np.int32), np.log(kept).astype(np.float16), counts, logs)


@pytest.fixture
def cache(tmp_path):
    identity = TeacherIdentity(weights_sha256="w", vocabulary=FULL, padded_size=8)
    with CacheWriter(tmp_path / "logits", identity, CONFIG, 100) as writer:
        writer.add(content_key([2, 3], [5, 7]), rows({5: 0.75, 1: 0.125}, {7: 1.0}))
        writer.add(content_key([2, 7], [0]), rows({0: 0.5, 2: 0.25, 6: 0.125}))
    with CacheReader(tmp_path / "logits") as reader:
        yield reader


def test_the_signal_stands_in_the_order_of_the_targets_and_in_the_students_ids(cache):
    teacher = StoredTeacher(cache, cache.align(TRIMMED))
    batch = teacher.batch(Lesson([PACK], 0.5), pad_id=0)
    assert batch.targets.tolist() == [3, 4, 0]
    assert batch.signal.ids_NK.tolist() == [[3, -1, -1], [4, -1, -1], [0, 1, -1]]
    p_NK = batch.signal.log_p_NK.exp()
    torch.testing.assert_close(p_NK[0, :2], torch.tensor([0.75, 0.125]), atol=1e-3, rtol=0)
    torch.testing.assert_close(p_NK[2], torch.tensor([0.5, 0.25, 0.125]), atol=1e-3, rtol=0)
    # what the student cannot write (teacher's 1 and 6) is missing mass, as is what was never kept
    missing = batch.signal.missing().to(torch.float32)
    torch.testing.assert_close(missing, torch.tensor([0.25, 0.0, 0.25]), atol=2e-3, rtol=0)
    assert batch.signal.temperature == 2.0 and batch.mu == 0.5
    assert batch.to(torch.device("cpu")).signal.ids_NK.tolist() == batch.signal.ids_NK.tolist()


def test_any_order_reads_the_same_rows(cache):
    teacher = StoredTeacher(cache, cache.align(TRIMMED))
    turned = Pack(PACK.prefix, PACK.branches[::-1])
    first, other = teacher.signal([PACK]), teacher.signal([turned])
    assert other.ids_NK[0].tolist() == first.ids_NK[2].tolist()
    assert other.ids_NK[1:].tolist() == first.ids_NK[:2].tolist()


def config(mu_start, mu):
    return DistillConfig(loss="akl", mu=mu, mu_start=mu_start, alpha=0.5, chunk_rows=8)


def test_mu_goes_from_start_to_end_over_the_steps_and_is_one_within_a_step():
    steps = [[[PACK], [PACK]], [[PACK]], [[PACK]]]
    lessons = with_mu(steps, config(mu_start=1.0, mu=0.5))
    assert [[lesson.mu for lesson in step] for step in lessons] == [[1.0, 1.0], [0.75], [0.5]]
    assert {lesson.mu for step in with_mu(steps, config(mu_start=None, mu=0.7)) for lesson in step} == {0.7}


def test_a_prompt_that_the_teacher_was_not_asked_is_left_out_of_the_comparison(cache):
    teacher = StoredTeacher(cache, cache.align(TRIMMED))
    other = Branch([2, 2], [3, 4])
    mixed = Pack(PACK.prefix, (PACK.branches[0], other, PACK.branches[1]))
    assert known(mixed, teacher) == PACK
    assert known(Pack(PACK.prefix, (other,)), teacher).branches == ()


def test_a_token_that_the_teacher_has_not_is_an_error_and_no_comparison(tmp_path):
    """A trimmed teacher, its student with the whole vocabulary."""
    identity = TeacherIdentity(weights_sha256="w", vocabulary=TRIMMED, padded_size=5)
    with CacheWriter(tmp_path / "logits", identity, CONFIG, 100) as writer:
        writer.add(content_key([1], [2]), rows({2: 1.0}))
    with CacheReader(tmp_path / "logits") as reader:
        teacher = StoredTeacher(reader, reader.align(FULL))
        both = Pack([2], (Branch([], [3]), Branch([1], [3])))
        assert known(both, teacher).branches == both.branches[:1]
        with pytest.raises(UserError, match=r"1 of 2 examples have tokens.*its teacher has not"):
            teacher.must_know([both])
