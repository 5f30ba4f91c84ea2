"""Table 7 here: a student by RFT and by every divergence, several seeds each, as queued DVC experiments.

    python -m benchmarks.table7 --seeds 0,1,2 --out benchmarks/table7

Queues one experiment a divergence and seed of the order of the training prompts, runs them one after another, and
writes every result to `out`.json and the means and ranges to `out`.md. An experiment that is there already is not run
again, nor is any stage that an earlier one ran with the same parameters (DVC's run cache). On the committed graph
only the students' own stages run: the teacher's logits are kept.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dvc.api

from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_text
from supertiny.core.machine import describe
from supertiny.core.stage import run
from supertiny.report.markdown import number, table

STUDENT = "tiny"
VARIANTS: dict[str, dict[str, Any]] = {
    "FKL": {"loss": "fkl"},
    "AKL, mu .5": {"loss": "akl", "mu": 0.5},
    "AKL, mu .7": {"loss": "akl", "mu": 0.7},
    "AKL, mu .9": {"loss": "akl", "mu": 0.9},
    "AKL, mu 1 to .5": {"loss": "akl", "mu": 0.5, "mu_start": 1.0},
}
SPLITS = {"test": "AR", "ood": "AR OOD", "ood_seen": "seen", "ood_unseen": "unseen"}
TARGETS = [f"evaluate@{STUDENT}_rft", f"evaluate@{STUDENT}_kd"]


def main(seeds: str, out: Path) -> None:
    """Run what is missing for each of the comma-separated `seeds`, and write the tables."""
    wanted = {name(variant, seed): (variant, seed) for seed in _seeds(seeds) for variant in VARIANTS}
    known = _experiments()
    missing = [experiment for experiment in wanted if experiment not in known]
    for experiment in missing:
        variant, seed = wanted[experiment]
        changes = {f"distill.{key}": value for key, value in VARIANTS[variant].items()}
        changes["teaching.shuffle_seed"] = seed
        overrides = [part for key, value in changes.items() for part in ("-S", f"{key}={value}")]
        _dvc("exp", "run", "--queue", "--name", experiment, *overrides, *TARGETS)
    if missing:
        _dvc("exp", "run", "--run-all")
    if failed := sorted(wanted.keys() - _experiments()):
        raise UserError(f"{failed[0]} failed; `dvc queue logs {failed[0]}` says why")
    rows = [row for experiment, of in wanted.items() for row in _rows(experiment, *of)]
    write_json(out.with_suffix(".json"), {"machine": describe(), "student": STUDENT, "runs": rows})
    write_text(out.with_suffix(".md"), summary(rows))


def name(variant: str, seed: int) -> str:
    """The experiment's name: words of the variant and the seed.

    >>> name("AKL, mu 1 to .5", 2)
    'table7-akl-mu-1-to-5-seed-2'
    """
    words = "".join(char if char.isalnum() else " " for char in variant.lower()).split()
    return "-".join(["table7", *words, "seed", str(seed)])


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Mean over seeds and the lowest and highest of them, a line a variant."""
    lines = []
    for variant in dict.fromkeys(row["variant"] for row in rows):
        mine = [row for row in rows if row["variant"] == variant]
        lines.append([variant, str(len(mine)), *(_spread([row[split] for row in mine]) for split in SPLITS)])
    return table(["student", "seeds", *SPLITS.values()], lines) + "\n"


def _rows(experiment: str, variant: str, seed: int) -> list[dict[str, Any]]:
    """The rates of one experiment; RFT is the same under every divergence, so it is taken of the first."""
    models = {variant: f"{STUDENT}_kd"} | ({"RFT": f"{STUDENT}_rft"} if variant == next(iter(VARIANTS)) else {})
    found = []
    for title, model in models.items():
        rates = json.loads(dvc.api.read(f"data/results/{model}/rates.json", rev=experiment))
        found.append({"variant": title, "seed": seed} | {split: rates[split]["ar"] for split in SPLITS})
    return found


def _experiments() -> set[str]:
    """Names of the experiments of this commit."""
    return set(_dvc("exp", "list", "--name-only").split())


def _dvc(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments)} failed; it says above why")
    return done.stdout


def _seeds(text: str) -> list[int]:
    try:
        return [int(one) for one in text.split(",")]
    except ValueError:
        raise UserError(f"--seeds: expected integers with commas between them, got {text!r}") from None


def _spread(values: Sequence[float]) -> str:
    return f"{number(statistics.mean(values))} ({number(min(values))} to {number(max(values))})"


if __name__ == "__main__":
    run(main)
