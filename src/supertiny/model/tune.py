"""Fine-tuning a causal language model from one folder into another (paper Eq. 1): what every such stage shares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from supertiny.core.files import whole_folder
from supertiny.core.launch import is_first, on_processes
from supertiny.core.resume import resumable
from supertiny.model import checkpoint
from supertiny.model.batches import Pack, collate
from supertiny.model.fit import ResponseLogits, Run, cross_entropy, fit
from supertiny.model.training import FitConfig, TrainMachine


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train on, in which order."""

    steps: Sequence[Sequence[Sequence[Pack]]]
    """for every optimizer step its micro-batches of packs"""
    dev: Sequence[Sequence[Pack]] = ()
    """micro-batches whose mean loss is logged along the way"""
    dev_points: int = 0
    """how often"""


def tune(
    stage: str,
    base: Path,
    plan: Callable[[PreTrainedTokenizerBase], Plan],
    out: Path,
    log: Path,
    cfg: FitConfig,
    train_embeddings: bool,
    machine: TrainMachine,
    seed: int,
    *inputs: Any,
) -> None:
    """Train `base` along the plan made with its tokenizer; write the model to `out`, the loss curve to `log`.

    `inputs` are all that the plan is made of; a killed run of `stage` on the same ones goes on where it was.
    """
    on_processes(machine.processes)
    tokenizer, model = checkpoint.load_tokenizer(base), checkpoint.load_model(base)
    model.get_input_embeddings().requires_grad_(train_embeddings)
    made = plan(tokenizer)
    run = Run(
        made.steps,
        load=lambda packs: collate(packs, tokenizer.pad_token_id),
        dev=made.dev,
        dev_points=made.dev_points,
    )
    with resumable(stage, base, cfg, train_embeddings, machine, seed, *inputs) as state:
        fit(ResponseLogits(model), run, cross_entropy, cfg, machine, seed, log, state)
        if is_first():
            with whole_folder(out) as partial:
                checkpoint.save(model, tokenizer, partial)
