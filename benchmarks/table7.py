"""Table 7 here: a student by RFT and by every divergence, several seeds each, as queued DVC experiments.

    OMP_NUM_THREADS=1 python -m benchmarks.table7 --seeds 0,1,2 --jobs 2 --out benchmarks/table7     # two hours

On a committed and built graph: queues one experiment a divergence and seed of the order of the training prompts, runs
the queue (with whatever else stands in it) `jobs` at a time, and writes every result to `out`.json, means, ranges and
paired differences to `out`.md. What an earlier call ran or queued is not queued again, nor is any stage run again with
the parameters of one that has ended (DVC's run cache). Only the students' own stages run; the teacher's logits stay.
"""

import csv
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dvc.api
import numpy as np

from supertiny.core.errors import UserError
from supertiny.core.files import write_json, write_text
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.core.stats import spread
from supertiny.measure.evaluate import clusters
from supertiny.measure.load import machine_summary
from supertiny.report.tables import number, table

STUDENT = "tiny"
VARIANTS: dict[str, dict[str, Any]] = {
    "FKL": {"loss": "fkl"},
    "AKL, mu .5": {"loss": "akl", "mu": 0.5},
    "AKL, mu .7": {"loss": "akl", "mu": 0.7},
    "AKL, mu .9": {"loss": "akl", "mu": 0.9},
    "AKL, mu 1 to .5": {"loss": "akl", "mu": 0.5, "mu_start": 1.0},
}
SPLITS = {"test": "AR", "ood": "AR OOD", "ood_seen": "seen", "ood_unseen": "unseen"}
BASES = ("RFT", "FKL")
"""what every row is compared with, query by query"""
TARGETS = [f"evaluate@{STUDENT}_rft", f"evaluate@{STUDENT}_kd"]


def main(seeds: str, out: Path, jobs: str = "1") -> None:
    """Run what is missing for each of the comma-separated `seeds`, and write the tables."""
    # all seeds of a divergence one after another: what trains on answers has then ended before it is asked for again
    wanted = {name(variant, seed): (variant, seed) for variant in VARIANTS for seed in _seeds(seeds)}
    known = _experiments() | _waiting()
    missing = [experiment for experiment in wanted if experiment not in known]
    for experiment in missing:
        variant, seed = wanted[experiment]
        changes = {f"distill.{key}": value for key, value in VARIANTS[variant].items()}
        changes["++training.teaching.shuffle_seed"] = seed  # of the students alone
        overrides = [part for key, value in changes.items() for part in ("-S", f"{key}={value}")]
        _dvc("exp", "run", "--queue", "--name", experiment, *overrides, *TARGETS)
    if wanted.keys() & _waiting():
        _dvc("exp", "run", "--run-all", "--jobs", jobs)
    if failed := sorted(wanted.keys() - _experiments()):
        raise UserError(f"{failed[0]} failed; `dvc queue logs {failed[0]}` says why")
    runs = [run for experiment, of in wanted.items() for run in _runs(experiment, *of)]
    found = summary(runs)
    kept = [{key: value for key, value in run.items() if key not in ("right", "clusters")} for run in runs]
    content = {"machine": machine_summary(), "commit": _commit(), "student": STUDENT, "runs": kept, "summary": found}
    write_json(out.with_suffix(".json"), content)
    write_text(out.with_suffix(".md"), _table(found))


def name(variant: str, seed: int) -> str:
    """The experiment's name: words of the variant and the seed.

    >>> name("AKL, mu 1 to .5", 2)
    'table7-akl-mu-1-to-5-seed-2'
    """
    words = "".join(char if char.isalnum() else " " for char in variant.lower()).split()
    return "-".join(["table7", *words, "seed", str(seed)])


def summary(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each variant and figure mean, least and most over seeds; and its AR less that of each of BASES.

    A difference is over the test queries, of each the share of seeds that answer it right; its 95 % interval is that of
    a bootstrap over their templates.
    """
    groups = {
        name: [run for run in runs if run["variant"] == name] for name in dict.fromkeys(r["variant"] for r in runs)
    }
    shares = {name: np.mean([run["right"] for run in group], axis=0) for name, group in groups.items()}
    found = []
    for variant, group in groups.items():
        row: dict[str, Any] = {"variant": variant, "seeds": len(group)}
        for key in (*SPLITS, "dev_cross_entropy"):
            values = [run[key] for run in group]
            row[key] = {"mean": round(statistics.mean(values), 5), "least": min(values), "most": max(values)}
        for base in BASES:
            if base != variant:
                gained = (shares[variant] - shares[base]).tolist()
                low, high = spread(group[0]["clusters"], gained, 0)
                row[f"less {base}"] = {"mean": round(statistics.mean(gained), 5), "low": low, "high": high}
        found.append(row)
    return found


def _table(found: Sequence[dict[str, Any]]) -> str:
    head = ["student", "seeds", *SPLITS.values(), "dev cross-entropy", *(f"AR less {base}'s" for base in BASES)]
    lines = []
    for row in found:
        spreads = [_spread(row[key]) for key in (*SPLITS, "dev_cross_entropy")]
        less = [_interval(row.get(f"less {base}")) for base in BASES]
        lines.append([row["variant"], str(row["seeds"]), *spreads, *less])
    return table(head, lines) + "\n"


def _runs(experiment: str, variant: str, seed: int) -> list[dict[str, Any]]:
    """What one experiment says; RFT is the same under every divergence, so it is taken of the first."""
    models = {"RFT": f"{STUDENT}_rft"} if variant == next(iter(VARIANTS)) else {}
    models[variant] = f"{STUDENT}_kd"
    found, of = [], _clusters(experiment)
    for title, model in models.items():
        rates = json.loads(_read(f"data/results/{model}/rates.json", experiment))
        answers = _read(f"data/results/{model}/answers.jsonl", experiment).splitlines()[: rates["test"]["n"]]
        curve = csv.DictReader(_read(f"data/logs/{model}.csv", experiment).splitlines())
        row: dict[str, Any] = {"variant": title, "seed": seed}
        row |= {split: rates[split]["ar"] for split in SPLITS}
        row["dev_cross_entropy"] = [float(point["dev_loss"]) for point in curve if point["dev_loss"]][-1]
        said = {one["id"]: one["correct"] for one in map(json.loads, answers)}
        found.append(row | {"right": list(said.values()), "clusters": [of[one] for one in said]})
    return found


def _clusters(experiment: str) -> dict[str, str]:
    """The cluster of each test query of an experiment."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("functions.json", "test.jsonl"):
            Path(scratch, name).write_text(_read(f"data/dataset/{name}", experiment), encoding="utf-8")
        return clusters(read_examples(Path(scratch, "test.jsonl"), read_functions(Path(scratch, "functions.json"))))


def _read(path: str, experiment: str) -> str:
    return str(dvc.api.read(path, rev=experiment))


def _experiments() -> set[str]:
    """Names of the experiments of this commit."""
    return set(_dvc("exp", "list", "--name-only").split())


def _waiting() -> set[str]:
    """Names of the experiments that are queued, or running."""
    rows = [line.split() for line in _dvc("queue", "status").splitlines()]
    return {row[1] for row in rows if len(row) > 2 and row[-1] in ("Queued", "Running")}


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


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


def _spread(one: dict[str, float]) -> str:
    return f"{number(one['mean'])} ({number(one['least'])} to {number(one['most'])})"


def _interval(one: dict[str, float] | None) -> str:
    return f"{one['mean']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]" if one else "-"


if __name__ == "__main__":
    run(main)
