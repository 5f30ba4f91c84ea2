"""How long the traditional system should train: AR on dev for several plans, on the training set of all systems.

    python -m benchmarks.traditional --encoder data/models/encoder --dataset data/dataset \
        --examples data/rft/train.jsonl --out benchmarks/traditional

Each plan's result is a file of its own in `out`, and a plan that has one is not run again; `out`.md is the table. The
domain classifier and the models of single domains train as params.yaml says; the model of all domains, which those
begin as, is what changes. Plans are compared by AR, which the dev loss does not rank alike.
"""

import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.kept import measured, timed
from supertiny.baseline.config import BaselineConfig
from supertiny.baseline.parts import ALL
from supertiny.baseline.train import train
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_text
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.engines.systems import Places, open_system
from supertiny.measure.evaluate import rate as rates_of
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.report.tables import number, rate, table

PLANS: dict[str, dict[str, float]] = {
    "8 epochs": {"epochs": 8, "texts_a_step": 16, "learning_rate": 5e-4},
    "8 epochs, 32 texts a step": {"epochs": 8, "texts_a_step": 32, "learning_rate": 7e-4},
    "16 epochs, 32 texts a step": {"epochs": 16, "texts_a_step": 32, "learning_rate": 7e-4},
}


def main(encoder: Path, dataset: Path, examples: Path, out: Path) -> None:
    """Measure each plan that has no file in `out` yet, and write the table."""
    found = measured(PLANS, out, lambda plan: measure(encoder, dataset, examples, plan))
    write_text(out.with_suffix(".md"), _table(found))


def measure(encoder: Path, dataset: Path, examples: Path, plan: Mapping[str, float]) -> dict[str, Any]:
    """Train the whole system by one plan, and let it answer the dev queries."""
    cfg, prompt = load("baseline", BaselineConfig), load("prompt", PromptConfig)
    joint = cfg.all_domains
    fit = replace(joint.fit, learning_rate=plan["learning_rate"])
    joint = replace(joint, epochs=int(plan["epochs"]), texts_a_step=int(plan["texts_a_step"]), fit=fit)
    pool = read_functions(dataset / "functions.json")
    rows, dev = read_examples(examples, pool), read_examples(dataset / "dev.jsonl", pool)
    with tempfile.TemporaryDirectory() as scratch:
        model, log = Path(scratch) / "model", Path(scratch) / "log.csv"
        job, how = Job(encoder, model, log, load_profile("train", TrainMachine)), replace(cfg, all_domains=joint)
        _, minutes = timed(lambda: train(job, rows, dev, pool, how, prompt.history_turns, seed()))
        system = open_system("traditional", Places(model=model, encoder=encoder, data=dataset, pool=pool))
        rates, _ = rates_of({"dev": dev}, system.answer(dev), seed())
        with log.open(encoding="utf-8", newline="") as file:
            losses = [float(row["dev_loss"]) for row in csv.DictReader(file) if row["part"] == ALL and row["dev_loss"]]
    return {
        "plan": dict(plan),
        "examples": len(rows),
        "train_minutes": round(minutes, 2),
        "rates": rates["dev"],
        "dev_losses": losses,
    }


def _table(results: Sequence[dict[str, Any]]) -> str:
    head = ["plan of the model of all domains", "AR on dev", "n", "its lowest dev loss", "its last"]
    lines = [
        [
            one["name"],
            rate(one["rates"]),
            str(one["rates"]["n"]),
            number(min(one["dev_losses"])),
            number(one["dev_losses"][-1]),
        ]
        for one in results
    ]
    return table(head, lines) + "\n"


if __name__ == "__main__":
    run(main)
