"""Distill: teach a student, or a pruned model, its teacher's next-token distribution (paper 3.2, 3.3, Eq. 3-5)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile
from supertiny.core.stage import run
from supertiny.distill.config import DistillConfig
from supertiny.engines.training import StoredLogits, TrainingPlan
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.model.trained import training
from supertiny.sft.packs import read_training_set


def main(name: str, base: Path, logits: Path, rows: Path, data: Path, out: Path, log: Path) -> None:
    """Train `base` on the stored teacher `logits` of `rows`, as long as `trained.distill.<name>` says.

    The model goes to `out`, the loss curve to `log`.
    """
    cfg, divergence = training("distill", name), load("distill", DistillConfig)
    train, learned = engines.chosen("train"), read_training_set(data, rows)
    plan = TrainingPlan(rows=learned, cfg=cfg, teacher=StoredLogits(logits), divergence=divergence)
    train(plan, Job(base, out, log, load_profile("train", TrainMachine)))


if __name__ == "__main__":
    run(main)
