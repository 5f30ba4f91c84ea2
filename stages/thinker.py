"""Thinker: fine-tune a model to think before it answers: a cold start on rule-made thoughts, or KD* (App. B, E)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load_profile
from supertiny.core.stage import run
from supertiny.engines.training import TrainingPlan
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.model.trained import training
from supertiny.rl.thoughts import read_traces
from supertiny.sft.packs import read_training_set, with_replies


def main(name: str, base: Path, thoughts: Path, rows: Path, data: Path, out: Path, log: Path) -> None:
    """Train `base` on the `thoughts` of `rows`; write the model to `out`, the loss curve to `log`."""
    cfg, train = training("think", name), engines.chosen("train")
    replies = {example: one.text for example, one in read_traces(thoughts).items()}
    learned = with_replies(read_training_set(data, rows), replies)
    plan = TrainingPlan(rows=learned, cfg=cfg, teacher=None, divergence=None)
    train(plan, Job(base, out, log, load_profile("train", TrainMachine)))


if __name__ == "__main__":
    run(main)
