"""What a model learns from on the processes that share its vocabulary: batches, and the loss of their logits."""

from collections.abc import Sequence

from torch import Tensor

from supertiny.distill.cache import CacheReader
from supertiny.distill.divergence import Divergence
from supertiny.distill.lessons import Lesson, TaughtBatch, Teacher
from supertiny.engines.megatron._job import Teaching
from supertiny.engines.megatron.worker.loss import Shard, cross_entropy_sum, divergence_sum
from supertiny.model.batches import Batch, Pack, collate

Micro = Sequence[Pack] | Lesson
"""a micro-batch before its tensors are made"""


class Lessons:
    """Micro-batches as tensors, and what their logits lose: by the right answer, or by what a teacher says."""

    def __init__(
        self, teaching: Teaching | None, is_last_stage: bool, pad_id: int, vocabulary_size: int, shard: Shard
    ) -> None:
        self._teaching, self._pad_id, self._vocabulary_size, self._shard = teaching, pad_id, vocabulary_size, shard
        self._teacher: Teacher | None = None
        if teaching and is_last_stage:  # no other has logits to compare
            cache = CacheReader(teaching.logits)
            self._teacher = Teacher(cache, cache.align(teaching.student))

    def load(self, micro: Micro) -> Batch:
        """The packs as tensors, with the teacher's distributions where there are logits."""
        if not isinstance(micro, Lesson):
            return collate(micro, self._pad_id)
        if self._teacher is None:
            return collate(micro.packs, self._pad_id)
        return self._teacher.batch(micro, self._pad_id)

    def loss(self, logits_NS: Tensor, batch: Batch) -> Tensor:
        """Summed over the targets: the divergence from the teacher, else the cross-entropy (paper Eq. 1, 3-5).

        A teacher is compared over the ids of the tokenizer, an answer over all rows of the checkpoint's head.
        """
        if not isinstance(batch, TaughtBatch):
            return cross_entropy_sum(logits_NS, batch.targets, self._vocabulary_size, self._shard)
        assert self._teaching
        cfg, num_ids = self._teaching.cfg, len(self._teaching.student.ids)
        how = Divergence(loss=cfg.loss, mu=batch.mu, alpha=cfg.alpha)
        return divergence_sum(logits_NS, batch.signal, how, cfg.chunk_rows, num_ids, self._shard)
