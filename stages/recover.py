"""Recover: a pruned student learns what the general teacher says at general texts, step one of two (paper App. I)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile
from supertiny.core.stage import run
from supertiny.distill.config import DistillConfig
from supertiny.engines.training import AskedModel, TrainingPlan
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.model.trained import training
from supertiny.sft.general import read_general


def main(name: str, base: Path, teacher: Path, texts: Path, out: Path, log: Path) -> None:
    """Train `base` on what `teacher` says at `texts`; write the model to `out`, the loss curve to `log`."""
    cfg, divergence = training("recover", name), load("distill", DistillConfig)
    train = engines.chosen("train")
    plan = TrainingPlan(rows=read_general(texts), cfg=cfg, teacher=AskedModel(teacher), divergence=divergence)
    train(plan, Job(base, out, log, load_profile("train", TrainMachine)))


if __name__ == "__main__":
    run(main)
