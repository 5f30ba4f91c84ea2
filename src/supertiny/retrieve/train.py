"""Fine-tuning the classifier retriever (paper 3.1, App. D: from dialogue, query and context to the function)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch

from supertiny.core.calls import Call
from supertiny.core.config import require
from supertiny.core.errors import UserError
from supertiny.core.files import whole_folder
from supertiny.core.launch import is_first, on_processes
from supertiny.core.records import Example
from supertiny.core.resume import resumable
from supertiny.model.fit import Run, fit
from supertiny.model.heads import HeadedEncoder, Labelled, collate, loss
from supertiny.model.texts import text_batches, text_steps
from supertiny.model.training import FitConfig, TrainMachine
from supertiny.prompt.dialogue import dialogue


@dataclass(kw_only=True, slots=True)
class RetrieverConfig:
    """Section `retriever` of params.yaml."""

    epochs: int
    """passes over the training examples"""
    texts_a_step: int
    """examples in one optimizer step"""
    dev_points: int
    """how often the loss on dev examples is logged"""
    fit: FitConfig

    def __post_init__(self) -> None:
        for name in ("epochs", "texts_a_step"):
            require(getattr(self, name) > 0, f"{name}: expected more than 0, got {getattr(self, name)}")
        require(self.dev_points >= 0, f"dev_points: expected 0 or more, got {self.dev_points}")


@dataclass(kw_only=True, slots=True)
class RetrieverSizes:
    """Section `retriever` of the profile."""

    examples: int
    """training examples, of which refusals are left out; 0: all there are"""

    def __post_init__(self) -> None:
        require(self.examples >= 0, f"examples: expected 0 or more, got {self.examples}")


def train_classifier(
    encoder: Path,
    examples: Sequence[Example],
    dev: Sequence[Example],
    out: Path,
    log: Path,
    cfg: RetrieverConfig,
    machine: TrainMachine,
    seed: int,
) -> None:
    """Train `encoder` to name the function of each example's first answer; write the model to `out`, losses to `log`.

    Refusals name no function and teach nothing here. Dev rows of functions that training never shows are left out.
    """
    on_processes(machine.processes)
    rows = _called(examples)
    if not rows:
        raise UserError("the training examples hold no call, so the classifier retriever has no class to learn")
    classes = sorted({name for _, name in rows})
    torch.manual_seed(seed)  # the heads start at random values
    model = HeadedEncoder(encoder, classes)
    train_rows, dev_rows = _labelled(rows, classes), _labelled(_called(dev), classes)
    run = Run(
        text_steps(train_rows, model.tokenizer, cfg.texts_a_step, machine.max_tokens, cfg.epochs, Random(seed)),
        load=lambda texts: collate(model.tokenizer, texts),
        dev=text_batches(dev_rows, model.tokenizer, machine.max_tokens),
        dev_points=cfg.dev_points if dev_rows else 0,
    )
    with resumable("retriever", encoder, cfg, machine, seed, train_rows, dev_rows) as state:
        fit(model, run, loss, cfg.fit, machine, seed, log, state)
        if is_first():
            with whole_folder(out) as partial:
                model.save(partial)


def _called(examples: Sequence[Example]) -> list[tuple[Example, str]]:
    """Examples whose reference is a call, with its function's name."""
    pairs = [(example, example.answers[0]) for example in examples if example.answers]
    return [(example, answer.name) for example, answer in pairs if isinstance(answer, Call)]


def _labelled(rows: Sequence[tuple[Example, str]], classes: Sequence[str]) -> list[Labelled]:
    label = {name: index for index, name in enumerate(classes)}
    return [Labelled(dialogue(example), label[name]) for example, name in rows if name in label]
