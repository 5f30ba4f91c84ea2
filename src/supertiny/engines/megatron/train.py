"""What the workers are given: a whole training run, planned before any of them starts."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.core.files import whole_file
from supertiny.core.stage import resumable
from supertiny.distill.config import DistillConfig
from supertiny.distill.store import CacheReader
from supertiny.distill.teacher import StoredTeacher
from supertiny.engines.megatron.config import MegatronConfig
from supertiny.engines.megatron.layout import Layout, command, planned, settings, start
from supertiny.engines.native import train as native
from supertiny.engines.training import AskedModel, StoredLogits, TrainingPlan
from supertiny.model import checkpoint
from supertiny.model.batches import Pack
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.model.train import Job
from supertiny.model.vocab import Vocabulary, vocabulary

FILE = "job.pickle"
ERROR = "error.txt"
"""what a worker wants to tell the user"""


@dataclass(frozen=True, slots=True)
class Teaching:
    """Where the student's teacher speaks, and what is made of it."""

    logits: Path
    student: Vocabulary
    cfg: DistillConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """One run, as every worker reads it."""

    job: Job
    """its paths absolute"""
    cfg: TrainingConfig
    layout: Layout
    seed: int
    pad_id: int
    steps: Sequence[Sequence[Any]]
    """for every optimizer step its micro-batches: packs, or lessons where there is teaching"""
    dev: Sequence[Sequence[Pack]]
    """micro-batches whose mean cross-entropy is logged along the way"""
    teaching: Teaching | None
    """None: what is minimized is the cross-entropy of the responses"""
    record: Mapping[str, Any]
    """entries of the config.json of the model that comes of it"""


def train(plan: TrainingPlan, job: Job) -> None:
    """Train the job's base as `plan` says; write the model and its loss curve.

    A killed run goes on where it was, on whatever number of processes. A teacher that is asked along the way has its
    student trained by the native engine: its logits are not shared.
    """
    if isinstance(plan.teacher, AskedModel):
        native.train(plan, job)
        return
    machine, (cfg, layout) = job.machine, settings(job.base, job.machine)
    tokenizer, shared = checkpoint.load_tokenizer(job.base), planned(job.machine, cfg)
    steps, teaching = _laid_out(plan, job.base, tokenizer, shared)
    _warn_of_idle(steps, shared.processes)
    given = WorkerJob(
        job=replace(job, base=job.base.resolve(), out=job.out.resolve(), log=job.log.resolve()),
        cfg=plan.cfg,
        layout=layout,
        seed=plan.rows.seed,
        pad_id=tokenizer.pad_token_id,
        steps=steps,
        dev=plan.rows.dev_batches(tokenizer, machine.max_tokens),
        teaching=teaching,
        record=plan.record,
    )
    with resumable(f"megatron-{job.out.name}", job.base, machine.precision, plan.rows.seed, *plan.inputs) as scratch:
        _work(given, cfg, scratch)


def read(folder: Path) -> WorkerJob:
    """What `train` left in its scratch folder, for its own workers."""
    with (folder / FILE).open("rb") as file:
        return pickle.load(file)


def _laid_out(
    plan: TrainingPlan, base: Path, tokenizer: PreTrainedTokenizerBase, shared: TrainMachine
) -> tuple[Sequence[Sequence[Any]], Teaching | None]:
    """The steps of the run, and who teaches in them."""
    if not isinstance(plan.teacher, StoredLogits):
        return plan.rows.steps(tokenizer, plan.cfg, shared), None
    assert plan.divergence
    own, logits = vocabulary(base), plan.teacher.cache
    with CacheReader(logits) as cache:
        lessons = plan.lessons(StoredTeacher(cache, cache.align(own)), tokenizer, shared)
    return lessons, Teaching(logits.resolve(), own, plan.divergence)


def _warn_of_idle(steps: Sequence[Sequence[Any]], wanted: int) -> None:
    most = max(map(len, steps), default=0)
    if most < wanted:
        tqdm.write(
            f"warning: train.processes x megatron.micro_batches of the profile want {wanted} micro-batches of a step, "
            f"which has {most} at most: some GPUs wait; raise groups_a_step"
        )


def _work(given: WorkerJob, cfg: MegatronConfig, scratch: Path) -> None:
    """Start the workers and wait; what one of them told the user is the error."""
    with whole_file(scratch / FILE) as partial:
        partial.write_bytes(pickle.dumps(given))
    told = scratch / ERROR
    told.unlink(missing_ok=True)
    status = start(command(cfg.launcher, given.layout.processes, scratch, Path.cwd()))
    if told.is_file():
        raise UserError(told.read_text(encoding="utf-8"))
    if status:
        raise UserError(
            f"the workers of engine 'megatron' ended with status {status}; what went wrong stands above; "
            "run again, and training goes on from its last saved state"
        )
