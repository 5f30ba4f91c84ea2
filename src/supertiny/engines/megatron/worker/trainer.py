"""The training loop over Megatron-Core's schedules: the steps, the log and the loss of the native engine's `fit`."""

import time
from collections.abc import Callable, Iterator, Sequence
from math import isfinite

import torch
from megatron.core.distributed import DistributedDataParallel
from megatron.core.optimizer import MegatronOptimizer
from megatron.core.pipeline_parallel import get_forward_backward_func
from torch import Tensor
from tqdm import tqdm

from supertiny.core.errors import UserError
from supertiny.engines.megatron._job import Job
from supertiny.engines.megatron.worker.architecture import ResponseHead
from supertiny.engines.megatron.worker.lessons import Lessons, Micro
from supertiny.engines.megatron.worker.parallel import Place
from supertiny.engines.megatron.worker.state import Row, State
from supertiny.model.batches import Batch
from supertiny.model.training import SCHEDULES

Weighted = tuple[Micro, int]
"""a micro-batch, and 0 for one that only keeps company"""


class Trainer:
    """One run on this process: `train` it, and its log is in `rows`."""

    def __init__(
        self,
        job: Job,
        place: Place,
        model: DistributedDataParallel,
        head: ResponseHead,
        optimizer: MegatronOptimizer,
        lessons: Lessons,
        state: State,
    ) -> None:
        self.job, self.place, self.state = job, place, state
        self.model, self.head, self.optimizer, self.lessons = model, head, optimizer, lessons
        self.schedule = get_forward_backward_func()
        self.rows: list[Row] = []

    def train(self) -> None:
        """Go through the plan's steps from the last saved one on."""
        done, self.rows = self.state.load()
        steps, points = self.job.plan.steps, self.job.plan.dev_points
        total = len(steps)
        dev_steps = {round(total * point / points) for point in range(1, points + 1)}
        saved, seconds = time.monotonic(), self.job.machine.save_minutes * 60
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
        cfg = self.job.fit
        rate = cfg.learning_rate * SCHEDULES[cfg.schedule](number, total, cfg.warmup_share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            group["weight_decay"] = cfg.weight_decay * group["wd_mult"]
        self.model.zero_grad_buffer()
        self.optimizer.zero_grad()
        mean = self._run(self._share(self.job.plan.steps[number]), learn=True)
        _, norm, _ = self.optimizer.step()
        if not isfinite(mean) or not isfinite(norm):
            raise UserError(
                f"training diverged at step {number + 1} (loss {mean}, gradient norm {norm}); lower learning_rate"
            )
        return {"step": number + 1, "loss": round(mean, 5), "learning_rate": rate, "grad_norm": round(norm, 4)}

    def _share(self, step: Sequence[Micro]) -> list[Weighted]:
        """The micro-batches of this copy of the model; one that is short of some repeats the first at weight 0."""
        copies = self.job.layout.data
        mine = [(micro, 1) for micro in step[self.place.copy :: copies]]
        return mine + [(step[0], 0)] * (-(-len(step) // copies) - len(mine))

    @torch.no_grad()
    def _dev_loss(self) -> float:
        """Mean cross-entropy of the dev responses."""
        mine: list[Weighted] = [(packs, 1) for packs in self.job.plan.dev[self.place.copy :: self.job.layout.data]]
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
        found = model(batch.ids, batch.positions.expand(3, -1, -1), batch.mask, **raw)

        def end(logits_1NS: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, int]]:
            total = self.lessons.loss(logits_1NS[0], batch) * weight
            count = len(batch.targets) * weight
            return total, torch.tensor(count, dtype=torch.int, device=total.device), (total.detach(), count)

        return found, end
