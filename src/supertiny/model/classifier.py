"""Fine-tuning an encoder to label texts: plan, the one loop, a folder that is whole or absent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedTokenizerBase

from supertiny.core.files import whole_folder
from supertiny.core.stage import is_first, resumable
from supertiny.model.batches import micro_batches, steps
from supertiny.model.config import LabellingConfig, TrainMachine
from supertiny.model.encoder import MAX_TOKENS, HeadedEncoder, Labelled, as_read, collate, load_headed, loss
from supertiny.model.train import Job, Run, fit

Step = list[list[Labelled]]


@dataclass(frozen=True, slots=True)
class _Measured:
    row: Labelled
    num_tokens: int

    def __len__(self) -> int:
        return self.num_tokens


def text_steps(
    rows: Sequence[Labelled],
    tokenizer: PreTrainedTokenizerBase,
    texts_a_step: int,
    max_tokens: int,
    epochs: float,
    rng: Random,
    processes: int = 1,
) -> list[Step]:
    """The whole run; every epoch in a new order, its last step with what is left."""
    found = steps(_measured(rows, tokenizer), texts_a_step, max_tokens, epochs, rng, processes)
    return [_rows(step) for step in found]


def text_batches(rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> Step:
    """Texts of like length together, at most `max_tokens` padded tokens in each micro-batch (one text at least)."""
    return _rows(micro_batches(_measured(rows, tokenizer), max_tokens))


def _measured(rows: Sequence[Labelled], tokenizer: PreTrainedTokenizerBase) -> list[_Measured]:
    if not rows:
        return []  # a tokenizer of no text raises
    texts = [as_read(tokenizer, row.text) for row in rows]
    found = tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
    return [_Measured(row, len(ids)) for ids, row in zip(found, rows, strict=True)]


def _rows(batches: Sequence[Sequence[_Measured]]) -> Step:
    return [[one.row for one in batch] for batch in batches]


def train_labeller(
    job: Job,
    labels: Sequence[str],
    rows: Sequence[tuple[str, str]],
    dev: Sequence[tuple[str, str]],
    cfg: LabellingConfig,
    seed: int,
) -> HeadedEncoder:
    """Train the job's encoder on (text, label) `rows`; write and give the model.

    It starts no processes: a stage that wants `job.machine.processes` of them calls `on_processes` before.
    """
    torch.manual_seed(seed)  # the head starts at random values
    model, machine = HeadedEncoder(job.base, labels), job.machine
    run = labelling_run(model, _labelled(rows, labels), _labelled(dev, labels), cfg, machine, seed)
    with resumable(job.out.name, job.base, cfg, machine, seed, labels, rows, dev) as state:
        fit(model, run, cfg.fit, machine, seed, job.log, state)
        if is_first():
            with whole_folder(job.out) as partial:
                model.save(partial)
    return model.eval()


def labelling_run(
    model: HeadedEncoder,
    rows: Sequence[Labelled],
    dev: Sequence[Labelled],
    cfg: LabellingConfig,
    machine: TrainMachine,
    seed: int,
) -> Run[list[Labelled]]:
    """The plan of `fit` for a model that labels texts; without `dev` no loss is logged along the way."""
    tokenizer, most = model.tokenizer, machine.max_tokens
    return Run(
        text_steps(rows, tokenizer, cfg.texts_a_step, most, cfg.epochs, Random(seed), machine.processes),
        load=lambda texts: collate(tokenizer, texts),
        loss=loss,
        dev=text_batches(dev, tokenizer, most),
        dev_points=cfg.dev_points if dev else 0,
    )


def label_log_probabilities(model: HeadedEncoder) -> Callable[[Sequence[str]], list[list[float]]]:
    """The model as a function: texts -> log-probabilities of its labels, in their order."""
    return lambda texts: [row["label"].tolist() for row in model.scores(texts, "label")]


def load_labeller(folder: Path) -> Callable[[Sequence[str]], list[list[float]]]:
    """The same of what `train_labeller` wrote."""
    return label_log_probabilities(load_headed(folder))


def _labelled(rows: Sequence[tuple[str, str]], labels: Sequence[str]) -> list[Labelled]:
    place = {label: at for at, label in enumerate(labels)}
    return [Labelled(text, place[label]) for text, label in rows]
