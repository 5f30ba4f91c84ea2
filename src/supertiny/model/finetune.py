"""Fine-tuning a causal language model from one folder into another (paper Eq. 1): what every such stage shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from supertiny.core.files import whole_folder
from supertiny.core.stage import is_first, on_processes, resumable
from supertiny.model import checkpoint
from supertiny.model.batches import Batch, Pack, collate
from supertiny.model.train import (
    FitConfig,
    FrozenConfig,
    Learnable,
    Loss,
    ResponseLogits,
    Run,
    TrainMachine,
    cross_entropy,
    fit,
)


@dataclass(frozen=True, slots=True)
class Plan:
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


def tune(
    stage: str,
    base: Path,
    plan: Callable[[PreTrainedTokenizerBase], Plan],
    out: Path,
    log: Path,
    cfg: FitConfig,
    frozen: FrozenConfig,
    machine: TrainMachine,
    seed: int,
    *inputs: Any,
) -> None:
    """Train `base` along the plan made with its tokenizer; write the model to `out`, the loss curve to `log`.

    `inputs` are all that the plan is made of; a killed run of `stage` on the same ones goes on where it was.
    """
    on_processes(machine.processes)
    tokenizer, model = checkpoint.load_tokenizer(base), checkpoint.load_model(base)
    freeze(model, frozen)
    made = plan(tokenizer)

    def plain(packs: Sequence[Pack]) -> Batch:
        return collate(packs, tokenizer.pad_token_id)

    run = Run(made.steps, made.load or plain, made.dev, made.dev_points, dev_load=plain, dev_loss=cross_entropy)
    with resumable(stage, base, cfg, frozen, machine, seed, *inputs) as state:
        fit(ResponseLogits(model), run, made.loss, cfg, machine, seed, log, state)
        if is_first():
            model.config.update(dict(made.record))
            with whole_folder(out) as partial:
                checkpoint.save(model, tokenizer, partial)


def freeze(model: PreTrainedModel, frozen: FrozenConfig) -> None:
    """Take what does not learn out of the gradient."""
    model.get_input_embeddings().requires_grad_(not frozen.embeddings)
    blocks = model.base_model.layers
    for block in blocks[: int(frozen.blocks * len(blocks))]:
        block.requires_grad_(False)
