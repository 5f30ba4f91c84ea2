"""What makes the best fine-tuned model: one change at a time against one way to train, on the same examples.

    python -m benchmarks.choices --model data/models/llm --dataset data/dataset --examples data/rft/train.jsonl \
        --out benchmarks/choices

Each choice trains on the same first examples and answers the same test queries; its result is a file of its own in
`out`, and a choice that has one is not run again. `out`.md is the table. The way they change is that of params.yaml
with every block learning. Minutes stand in the files; they compare only where the machine had nothing else to do.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.answered import answered
from benchmarks.kept import measured
from supertiny.compress.config import ShrinkConfig
from supertiny.compress.shrink import Texts, shrink
from supertiny.core.ask import DecodeConfig
from supertiny.core.config import load, load_over, load_profile
from supertiny.core.files import write_text
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, read_examples, read_functions
from supertiny.core.stage import run
from supertiny.engines.native.train import train
from supertiny.engines.training import TrainingPlan
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.model.trained import way_to_train
from supertiny.prototype.ablation import fewer
from supertiny.report.tables import number, rate, table
from supertiny.sft.groups import PackConfig
from supertiny.sft.packs import TrainingSet

EXAMPLES, DEV, TEST, OOD, SEED = 1200, 24, 300, 150, 0

EVERY_BLOCK_LEARNS = {"blocks": 0.0}
CHOICES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "candidates described": {"prompt": {"describe": True}},
    "5 candidates": {"candidates": 5},
    "function dropout .3": {"pack": {"function_dropout": 0.3}},
    "a third of the blocks frozen": {"frozen": {"blocks": 0.34}},
    "half of the blocks frozen": {"frozen": {"blocks": 0.5}},
    "all lists whole": {"pack": {"whole": 1.0}},
    "no substitution": {"pack": {"substitution": 0.0}},
    "four groups a step": {"sft": {"groups_a_step": 4}},
    "24 of 30 layers": {"blocks": 0.8},
}


def main(model: Path, dataset: Path, examples: Path, out: Path) -> None:
    """Measure each choice that has no file in `out` yet, and write the table."""
    found = measured(CHOICES, out, lambda change: measure(model, dataset, examples, change))
    write_text(out.with_suffix(".md"), _table(found))


def measure(model: Path, dataset: Path, examples: Path, change: dict[str, Any]) -> dict[str, Any]:
    """Train `model` with one change, and let it answer."""
    prompt = replace(load("prompt", PromptConfig), **change.get("prompt", {}))
    packing = replace(load("pack", PackConfig), **change.get("pack", {}))
    cfg = replace(way_to_train("sft"), **change.get("sft", {}))
    cfg = replace(cfg, frozen=replace(cfg.frozen, **(EVERY_BLOCK_LEARNS | change.get("frozen", {}))))
    decode = load("decode", DecodeConfig)
    pool = read_functions(dataset / "functions.json")

    def rows(path: Path, number: int) -> list[Example]:
        return fewer(read_examples(path, pool)[:number], change.get("candidates"))

    with tempfile.TemporaryDirectory() as scratch:
        base, tuned = model, Path(scratch) / "tuned"
        data = TrainingSet(rows(examples, EXAMPLES), rows(dataset / "dev.jsonl", DEV), pool, packing, prompt, SEED)
        if "blocks" in change:
            base = Path(scratch) / "base"
            shape = load_over(("shrink", "trained.shrink.tiny"), ShrinkConfig)
            shape = replace(shape, blocks=change["blocks"], trim_vocabulary=False)
            shrink(model, Texts(data, [], None), shape, base)
        started = time.perf_counter()
        plan = TrainingPlan(rows=data, cfg=cfg, teacher=None, divergence=None)
        train(plan, Job(base, tuned, Path(scratch) / "log.csv", load_profile("train", TrainMachine)))
        minutes = (time.perf_counter() - started) / 60
        splits = {"test": rows(dataset / "test.jsonl", TEST), "ood": rows(dataset / "ood.jsonl", OOD)}

        def rates(how: DecodeConfig) -> dict[str, Any]:
            return answered(tuned, splits, pool, prompt, how, SEED)[0]

        result = {"change": change, "examples": EXAMPLES, "train_minutes": round(minutes, 2), "rates": rates(decode)}
        if not change:
            result["free_rates"] = rates(replace(decode, constrained=False))
    return result


def _table(results: Sequence[dict[str, Any]]) -> str:
    head = ["choice", "AR", "AR OOD", "seen", "unseen", "wrong refusals", "prompt tokens"]
    lines = []
    for one in results:
        lines.append(_row(one["name"], one["rates"]))
        if "free_rates" in one:
            lines.append(_row("free decoding", one["free_rates"]))
    return table(head, lines) + "\n"


def _row(name: str, rates: dict[str, Any]) -> list[str]:
    return [
        name,
        *(rate(rates[split]) for split in ("test", "ood", "ood_seen", "ood_unseen")),
        number(rates["test"]["failures"]["wrong refusal"]),
        number(rates["workload"]["prompt_tokens"], 0),
    ]


if __name__ == "__main__":
    run(main)
