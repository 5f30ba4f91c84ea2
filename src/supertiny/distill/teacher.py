"""What a student learns from at one optimizer step: packs, and its teacher's distribution at their response tokens.

Shapes: N response tokens of the batch, K ids of the longest row, P rows of the student's head, padding included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.distill.config import DistillConfig
from supertiny.distill.divergence import Divergence, mu_at
from supertiny.distill.loss import Signal, divergence_sum
from supertiny.distill.store import CacheReader, content_key
from supertiny.model import checkpoint
from supertiny.model.batches import Batch, Branch, Pack, collate
from supertiny.model.hardware import compute_dtype, device
from supertiny.model.train import ResponseLogits
from supertiny.model.vocab import Alignment, Vocabulary, align, vocabulary


@dataclass(frozen=True, slots=True)
class Lesson:
    """One micro-batch before its logits are read."""

    packs: Sequence[Pack]
    mu: float
    """of its optimizer step"""


@dataclass(frozen=True, slots=True)
class TaughtBatch(Batch):
    """A batch whose every target comes with the teacher's distribution."""

    signal: Signal
    """[N, K]"""
    mu: float

    def to(self, device: torch.device) -> "TaughtBatch":
        """The same batch on `device`."""
        moved = {name: getattr(self, name).to(device) for name in (*Batch.__slots__, "signal")}
        return replace(self, **moved)


def with_mu(steps: Sequence[Sequence[Sequence[Pack]]], cfg: DistillConfig) -> list[list[Lesson]]:
    """The whole run, with the head's mass of each step."""
    start = cfg.mu if cfg.mu_start is None else cfg.mu_start
    values = [mu_at(step, len(steps), start, cfg.mu) for step in range(len(steps))]
    return [[Lesson(packs, mu) for packs in micros] for micros, mu in zip(steps, values, strict=True)]


def lesson_loss(cfg: DistillConfig, num_ids: int) -> Callable[[Tensor, TaughtBatch], Tensor]:
    """The divergence of logits [N, P] from their batch's signal, summed over N; the student has `num_ids` tokens."""

    def loss(logits_NP: Tensor, batch: TaughtBatch) -> Tensor:
        divergence = Divergence(loss=cfg.loss, mu=batch.mu, alpha=cfg.alpha)
        return divergence_sum(logits_NP, batch.signal, divergence, cfg.chunk_rows, num_ids)

    return loss


class StoredTeacher:
    """The teacher of one student as its logits are kept, in the student's ids."""

    def __init__(self, cache: CacheReader, alignment: Alignment) -> None:
        self.cache, self.temperature = cache, cache.temperature
        self.to_teacher, self.to_student = alignment.to_teacher.tolist(), alignment.to_student

    def batch(self, lesson: Lesson, pad_id: int) -> TaughtBatch:
        """The lesson as tensors; a response that is not in the cache is an error."""
        plain = collate(lesson.packs, pad_id)
        tensors = {name: getattr(plain, name) for name in Batch.__slots__}
        return TaughtBatch(**tensors, signal=self.signal(lesson.packs), mu=lesson.mu)

    def signal(self, packs: Sequence[Pack]) -> Signal:
        """The teacher's distribution at every response token of `packs`, in the order of `collate`'s targets."""
        rows = [self.cache.read(key) for key in self._keys(packs)]
        counts_N = np.concatenate([row.counts for row in rows])
        ids_NK = _padded(np.concatenate([row.ids for row in rows]).astype(np.int64), counts_N, -1)
        log_p_NK = _padded(np.concatenate([row.log_probs for row in rows]), counts_N, -np.inf)
        known_NK = torch.where(ids_NK < 0, -1, self.to_student[ids_NK.clamp(min=0)])
        rest_N = torch.from_numpy(np.concatenate([row.missing for row in rows]))
        return Signal(log_p_NK, known_NK, self.temperature, rest_N)

    def must_know(self, packs: Sequence[Pack]) -> None:
        """All logits of `packs` are in the cache; else an error, before anything is trained."""
        for key in self._keys(packs):
            if key not in self.cache:
                self.cache.read(key)  # says what is missing

    def knows(self, pack: Pack, branch: Branch) -> bool:
        """Whether the logits of one answer are in the cache: not where a trimmed student spells it in other tokens."""
        key = self._key(pack, branch)
        return key is not None and key in self.cache

    def _keys(self, packs: Sequence[Pack]) -> list[bytes]:
        found = [self._key(pack, branch) for pack in packs for branch in pack.branches]
        keys = [key for key in found if key is not None]
        if len(keys) < len(found):
            raise UserError(
                f"{self.cache.folder}: {len(found) - len(keys)} of {len(found)} examples have tokens for the student "
                "that its teacher has not; trim the student's vocabulary too, or the teacher's not"
            )
        return keys

    def _key(self, pack: Pack, branch: Branch) -> bytes | None:
        """None where the teacher has not all of the tokens."""
        prompt, response = (
            [self.to_teacher[index] for index in ids] for ids in (pack.prefix + branch.prompt, branch.response)
        )
        return None if -1 in prompt or -1 in response else content_key(prompt, response)


def _padded(values: np.ndarray, counts_N: np.ndarray, fill: float) -> Tensor:
    """Ragged rows [sum counts] as [N, K], `fill` behind the end of each."""
    inside_NK = np.arange(counts_N.max())[None] < counts_N[:, None]
    padded = np.full(inside_NK.shape, fill, dtype=values.dtype)
    padded[inside_NK] = values
    return torch.from_numpy(padded)


class OnlineTeacher:
    """The teacher of one student, asked while that learns, in the student's ids."""

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

    def spelt_alike(self, branches: Sequence[Branch], asked: Sequence[Branch]) -> list[bool]:
        """Which of the student's rows are the teacher's tokens too; `asked` are the same rows in its own ids.

        A student without a word's token spells it in others, as its teacher never saw it: there is no right answer.
        """
        pairs = zip(branches, asked, strict=True)
        return [Branch(self._ids(own.prompt), self._ids(own.response)) == its for own, its in pairs]

    @torch.no_grad()
    def _log_probs(self, plain: Batch) -> Tensor:
        """[N, S] at the student's batch, in fp32 from the head on: bfloat16 would round logits of 20 to .06."""
        asked = replace(plain, ids=self.to_teacher_S[plain.ids]).to(self._model.device)
        return (ResponseLogits(self._model).hidden(asked).float() @ self._head.T).log_softmax(-1)

    @cached_property
    def _model(self) -> PreTrainedModel:
        """Loaded when it is first asked: each process of a training has its own GPU by then."""
        return checkpoint.load_model(self.folder, compute_dtype(self.precision)).to(device())

    @cached_property
    def _head(self) -> Tensor:
        weight = self._model.get_output_embeddings().weight
        return weight.detach()[self.to_teacher_S.to(weight.device)].float()

    def _ids(self, own: list[int]) -> list[int]:
        return self.to_teacher_S[own].tolist()
