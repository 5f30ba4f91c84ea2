"""Fine-tuning the classifier retriever (paper 3.1, App. D: from dialogue, query and context to the function)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supertiny.core.config import require
from supertiny.core.errors import UserError
from supertiny.core.prompt import dialogue
from supertiny.core.records import Example
from supertiny.core.stage import on_processes
from supertiny.model.classifier import LabellingConfig, train_labeller
from supertiny.model.train import TrainMachine
from supertiny.retrieval.recall import needed, with_call


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
    cfg: LabellingConfig,
    machine: TrainMachine,
    seed: int,
) -> None:
    """Train `encoder` to name the function of each example's first answer; write the model to `out`, losses to `log`.

    Refusals name no function and teach nothing here. Dev rows of functions that training never shows are left out.
    """
    on_processes(machine.processes)
    rows = _named(examples)
    if not rows:
        raise UserError("the training examples hold no call, so the classifier retriever has no class to learn")
    classes = sorted({name for _, name in rows})
    dev_rows = [(text, name) for text, name in _named(dev) if name in classes]
    train_labeller(encoder, classes, rows, dev_rows, out, log, cfg, machine, seed)


def _named(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """What the classifier reads and the function it should name, of each example that calls one."""
    return [(dialogue(example), needed(example)) for example in with_call(examples)]
