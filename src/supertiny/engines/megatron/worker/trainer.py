"""The training loop over Megatron-Core's schedules: the steps, the log and the loss of the native engine's `fit`."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from megatron.core import dist_checkpointing
from megatron.core.distributed import DistributedDataParallel
from megatron.core.models.gpt import GPTModel
from megatron.core.optimizer import USING_PYTORCH_OPTIMIZER, MegatronOptimizer
from megatron.core.pipeline_parallel import get_forward_backward_func
from torch import Tensor
from torch import distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from tqdm import tqdm

from supertiny.core.errors import UserError
from supertiny.distill.divergence import Divergence
from supertiny.distill.store import CacheReader
from supertiny.distill.teacher import Lesson, StoredTeacher, TaughtBatch
from supertiny.engines.megatron.train import Teaching, WorkerJob
from supertiny.engines.megatron.worker.loss import Shard, cross_entropy_sum, divergence_sum
from supertiny.engines.megatron.worker.model import ResponseHead
from supertiny.engines.megatron.worker.parallel import Place
from supertiny.model.batches import Batch, Pack, collate
from supertiny.model.config import SCHEDULES

Micro = Sequence[Pack] | Lesson
"""a micro-batch before its tensors are made"""


class Lessons:
    """Micro-batches as tensors, and what their logits lose: by the right answer, or by what a teacher says."""

    def __init__(
        self, teaching: Teaching | None, is_last_stage: bool, pad_id: int, vocabulary_size: int, shard: Shard
    ) -> None:
        self._teaching, self._pad_id, self._vocabulary_size, self._shard = teaching, pad_id, vocabulary_size, shard
        self._teacher: StoredTeacher | None = None
        if teaching and is_last_stage:  # no other has logits to compare
            cache = CacheReader(teaching.logits)
            self._teacher = StoredTeacher(cache, cache.align(teaching.student))

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


Row = dict[str, Any]
"""of the log"""


class State:
    """The latest checkpoint of one run, in a folder that all processes see."""

    def __init__(self, folder: Path, model: GPTModel, optimizer: MegatronOptimizer) -> None:
        self._folder, self._model, self._optimizer = folder, model, optimizer

    def save(self, done: int, rows: list[Row]) -> None:
        """Keep the run after `done` steps with its log so far; what was kept before goes."""
        first, target = dist.get_rank() == 0, self._folder / f"step-{done:08d}"
        partial = target.with_name(f".{target.name}.partial")
        if first:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        dist.barrier()
        content = self._content(loading=False)
        _count(content["optimizer"], done)
        dist_checkpointing.save(content | {"done": done, "rows": rows}, str(partial))
        dist.barrier()
        if first:
            before = self._kept()
            partial.replace(target)
            for old in before:
                shutil.rmtree(old)
        dist.barrier()

    def load(self) -> tuple[int, list[Row]]:
        """Steps done and their log, with model and optimizer as they were then; without a checkpoint nothing."""
        kept = self._kept()
        if not kept:
            return 0, []
        try:
            found = dist_checkpointing.load(self._content(loading=True), str(kept[-1]))
            self._model.load_state_dict(found["model"])
            self._optimizer.load_state_dict(found["optimizer"])
        except (Exception, CheckpointException) as error:  # many kinds, and torch's own, which is no Exception
            why = (str(error).strip() or repr(error)).splitlines()[-1]
            raise UserError(f"{kept[-1]}: cannot resume from it ({why}); delete it to start over") from error
        return found["done"], found["rows"]

    def _kept(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"))

    def _content(self, loading: bool) -> dict[str, Any]:
        # each block under its own name: of a frozen one there is no optimizer state
        model = self._model.sharded_state_dict(metadata={"non_homogeneous_layers": True})
        return {"model": model, "optimizer": self._optimizer.sharded_state_dict(model, is_loading=loading)}


def _count(optimizer: dict[str, Any], done: int) -> None:
    """Set the steps that Adam has taken: a first process whose parameters are all frozen has not counted them."""
    inner = optimizer.get("optimizer", optimizer)
    if USING_PYTORCH_OPTIMIZER:
        inner["state"]["common_step"] = torch.tensor(float(done))
    else:  # the fused ones count by group
        for group in inner["param_groups"]:
            group["step"] = done


Weighted = tuple[Micro, int]
"""a micro-batch, and 0 for one that only keeps company"""


class Trainer:
    """One run on this process: `train` it, and its log is in `rows`."""

    def __init__(
        self,
        given: WorkerJob,
        place: Place,
        model: DistributedDataParallel,
        head: ResponseHead,
        optimizer: MegatronOptimizer,
        lessons: Lessons,
        state: State,
    ) -> None:
        self.given, self.place, self.state = given, place, state
        self.model, self.head, self.optimizer, self.lessons = model, head, optimizer, lessons
        self.schedule = get_forward_backward_func()
        self.rows: list[Row] = []

    def train(self) -> None:
        """Go through the run's steps from the last saved one on."""
        done, self.rows = self.state.load()
        steps, points = self.given.steps, self.given.cfg.dev_points
        total = len(steps)
        dev_steps = {round(total * point / points) for point in range(1, points + 1)}
        saved, seconds = time.monotonic(), self.given.job.machine.save_minutes * 60
        bar = tqdm(total=total, initial=done, desc="train", unit="step", disable=not self.place.is_first)
        if done and self.place.is_first:
            bar.write(f"resuming after step {done}")
        for number in range(done, total):
            row = self._step(number, total)
            row["dev_loss"] = self._dev_loss() if number + 1 in dev_steps else ""
            self.rows.append(row)
            bar.set_postfix(loss=row["loss"])
            bar.update()
            if number + 1 < total and self.place.first_says(time.monotonic() - saved > seconds):
                self.state.save(number + 1, self.rows)
                saved = time.monotonic()
        bar.close()

    def _step(self, number: int, total: int) -> Row:
        """One optimizer step: its row of the log."""
        cfg = self.given.cfg.fit
        rate = cfg.learning_rate * SCHEDULES[cfg.schedule](number, total, cfg.warmup_share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            group["weight_decay"] = cfg.weight_decay * group["wd_mult"]
        self.model.zero_grad_buffer()
        self.optimizer.zero_grad()
        mean = self._run(self._share(self.given.steps[number]), learn=True)
        _, norm, _ = self.optimizer.step()
        if not isfinite(mean) or not isfinite(norm):
            raise UserError(
                f"training diverged at step {number + 1} (loss {mean}, gradient norm {norm}); lower learning_rate"
            )
        return {"step": number + 1, "loss": round(mean, 5), "learning_rate": rate, "grad_norm": round(norm, 4)}

    def _share(self, step: Sequence[Micro]) -> list[Weighted]:
        """The micro-batches of this copy of the model; one that is short of some repeats the first at weight 0."""
        copies = self.given.layout.data
        mine = [(micro, 1) for micro in step[self.place.copy :: copies]]
        return mine + [(step[0], 0)] * (-(-len(step) // copies) - len(mine))

    @torch.no_grad()
    def _dev_loss(self) -> float:
        """Mean cross-entropy of the dev responses."""
        mine: list[Weighted] = [(packs, 1) for packs in self.given.dev[self.place.copy :: self.given.layout.data]]
        self.model.eval()
        mean = self._run(mine, learn=False)
        self.model.train()
        return round(mean, 5)

    def _run(self, micros: list[Weighted], learn: bool) -> float:
        """The mean loss over all targets of all copies; to `learn` is to leave the gradients of that mean."""
        batches = ((self.lessons.load(micro).to(self.place.device), weight) for micro, weight in micros)
        reports: list[tuple[Tensor, int]] = []
        if micros:
            reports = self.schedule(
                forward_step_func=self._forward,
                data_iterator=batches,
                model=[self.model],
                num_microbatches=len(micros),
                seq_length=1,  # every micro-batch tells its own
                micro_batch_size=1,
                forward_only=not learn,
            )
        mine = reports if self.place.speaks_for_its_copy else []
        total, count = self.place.sum(sum(float(one) for one, _ in mine), sum(number for _, number in mine))
        return total / count

    def _forward(
        self, batches: Iterator[tuple[Batch, int]], model: DistributedDataParallel
    ) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor, tuple[Tensor, int]]]]:
        """One micro-batch through this stage; the schedule calls what is returned where the pipeline ends."""
        batch, weight = next(batches)
        self.head.select(batch.predict)
        raw = {"fp32_output": False} if model.config.bf16 else {}  # the loss turns them to fp32, some at a time
        mask = batch.mask
        if self.given.cfg.frozen.prefix:
            mask = torch.cat([mask, (batch.branch != 0)[:, None, None]], 2)
        found = model(batch.ids, batch.positions.expand(3, -1, -1), mask, **raw)

        def end(logits_1NS: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, int]]:
            total = self.lessons.loss(logits_1NS[0], batch) * weight
            count = len(batch.targets) * weight
            return total, torch.tensor(count, dtype=torch.int, device=total.device), (total.detach(), count)

        return found, end
