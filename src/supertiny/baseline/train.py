"""Train the two encoders of the traditional system, one after the other, from the same pretrained one."""

from collections.abc import Sequence
from csv import DictReader
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from supertiny.baseline.config import BaselineConfig, BaselineSizes, PartConfig
from supertiny.baseline.labels import domain_rows, domains, frame_rows, intents, slot_tags, targets
from supertiny.core.calls import Pool
from supertiny.core.files import whole_folder, write_csv
from supertiny.core.records import Example
from supertiny.core.resume import resumable
from supertiny.model.checkpoint import load_tokenizer
from supertiny.model.fit import Run, fit
from supertiny.model.heads import NONE, HeadedEncoder, Labelled, TextBatch, collate
from supertiny.model.training import TrainMachine

DOMAIN, FRAME = "domain", "frame"
"""folders of the two parts"""
WINDOW = 16
"""steps whose texts are sorted by length together, so that a step holds texts of like length"""

Scores = dict[str, Tensor]
Micro = Sequence[Labelled]


def train(
    encoder: Path,
    examples: Sequence[Example],
    dev: Sequence[Example],
    pool: Pool,
    out: Path,
    log: Path,
    cfg: BaselineConfig,
    sizes: BaselineSizes,
    machine: TrainMachine,
    history_turns: int,
    seed: int,
) -> None:
    """Train both parts; write them to folders of `out`, loss and dev accuracy of every epoch to `log`.

    Deviation from a system with a model a domain: one encoder serves all domains, and only the intents and slots of
    the domain that the classifier chose can be answered. The last weights are kept: the rate falls to zero along the
    epochs, whose number is tuned on dev.
    """
    found, dev_found = targets(examples, pool, history_turns), targets(dev, pool, history_turns)
    tokenizer = load_tokenizer(encoder)
    labels, tags = intents(found, cfg.min_count), slot_tags(found)
    parts = {
        DOMAIN: (cfg.domain, domains(pool), [], [domain_rows(one, domains(pool)) for one in (found, dev_found)]),
        FRAME: (cfg.frame, labels, tags, [frame_rows(one, labels, tags, tokenizer) for one in (found, dev_found)]),
    }
    curve: list[dict[str, Any]] = []
    with resumable("baseline", encoder, cfg, sizes, machine, seed, pool, found, dev_found) as state:
        with whole_folder(out) as partial:
            for name, (part, part_labels, part_tags, (rows, dev_rows)) in parts.items():
                torch.manual_seed(seed)  # the heads start at random
                scorer = HeadedEncoder(encoder, part_labels, part_tags)
                rates = _fit(scorer, rows, dev_rows, part, sizes.batch_size, machine, seed, state / name)
                curve += [{"part": name, **row, "step": len(curve) + at} for at, row in enumerate(rates, 1)]
                scorer.save(_made(partial / name))
        write_csv(log, curve)


def nll(scores: Scores, batch: TextBatch) -> Tensor:
    """-log p(label) - sum over tokens of log p(tag), summed over texts: the whole frame's, in fp32."""
    total = nn.functional.cross_entropy(scores["label"].float(), batch.targets, reduction="sum")
    if "tag" in scores:
        flat = scores["tag"].float().flatten(0, 1)
        total = total + nn.functional.cross_entropy(flat, batch.tags.flatten(), reduction="sum", ignore_index=NONE)
    return total


def num_wrong(scores: Scores, batch: TextBatch) -> Tensor:
    """Texts whose best label or the best tag of some token is wrong."""
    right = scores["label"].argmax(-1) == batch.targets
    if "tag" in scores:
        right &= ((scores["tag"].argmax(-1) == batch.tags) | (batch.tags == NONE)).all(-1)
    return (~right).sum().float()


def plan(rows: Sequence[Labelled], cfg: PartConfig, at_once: int, rng: Random) -> list[list[Micro]]:
    """The whole run: every row once an epoch, texts of like length in a step, micro-batches of at most `at_once`."""
    steps: list[list[Micro]] = []
    for _ in range(cfg.epochs):
        order = list(rows)
        rng.shuffle(order)
        epoch: list[list[Micro]] = []
        for start in range(0, len(order), WINDOW * cfg.batch_size):
            window = sorted(order[start : start + WINDOW * cfg.batch_size], key=lambda row: len(row.text))
            epoch += [_cut(window[at : at + cfg.batch_size], at_once) for at in range(0, len(window), cfg.batch_size)]
        rng.shuffle(epoch)
        steps += epoch
    return steps


def _fit(
    scorer: HeadedEncoder,
    rows: Sequence[Labelled],
    dev: Sequence[Labelled],
    cfg: PartConfig,
    at_once: int,
    machine: TrainMachine,
    seed: int,
    state: Path,
) -> list[dict[str, Any]]:
    """Train one part; the rows of its log, with the dev accuracy after every epoch."""

    def loss(scores: Scores, batch: TextBatch) -> Tensor:
        return (nll if torch.is_grad_enabled() else num_wrong)(scores, batch)  # `fit` measures dev without gradients

    run = Run(
        plan(rows, cfg, at_once, Random(seed)),
        load=lambda micro: collate(scorer.tokenizer, micro),
        dev=_cut(sorted(dev, key=lambda row: len(row.text)), at_once),
        dev_points=cfg.epochs if dev else 0,
    )
    log = _made(state) / "log.csv"
    fit(scorer, run, loss, cfg.fit, machine, seed, log, state)
    with log.open(encoding="utf-8", newline="") as file:
        return [_renamed(row) for row in DictReader(file)]


def _renamed(row: dict[str, str]) -> dict[str, Any]:
    wrong = row.pop("dev_loss")
    return {**row, "dev_accuracy": round(1 - float(wrong), 4) if wrong else ""}


def _cut(rows: Sequence[Labelled], size: int) -> list[Micro]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
