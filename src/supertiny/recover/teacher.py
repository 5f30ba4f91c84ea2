"""A teacher that is asked while its student learns: its whole distribution over the student's tokens.

A trimmed student cannot write all tokens of its teacher. Their rows of the teacher's head are cut before the softmax,
as padded rows are: both models then choose among the same tokens, so nothing is truncated, there is no rest bucket,
and a student that differs from its teacher in its vocabulary alone has nothing to learn.

Shapes: N response tokens, S ids of the student, D width of the teacher.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.distill.lessons import Lesson, TaughtBatch
from supertiny.distill.signal import Signal
from supertiny.model import attention, checkpoint
from supertiny.model.batches import Batch, Branch, collate
from supertiny.model.fit import ResponseLogits
from supertiny.model.hardware import compute_dtype, device
from supertiny.model.vocab import Vocabulary, align, vocabulary


class OnlineTeacher:
    """The teacher of one student, in the student's ids."""

    def __init__(self, folder: Path, student: Vocabulary, precision: str) -> None:
        self.folder, self.precision = folder, precision
        self.tokenizer = checkpoint.load_tokenizer(folder)
        self.to_teacher_S = align(student, vocabulary(folder)).to_teacher
        if (unknown := int((self.to_teacher_S < 0).sum())) > 0:
            raise UserError(f"{folder}: the student has {unknown} tokens that this teacher has not; take a whole one")

    def batch(self, lesson: Lesson, pad_id: int) -> TaughtBatch:
        """The lesson as tensors, its signal dense; one forward pass of the teacher, without gradient."""
        plain = collate(lesson.packs, pad_id)
        tensors = {name: getattr(plain, name) for name in Batch.__slots__}
        return TaughtBatch(**tensors, signal=Signal(self._log_probs(plain)), mu=lesson.mu)

    def spelt_alike(self, branches: Sequence[Branch], asked: Sequence[Branch]) -> list[Branch]:
        """Those of the student's rows that are the teacher's tokens too; `asked` are the same rows in its own ids.

        A student without a word's token spells it in others, as its teacher never saw it: there is no right answer.
        """
        pairs = zip(branches, asked, strict=True)
        return [own for own, its in pairs if Branch(self._ids(own.prompt), self._ids(own.response)) == its]

    @torch.no_grad()
    def _log_probs(self, plain: Batch) -> Tensor:
        """[N, S] at the student's batch, in fp32 from the head on: bfloat16 would round logits of 20 to .06."""
        asked = replace(plain, ids=self.to_teacher_S[plain.ids]).to(self._model.device)
        return (ResponseLogits(self._model).hidden(asked).float() @ self._head.T).log_softmax(-1)

    @cached_property
    def _model(self) -> PreTrainedModel:
        """Loaded when it is first asked: each process of a training has its own GPU by then."""
        dtype, where = compute_dtype(self.precision), device()
        model = checkpoint.load_model(self.folder, dtype).to(where)
        attention.use_fastest(model, dtype, where)
        return model

    @cached_property
    def _head(self) -> Tensor:
        weight = self._model.get_output_embeddings().weight
        return weight.detach()[self.to_teacher_S.to(weight.device)].float()

    def _ids(self, own: list[int]) -> list[int]:
        return self.to_teacher_S[own].tolist()
