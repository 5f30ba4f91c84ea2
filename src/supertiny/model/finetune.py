"""Fine-tuning a causal language model from one folder into another (paper Eq. 1): what every such stage shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder
from supertiny.core.stage import is_first, on_processes, resumable
from supertiny.model import checkpoint
from supertiny.model.batches import Batch, Pack, collate
from supertiny.model.config import FitConfig, FrozenConfig
from supertiny.model.train import Job, Learnable, Loss, ResponseLogits, Run, cross_entropy, fit


@dataclass(frozen=True, slots=True)
class Course:
    """What to train on, in which order; by default packs, for the cross-entropy of their responses."""

    steps: Sequence[Sequence[Any]]
    """for every optimizer step its micro-batches"""
    dev: Sequence[Sequence[Pack]] = ()
    """micro-batches of packs whose mean cross-entropy is logged along the way"""
    dev_points: int = 0
    """how often"""
    load: Callable[[Any], Learnable] | None = None
    """builds one micro-batch; None: `collate`"""
    loss: Loss = cross_entropy
    """what is minimized"""
    record: Mapping[str, Any] = field(default_factory=dict)
    """entries of the config.json of the model that comes of it"""


def finetune(
    job: Job,
    course: Callable[[PreTrainedTokenizerBase], Course],
    cfg: FitConfig,
    frozen: FrozenConfig,
    seed: int,
    *inputs: Any,
) -> None:
    """Train the job's base along the course made with its tokenizer; write the model and its loss curve.

    `inputs` are all that the course is made of; a killed job on the same ones goes on where it was.
    """
    machine = job.machine
    on_processes(machine.processes)
    tokenizer, model = checkpoint.load_tokenizer(job.base), checkpoint.load_model(job.base)
    freeze(model, frozen)
    made = course(tokenizer)
    _must_fit(made, checkpoint.positions(model.config), job.base.name)

    def plain(packs: Sequence[Pack]) -> Batch:
        return collate(packs, tokenizer.pad_token_id)

    load = made.load or plain
    run = Run(made.steps, load, made.loss, made.dev, made.dev_points, dev_load=plain, dev_loss=cross_entropy)
    with resumable(job.out.name, job.base, cfg, frozen, machine, seed, *inputs) as state:
        fit(ResponseLogits(model, frozen.prefix), run, cfg, machine, seed, job.log, state)
        if is_first():
            model.config.update(dict(made.record))
            with whole_folder(job.out) as partial:
                checkpoint.save(model, tokenizer, partial)


def _must_fit(course: Course, positions: int, model: str) -> None:
    """UserError where a prompt with its reply is longer than the model reads, before anything is trained."""
    every = (getattr(micro, "packs", micro) for step in course.steps for micro in step)
    packs = [one for micro in (*every, *course.dev) for one in micro if isinstance(one, Pack)]
    longest = max((len(pack.prefix) + len(branch) for pack in packs for branch in pack.branches), default=0)
    if longest > positions:
        raise UserError(
            f"a training prompt and its reply have {longest} tokens, {model} reads {positions}; offer fewer functions "
            "(dataset.lists: oracle, dataset.num_candidates), or take a base model that reads more"
        )


def freeze(model: PreTrainedModel, frozen: FrozenConfig) -> None:
    """Take what does not learn out of the gradient."""
    model.get_input_embeddings().requires_grad_(not frozen.embeddings)
    blocks = model.base_model.layers
    for block in blocks[: int(frozen.blocks * len(blocks))]:
        block.requires_grad_(False)
