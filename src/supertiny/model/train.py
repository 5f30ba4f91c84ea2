"""The one training loop: whatever trains here trains through `fit`.

The plan is laid down before the first step (which micro-batches, in which order), so a run that was
killed goes on from its last state to the very weights of a run that was not. The language model head
is applied to response positions only.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedModel

from supertiny.core.errors import UserError
from supertiny.core.files import whole_file, write_csv
from supertiny.model.batches import Batch, Prefix
from supertiny.model.config import SCHEDULES, FitConfig, TrainMachine
from supertiny.model.hardware import compute_dtype, hidden_states


class Learnable(Protocol):
    """A batch that `fit` can train on."""

    @property
    def targets(self) -> Tensor:
        """[N, ...] what is to be learned; the loss of a step is a mean over these N."""

    @property
    def num_tokens(self) -> int:
        """Tokens read."""

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""


Micro = TypeVar("Micro")
Loss = Callable[[Any, Any], Tensor]
"""(what the scorer made of the batch, batch) -> sum of the loss over its N targets"""


class Scorer(nn.Module):
    """What `fit` trains: a pretrained model under the head that makes scores of a batch."""

    model: PreTrainedModel


def cross_entropy(logits_NV: Tensor, batch: Batch) -> Tensor:
    """Summed -log p(response token) in fp32 (paper Eq. 1)."""
    return nn.functional.cross_entropy(logits_NV.float(), batch.targets, reduction="sum")


class Watch(Protocol):
    """Follows a run whose loss does not tell how well it goes."""

    def columns(self, step: int, dev_due: bool) -> Mapping[str, Any]:
        """What the log says of the step just taken (from 1), in place of a dev loss; always the same columns."""

    def stop(self, rows: Sequence[Mapping[str, Any]]) -> str | None:
        """Why the run shall end after the log's last row; None: it goes on."""


@dataclass(frozen=True, slots=True)
class Run(Generic[Micro]):
    """What to train on, in which order."""

    steps: Sequence[Sequence[Micro]]
    """for every optimizer step its micro-batches; they may be made when they are asked for, once and in order"""
    load: Callable[[Micro], Learnable]
    """builds one micro-batch"""
    loss: Loss
    """what is minimized"""
    dev: Sequence[Any] = ()
    """micro-batches whose mean loss is logged along the way"""
    dev_points: int = 0
    """how often"""
    dev_load: Callable[[Any], Learnable] | None = None
    """builds one of `dev`; None: as those trained on"""
    dev_loss: Loss | None = None
    """the loss that is logged, so that runs which minimize different ones compare; None: the one minimized"""
    watch: Watch | None = None


def fit(
    scorer: Scorer,
    run: Run[Micro],
    cfg: FitConfig,
    machine: TrainMachine,
    seed: int,
    log: Path,
    state: Path,
) -> None:
    """Train `scorer` in place along `run`; write the loss curve to `log`, resume from and save to folder `state`.

    On several processes each takes its share of every step's micro-batches; gradients are those of
    the mean over all targets of the whole step.
    """
    set_seed(seed)
    dtype = compute_dtype(machine.precision)
    mixed = "bf16" if dtype is torch.bfloat16 else "no"
    accelerator = Accelerator(mixed_precision=mixed, cpu=not torch.cuda.is_available())
    model = scorer.model
    if machine.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    prepared, optimizer = accelerator.prepare(scorer, _adamw(scorer, cfg))
    trainer = _Trainer(accelerator, prepared, optimizer, run, cfg, seed, state / "state.pt")
    trainer.train(machine.save_minutes * 60)
    model.activation_checkpointing_disable()
    if accelerator.is_main_process:
        write_csv(log, trainer.rows)
    accelerator.wait_for_everyone()


class ResponseLogits(Scorer):
    """A causal language model whose head is applied at the predicting positions only.

    Where `prefix_frozen`, what branches share gets no gradient: it is read first, and they are rows behind it.
    """

    def __init__(self, model: PreTrainedModel, prefix_frozen: bool = False) -> None:
        super().__init__()
        self.model = model
        self.prefix_frozen = prefix_frozen

    def forward(self, batch: Batch) -> Tensor:
        """Logits [N, V] for `batch.targets`."""
        return self.model.get_output_embeddings()(self.hidden(batch))

    def hidden(self, batch: Batch) -> Tensor:
        """What the head is applied to, [N, width of the model]."""
        if not (self.prefix_frozen and batch.tree.prefix):
            return hidden_states(self.model, batch.ids, batch.positions, batch.tree)[batch.predict]
        tree, shared, prefix = batch.tree, slice(0, batch.tree.prefix), Prefix(batch.tree)
        with torch.no_grad():
            first = hidden_states(self.model, batch.ids[:, shared], batch.positions[:, shared], prefix)
        # what autocast keeps of the weights it cast just now knows no gradient
        torch.clear_autocast_cache()
        read = hidden_states(self.model, tree.of_runs(batch.ids), tree.of_runs(batch.positions), prefix.behind())
        return torch.cat([first.flatten(0, 1), read.flatten(0, 1)])[tree.places[batch.predict]]


class _Trainer(Generic[Micro]):
    def __init__(
        self,
        accelerator: Accelerator,
        scorer: nn.Module,
        optimizer: Any,
        run: Run[Micro],
        cfg: FitConfig,
        seed: int,
        state: Path,
    ) -> None:
        self.accelerator, self.scorer, self.optimizer = accelerator, scorer, optimizer
        self.run, self.cfg, self.seed, self.state = run, cfg, seed, state
        self.done = 0
        self.rows: list[dict[str, Any]] = []

    def train(self, save_seconds: float) -> None:
        self._resume()
        total = len(self.run.steps)
        dev_steps = {round(total * point / self.run.dev_points) for point in range(1, self.run.dev_points + 1)}
        saved = time.monotonic()
        self._warn_of_idle()
        bar = tqdm(
            total=total, initial=self.done, desc="train", unit="step", disable=not self.accelerator.is_main_process
        )
        for number in range(self.done, total):
            started = time.monotonic()
            row, tokens = self._step(number, total)
            self.done = number + 1
            row |= self._columns(self.done in dev_steps)
            self.rows.append(row)
            bar.set_postfix(loss=row["loss"], tok_s=round(tokens / (time.monotonic() - started)))
            bar.update()
            if self.done < total and self._first_says(time.monotonic() - saved > save_seconds):
                self._save()
                saved = time.monotonic()
            if self.run.watch and (reason := self.run.watch.stop(self.rows)):
                self.accelerator.print(f"stopped after step {self.done}: {reason}")
                break
        bar.close()

    def _step(self, number: int, total: int) -> tuple[dict[str, Any], int]:
        """One optimizer step: its log row and the tokens it read."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        torch.manual_seed((self.seed + number) * world + rank)  # dropout, the same for a resumed run
        micros, weights = self._share(self.run.steps[number])
        batches = [self.run.load(micro).to(self.accelerator.device) for micro in micros]
        count = self._sum(sum(len(b.targets) * weight for b, weight in zip(batches, weights, strict=True)))
        loss_sum = torch.zeros((), device=self.accelerator.device)
        for index, (batch, weight) in enumerate(zip(batches, weights, strict=True)):
            last = index == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.scorer):
                with self.accelerator.autocast():
                    logits = self.scorer(batch)
                loss = self.run.loss(logits, batch) * weight
                # DDP averages over processes; we want the mean over all response tokens of the step
                self.accelerator.backward(loss * self.accelerator.num_processes / count)
            loss_sum += loss.detach()
        rate = self.cfg.learning_rate * SCHEDULES[self.cfg.schedule](number, total, self.cfg.warmup_share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = float(self.accelerator.clip_grad_norm_(self.scorer.parameters(), self.cfg.max_grad_norm))
        mean = self._sum(loss_sum.item()) / count
        if not isfinite(mean) or not isfinite(norm):
            raise UserError(
                f"training diverged at step {number + 1} (loss {mean}, gradient norm {norm}); lower learning_rate"
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        row = {"step": number + 1, "loss": round(mean, 5), "learning_rate": rate, "grad_norm": round(norm, 4)}
        return row, sum(batch.num_tokens for batch in batches)

    def _share(self, step: Sequence[Micro]) -> tuple[list[Micro], list[int]]:
        """This process's micro-batches and weights; a process short of one repeats the first at weight 0."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        mine = list(step[rank::world])
        missing = -(-len(step) // world) - len(mine)
        return mine + [step[0]] * missing, [1] * len(mine) + [0] * missing

    def _warn_of_idle(self) -> None:
        world = self.accelerator.num_processes
        if world == 1:
            return
        most = max(map(len, self.run.steps), default=0)
        if most < world:
            self.accelerator.print(
                f"warning: {world - most} of {world} processes have nothing to learn from: a step has {most} "
                "micro-batches at most; raise groups_a_step (texts_a_step), or lower train.processes of the profile"
            )

    def _first_says(self, yes: bool) -> bool:
        """What the first process says: clocks differ, and all processes save together or none."""
        return self._sum(float(yes and self.accelerator.is_main_process)) > 0

    def _sum(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor(value, device=self.accelerator.device, dtype=torch.float64)
        return float(self.accelerator.reduce(tensor, "sum"))

    def _columns(self, dev_due: bool) -> Mapping[str, Any]:
        if self.run.watch:
            return self.run.watch.columns(self.done, dev_due)
        return {"dev_loss": self._dev_loss() if dev_due else ""}

    @torch.no_grad()
    def _dev_loss(self) -> float:
        total = count = 0.0
        load, loss = self.run.dev_load or self.run.load, self.run.dev_loss or self.run.loss
        # the bare module: processes may hold unequal numbers of micro-batches, and DDP would wait for its peers
        scorer = self.accelerator.unwrap_model(self.scorer).eval()
        for micro in self.run.dev[self.accelerator.process_index :: self.accelerator.num_processes]:
            batch = load(micro).to(self.accelerator.device)
            with self.accelerator.autocast():
                total += loss(scorer(batch), batch).item()
            count += len(batch.targets)
        scorer.train()
        return round(self._sum(total) / self._sum(count), 5)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            content = {
                "model": self.accelerator.unwrap_model(self.scorer).state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "done": self.done,
                "rows": self.rows,
            }
            with whole_file(self.state) as partial:
                torch.save(content, partial)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        self.scorer.train()
        if not self.state.is_file():
            return
        try:
            content = torch.load(self.state, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds
            raise UserError(f"{self.state}: cannot resume from it ({error}); delete it to start over") from error
        self.accelerator.unwrap_model(self.scorer).load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.done, self.rows = content["done"], content["rows"]
        self.accelerator.print(f"resuming after step {self.done}")


def _adamw(model: nn.Module, cfg: FitConfig) -> torch.optim.AdamW:
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": cfg.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=cfg.learning_rate, betas=(0.9, 0.95), fused=True)


@dataclass(frozen=True, slots=True)
class Job:
    """Where a model comes from, where it and its loss curve go, and on what it is trained."""

    base: Path
    out: Path
    log: Path
    machine: TrainMachine
