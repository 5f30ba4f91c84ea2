"""Which student learns most in the same minutes: how deep, how wide, how much of it frozen.

    python -m benchmarks.students --models data/models --dataset data/dataset --examples data/rft/train.jsonl \
        --minutes 3 --out benchmarks/students

Every student is cut from the teacher `sft`, trains for about `minutes`, reading its data included (its speed is tried
first, then whole and part epochs are planned), as `training.teaching` says, and answers dev and dev_ood. Each result is
a file of its own in `out`, and a student that has one is not run again; only times of an idle machine compare. `out`.md
is the table.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from benchmarks.answered import answered
from benchmarks.kept import measured, timed
from supertiny.compress.config import ShrinkConfig
from supertiny.compress.cut import keep_layers
from supertiny.compress.shrink import Texts, shrink
from supertiny.core.ask import DecodeConfig
from supertiny.core.config import load, load_over, load_profile
from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.core.records import read_examples
from supertiny.core.stage import run
from supertiny.engines.native.train import train
from supertiny.engines.training import TrainingPlan
from supertiny.measure.size import model_size
from supertiny.model import checkpoint
from supertiny.model.batches import Pack
from supertiny.model.checkpoint import load_config, load_tokenizer
from supertiny.model.config import TrainingConfig, TrainMachine
from supertiny.model.flops import cost
from supertiny.model.train import Job
from supertiny.model.trained import way_to_train
from supertiny.report.tables import number, rate, table
from supertiny.sft.packs import TrainingSet, read_training_set

DEV, DEV_OOD, TRIAL_GROUPS = 200, 120, 6
CUT = ("shrink", "trained.shrink.tiny")
"""what a student is cut by, but for its shape"""


@dataclass(frozen=True, slots=True)
class Student:
    """One way to make and teach a student of the teacher."""

    blocks: int
    channels: int
    """of each block's feed-forward"""
    even: bool = False
    """which blocks stay: at equal distances, the last among them; false: those that change the hidden state most"""
    by_output: bool = False
    """which channels stay: by what they add to the block's output; false: by their activations (App. I)"""
    frozen: float = 0.0
    """share of its blocks, from the first, that do not learn"""


STUDENTS = {
    "20 blocks by importance, half frozen": Student(20, 1536, frozen=0.5),
    "30 blocks of 384 channels": Student(30, 384),
    "20 even blocks of 768 channels": Student(20, 768, even=True),
    "30 blocks of 384 channels by output": Student(30, 384, by_output=True),
    "30 blocks of 512 channels by output": Student(30, 512, by_output=True),
    "20 even blocks of 768 channels by output": Student(20, 768, even=True, by_output=True),
    "24 blocks by importance of 640 channels by output, half frozen": Student(24, 640, by_output=True, frozen=0.5),
    "30 blocks of 384 channels by output, half frozen": Student(30, 384, by_output=True, frozen=0.5),
    "27 blocks by importance of 512 channels by output": Student(27, 512, by_output=True),
}


def main(models: Path, dataset: Path, examples: Path, minutes: str, out: Path) -> None:
    """Teach each student that has no file in `out` yet, and write the table."""
    data = read_training_set(dataset, examples)
    budget = _minutes(minutes)
    found = measured(STUDENTS, out, lambda student: measure(student, models, dataset, data, budget))
    write_text(out.with_suffix(".md"), _table(found))


def measure(student: Student, models: Path, dataset: Path, data: TrainingSet, budget: float) -> dict[str, Any]:
    """Make one student, teach it for `budget` minutes, and let it answer."""
    teaching, decode = way_to_train("teaching"), load("decode", DecodeConfig)
    teaching = replace(teaching, frozen=replace(teaching.frozen, blocks=student.frozen))
    with tempfile.TemporaryDirectory() as scratch:
        base, made, taught = models / "sft", Path(scratch) / "made", Path(scratch) / "taught"
        if student.even:
            base = _even(base, student.blocks, Path(scratch) / "even")
        texts = Texts(data, read_examples(dataset / "train.jsonl", data.pool), None)
        shrink(base, texts, _shape(student, base), made)

        def teach(part: TrainingSet, how: TrainingConfig) -> float:
            plan = TrainingPlan(rows=part, cfg=how, teacher=None, divergence=None)
            job = Job(made, taught, Path(scratch) / "log.csv", load_profile("train", TrainMachine))
            return timed(lambda: train(plan, job))[1]

        part, how = _planned(data, teaching, budget, teach, load_tokenizer(made))
        took = teach(part, how)
        seen = sum(len(pack.branches) for pack in part.packs(load_tokenizer(made))) * how.epochs
        splits = {
            name: read_examples(dataset / f"{name}.jsonl", data.pool)[:rows]
            for name, rows in (("dev", DEV), ("dev_ood", DEV_OOD))
        }
        rates, _ = answered(taught, splits, data.pool, data.prompt, decode, data.seed)
        found = cost(model_size(taught), rates["workload"])
    return {
        "examples_seen": seen,
        "train_minutes": round(took, 2),
        "cost": found,
        "rates": rates,
    }


def _even(base: Path, num: int, out: Path) -> Path:
    """`base` with `num` of its blocks, the last and others at equal distances."""
    model, there = checkpoint.load_model(base), load_config(base).num_hidden_layers
    keep_layers(model, [(at + 1) * there // num - 1 for at in range(num)])
    checkpoint.save(model, load_tokenizer(base), out)
    return out


def _shape(student: Student, base: Path) -> ShrinkConfig:
    """As shares of what the base has."""
    there = load_config(base)
    return replace(
        load_over(CUT, ShrinkConfig),
        blocks=student.blocks / there.num_hidden_layers,
        channels=student.channels / there.intermediate_size,
        trim_vocabulary=True,
        inter_by="output" if student.by_output else "activations",
    )


def _planned(
    data: TrainingSet,
    cfg: TrainingConfig,
    budget: float,
    teach: Callable[[TrainingSet, TrainingConfig], float],
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[TrainingSet, TrainingConfig]:
    """As many of the first groups, or whole epochs of all, as fit into `budget` minutes at the speed of two trials."""
    few = replace(cfg, epochs=1, dev_points=0)
    teach(_part(data, 2), few)  # the first steps of a process are slow
    short, long = (teach(_part(data, number), few) for number in (TRIAL_GROUPS, 3 * TRIAL_GROUPS))
    affordable = TRIAL_GROUPS + int((budget - short) * 2 * TRIAL_GROUPS / (long - short))
    all_groups = len(data.packs(tokenizer))
    if affordable < all_groups:
        return _part(data, affordable), replace(cfg, epochs=1)
    return data, replace(cfg, epochs=round(affordable / all_groups))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(TrainingSet):
    """The first groups of a training set."""

    num_groups: int

    def packs(self, tokenizer: PreTrainedTokenizerBase) -> list[Pack]:
        """The first of them."""
        return TrainingSet.packs(self, tokenizer)[: self.num_groups]


def _part(data: TrainingSet, num_groups: int) -> Part:
    known = {field.name: getattr(data, field.name) for field in fields(TrainingSet)}
    return Part(**known, num_groups=num_groups)


def _minutes(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"--minutes: expected a number, got {text!r}") from None


def _table(results: Sequence[dict[str, Any]]) -> str:
    head = [
        "student",
        "parameters, M",
        "GFLOPs",
        "AR, dev",
        "AR, dev_ood",
        "answers learned from",
        "training, min",
        "on",
    ]
    lines = [
        [
            one["name"],
            number(one["cost"]["parameters_m"]),
            number(one["cost"]["gflops_gemm"]),
            rate(one["rates"]["dev"]),
            rate(one["rates"]["dev_ood_unseen"]),
            number(one["examples_seen"]),
            number(one["train_minutes"], 1),
            one["machine"]["cpu"],
        ]
        for one in results
    ]
    return table(head, lines) + "\n"


if __name__ == "__main__":
    run(main)
