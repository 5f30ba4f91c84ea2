"""Train the encoders of the traditional system: the domain classifier, the frames of all domains, then each's own."""

import shutil
from collections.abc import Sequence
from csv import DictReader
from pathlib import Path
from typing import Any

import torch
from torch import nn

from supertiny.baseline.config import BaselineConfig
from supertiny.baseline.labels import targets
from supertiny.baseline.parts import ALL, Part, known_domains, parts, write_domains
from supertiny.core.calls import Pool
from supertiny.core.files import whole_folder, write_csv
from supertiny.core.records import Example
from supertiny.core.stage import resumable
from supertiny.model.checkpoint import load_tokenizer
from supertiny.model.classifier import labelling_run
from supertiny.model.config import LabellingConfig, TrainMachine
from supertiny.model.encoder import HeadedEncoder, load_headed
from supertiny.model.train import Job, fit


def narrowed(model: HeadedEncoder, labels: Sequence[str], tags: Sequence[str]) -> HeadedEncoder:
    """`model` in place with these of its labels and tags alone: their scores are what they were."""
    wanted = {"label": (model.labels, labels), "tag": (model.tags, tags)}
    heads = {name: _rows(model.heads[name], *names) for name, names in wanted.items() if names[1]}
    model.labels, model.tags, model.heads = list(labels), list(tags), nn.ModuleDict(heads)
    return model


def _rows(head: nn.Module, names: Sequence[str], kept: Sequence[str]) -> nn.Linear:
    """The rows of a linear head that score `kept`."""
    assert isinstance(head, nn.Linear)
    rows = [names.index(name) for name in kept]
    fewer = nn.Linear(head.in_features, len(rows))
    with torch.no_grad():
        fewer.weight.copy_(head.weight[rows])
        fewer.bias.copy_(head.bias[rows])
    return fewer


LOG = "log.csv"
"""the losses of one part, beside its weights until all are done"""

Row = dict[str, Any]


def train(
    job: Job,
    examples: Sequence[Example],
    dev: Sequence[Example],
    pool: Pool,
    cfg: BaselineConfig,
    history_turns: int,
    seed: int,
) -> None:
    """Train every part of the job's encoder; write them to folders of its out, the losses after every epoch to its log.

    The last weights are kept, for the rate falls to zero along the epochs. A killed run keeps the parts that were done.
    """
    encoder, machine = job.base, job.machine
    found, dev_found = targets(examples, pool, history_turns), targets(dev, pool, history_turns)
    curve: list[Row] = []
    with resumable("baseline", encoder, cfg, machine, seed, pool, found, dev_found) as state:
        done = state / "done"
        for part in parts(found, dev_found, pool, load_tokenizer(encoder), cfg):
            if not (done / part.name).is_dir():
                torch.manual_seed(seed)  # new heads start at random
                scorer = (
                    narrowed(load_headed(done / part.start), part.labels, part.tags)
                    if part.start
                    else HeadedEncoder(encoder, part.labels, part.tags)
                )
                _train_part(scorer, part, machine, seed, state / "now" / part.name, done / part.name)
            for row in _losses(done / part.name):
                curve.append({"part": part.name, **row, "step": len(curve) + 1})
        with whole_folder(job.out) as partial:
            shutil.copytree(done, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(LOG, ALL))
            write_domains(partial, known_domains(found, cfg.min_count))
        write_csv(job.log, curve)


def _train_part(scorer: HeadedEncoder, part: Part, machine: TrainMachine, seed: int, state: Path, out: Path) -> None:
    """Train one part; write its weights and its log to folder `out`, whole or not at all."""
    epochs = part.cfg.epochs_of(len(part.rows))
    cfg = LabellingConfig(epochs=epochs, texts_a_step=part.cfg.texts_a_step, dev_points=epochs, fit=part.cfg.fit)
    run = labelling_run(scorer, part.rows, part.dev_rows, cfg, machine, seed)
    state.mkdir(parents=True, exist_ok=True)
    with whole_folder(out) as partial:
        fit(scorer, run, part.cfg.fit, machine, seed, partial / LOG, state)
        scorer.save(partial)
    shutil.rmtree(state)


def _losses(folder: Path) -> list[Row]:
    with (folder / LOG).open(encoding="utf-8", newline="") as file:
        return list(DictReader(file))
