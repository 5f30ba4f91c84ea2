"""Reinforcement learning for longer than the graph has time for: learning curves, and what the policies answer then.

    python -m benchmarks.rl --models data/models --dataset data/dataset --examples data/rft/train.jsonl \
        --out benchmarks/rl

Each run's result is a file of its own in `out`, and a run that has one is not made again; a killed one goes on where it
was. `out`.md is the table, `out`.svg the curves. Everything but what stands in RUNS is as in params.yaml.
"""

import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.answered import answered
from benchmarks.kept import measured, timed
from supertiny.core.ask import DecodeConfig
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_text
from supertiny.core.records import UNSEEN, Example, read_examples
from supertiny.core.stage import run
from supertiny.core.stats import difference
from supertiny.engines.native.rl import rl
from supertiny.measure.evaluate import clusters
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.report.steps.rl import PANELS, draw
from supertiny.report.tables import number, rate, table
from supertiny.rl.config import RlConfig, RlMachine
from supertiny.sft.packs import TrainingSet, read_training_set

BATCHES = 16
DEV, DEV_OOD = slice(60, None), 100
"""rows that judge it: the first of dev chose the policy that is kept"""
COLUMNS = {"dev": "dev", "dev_ood_unseen": "dev_ood"}
RUNS: dict[str, dict[str, Any]] = {
    "student": {"base": "tiny_cold"},
    "student, candidates as they are": {"base": "tiny_cold", "pack": {"whole": 1.0, "function_dropout": 0.0}},
    "teacher": {"base": "thinking"},
    "student, twice as long": {"base": "tiny_cold", "rl": {"batches": 2 * BATCHES}},
    "student, no cold start": {"base": "tiny_kd", "rl": {"batches": 2 * BATCHES}},
}


def main(models: Path, dataset: Path, examples: Path, out: Path) -> None:
    """Make each run that has no file in `out` yet, and write the table and the curves."""
    data = read_training_set(dataset, examples)
    dev, new = (read_examples(dataset / f"{split}.jsonl", data.pool) for split in ("dev", "dev_ood"))
    splits = {"dev": dev[DEV], "dev_ood": new[:DEV_OOD]}
    found = measured(RUNS, out, lambda what: measure(models, data, splits, what))
    write_text(out.with_suffix(".md"), _table(found))
    draw([{"run": one["name"], **point} for one in found for point in one["curve"]], out.with_suffix(".svg"))


def measure(
    models: Path, data: TrainingSet, splits: Mapping[str, Sequence[Example]], what: Mapping[str, Any]
) -> dict[str, Any]:
    """Train one policy; let it and its start answer the same queries."""
    cfg = replace(load("rl", RlConfig), **{"batches": BATCHES} | what.get("rl", {}))
    data = replace(data, packing=replace(data.packing, **what.get("pack", {})))
    base = models / what["base"]
    with tempfile.TemporaryDirectory() as scratch:
        out, log = Path(scratch) / "policy", Path(scratch) / "log.csv"
        job, rollouts = Job(base, out, log, load_profile("train", TrainMachine)), load_profile("rollouts", RlMachine)
        _, minutes = timed(lambda: rl(job, data, cfg, rollouts))
        with log.open(encoding="utf-8", newline="") as file:
            curve = [{name: _number(row[name]) for name in ("step", *PANELS)} for row in csv.DictReader(file)]
        before, after = (_answered(model, data, splits) for model in (base, out))
    unseen = [row for row in splits["dev_ood"] if UNSEEN in row.tags]
    of = {"dev": clusters(splits["dev"]), "dev_ood_unseen": clusters(unseen)}
    gains = {}
    for name in COLUMNS:
        now, then = ([verdicts[one] for one in of[name]] for _, verdicts in (after, before))
        gains[name] = difference(list(of[name].values()), now, then, data.seed)
    return {
        **{"what": dict(what), "batches": cfg.batches, "replies_a_batch": cfg.prompts_a_batch * cfg.rollouts},
        **{"minutes": round(minutes, 2), "before": before[0], "after": after[0], "difference": gains, "curve": curve},
    }


def _answered(
    model: Path, data: TrainingSet, splits: Mapping[str, Sequence[Example]]
) -> tuple[dict[str, Any], dict[str, bool]]:
    """The rates of a model, and the verdict on each of its answers."""
    rates, rows = answered(model, splits, data.pool, data.prompt, load("decode", DecodeConfig), seed())
    return {name: rates[name] for name in (*COLUMNS, "workload")}, {row["id"]: row["correct"] for row in rows}


def _number(text: str) -> float | str:
    return float(text) if text else ""


def _table(found: Sequence[Mapping[str, Any]]) -> str:
    head = ["run", "minutes", "replies"]
    for title in COLUMNS.values():
        head += [f"AR, {title}, before", "after", "n", "difference"]
    lines = [
        [
            one["name"],
            number(one["minutes"], 1),
            number(one["batches"] * one["replies_a_batch"]),
            *(cell for split in COLUMNS for cell in _cells(one, split)),
        ]
        for one in found
    ]
    return table(head, lines) + "\n"


def _cells(one: Mapping[str, Any], split: str) -> list[str]:
    before, after = one["before"][split], one["after"][split]
    return [rate(before), rate(after), number(after["n"]), rate(one["difference"][split], "difference")]


if __name__ == "__main__":
    run(main)
