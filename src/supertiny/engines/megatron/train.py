"""What the workers are given: a whole training run, planned before any of them starts."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.core.files import whole_file
from supertiny.core.stage import resumable
from supertiny.core.thought import THINKS
from supertiny.distill.divergence import DistillConfig
from supertiny.distill.store import CacheReader
from supertiny.distill.teacher import Teacher, with_mu
from supertiny.engines.megatron.layout import Layout, MegatronConfig, command, planned, settings, start
from supertiny.engines.native.train import recover
from supertiny.model import checkpoint
from supertiny.model.batches import Pack
from supertiny.model.train import FitConfig, FrozenConfig, TrainMachine
from supertiny.model.vocab import Vocabulary, vocabulary
from supertiny.sft.general import GeneralSet, training_steps
from supertiny.sft.packs import SftConfig, TrainingSet

FILE = "job.pickle"
ERROR = "error.txt"
"""what a worker wants to tell the user"""


@dataclass(frozen=True, slots=True)
class Teaching:
    """Where the student's teacher speaks, and what is made of it."""

    logits: Path
    student: Vocabulary
    cfg: DistillConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train on, in which order."""

    steps: Sequence[Sequence[Any]]
    """for every optimizer step its micro-batches: packs, or lessons where there is teaching"""
    dev: Sequence[Sequence[Pack]]
    """micro-batches whose mean cross-entropy is logged along the way"""
    dev_points: int
    """how often"""
    teaching: Teaching | None = None
    """None: what is minimized is the cross-entropy of the responses"""
    record: Mapping[str, Any] = field(default_factory=dict)
    """entries of the config.json of the model that comes of it"""


@dataclass(frozen=True, slots=True)
class Job:
    """One run, as every worker reads it."""

    base: Path
    out: Path
    log: Path
    plan: Plan
    pad_id: int
    fit: FitConfig
    frozen: FrozenConfig
    machine: TrainMachine
    layout: Layout
    seed: int


def train(
    verb: str,
    base: Path,
    plan: Callable[[PreTrainedTokenizerBase, TrainMachine], Plan],
    out: Path,
    log: Path,
    fit: FitConfig,
    frozen: FrozenConfig,
    machine: TrainMachine,
    seed: int,
    *inputs: Any,
) -> None:
    """Train `base` along the plan made with its tokenizer; write the model to `out`, the loss curve to `log`.

    A killed run of `verb` on the same `inputs` goes on where it was, on whatever number of processes.
    """
    cfg, layout = settings(base, machine)
    tokenizer = checkpoint.load_tokenizer(base)
    shared = planned(machine, cfg)
    made = plan(tokenizer, shared)
    _warn_of_idle(made.steps, shared.processes)
    job = Job(
        base=base.resolve(),
        out=out.resolve(),
        log=log.resolve(),
        plan=made,
        pad_id=tokenizer.pad_token_id,
        fit=fit,
        frozen=frozen,
        machine=machine,
        layout=layout,
        seed=seed,
    )
    with resumable(f"megatron-{verb}", base, fit, frozen, machine.precision, seed, *inputs) as scratch:
        _work(job, cfg, scratch)


def read(folder: Path) -> Job:
    """The job that `train` left in its scratch folder, for its own workers."""
    with (folder / FILE).open("rb") as file:
        return pickle.load(file)


def _warn_of_idle(steps: Sequence[Sequence[Any]], wanted: int) -> None:
    most = max(map(len, steps), default=0)
    if most < wanted:
        tqdm.write(
            f"warning: train.processes x megatron.micro_batches of the profile want {wanted} micro-batches of a step, "
            f"which has {most} at most: some GPUs wait; raise groups_a_step"
        )


def _work(job: Job, cfg: MegatronConfig, scratch: Path) -> None:
    """Start the workers and wait; what one of them told the user is the error."""
    with whole_file(scratch / FILE) as partial:
        partial.write_bytes(pickle.dumps(job))
    told = scratch / ERROR
    told.unlink(missing_ok=True)
    status = start(command(cfg.launcher, job.layout.processes, scratch, Path.cwd()))
    if told.is_file():
        raise UserError(told.read_text(encoding="utf-8"))
    if status:
        raise UserError(
            f"the workers of engine 'megatron' ended with status {status}; what went wrong stands above; "
            "run again, and training goes on from its last saved state"
        )


def correct(base: Path, data: GeneralSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the answers of `data`; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase, shared: TrainMachine) -> Plan:
        steps = training_steps(data.branches(tokenizer), cfg, shared)
        return Plan(steps, data.dev_batches(tokenizer, machine.max_tokens), cfg.dev_points)

    train("correct", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)


def distill(
    student: Path,
    logits: Path,
    data: TrainingSet,
    out: Path,
    log: Path,
    cfg: DistillConfig,
    teaching: SftConfig,
    machine: TrainMachine,
) -> None:
    """Train `student` on the cached `logits` of its teacher; write the model to `out`, the loss curve to `log`.

    The dev loss is cross-entropy, so that the curves of all losses, and of RFT, can be compared.
    """
    own = vocabulary(student)
    with CacheReader(logits) as cache:
        teacher = Teacher(cache, cache.align(own))

        def plan(tokenizer: PreTrainedTokenizerBase, shared: TrainMachine) -> Plan:
            steps = data.steps(tokenizer, teaching, shared)
            every = {id(pack): pack for step in steps for packs in step for pack in packs}  # once, however many epochs
            teacher.must_know(list(every.values()))
            dev = data.dev_batches(tokenizer, machine.max_tokens)
            return Plan(with_mu(steps, cfg), dev, teaching.dev_points, Teaching(logits.resolve(), own, cfg))

        inputs = (logits, cfg, teaching, data)
        train("distill", student, plan, out, log, teaching.fit, teaching.frozen, machine, data.seed, *inputs)


__all__ = ["recover"]


def sft(base: Path, data: TrainingSet, out: Path, log: Path, cfg: SftConfig, machine: TrainMachine) -> None:
    """Train `base` on the reply to each example; write the model to `out`, the loss curve to `log`."""

    def plan(tokenizer: PreTrainedTokenizerBase, shared: TrainMachine) -> Plan:
        steps = data.steps(tokenizer, cfg, shared)
        dev = data.dev_batches(tokenizer, machine.max_tokens)
        return Plan(steps, dev, cfg.dev_points, record={THINKS: True} if data.replies else {})

    train("sft", base, plan, out, log, cfg.fit, cfg.frozen, machine, data.seed, cfg, data)
