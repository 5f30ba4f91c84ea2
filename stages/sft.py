"""SFT: teach a model to answer, a base model, a student or who teaches general texts (paper Eq. 1-2, Table 7's RFT)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load_profile
from supertiny.core.stage import run
from supertiny.engines.training import TrainingPlan
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.model.trained import training
from supertiny.sft.general import read_rows


def main(name: str, base: Path, rows: Path, data: Path, out: Path, log: Path) -> None:
    """Train `base` on the answers in `rows` as `trained.sft.<name>` says; model to `out`, loss curve to `log`."""
    cfg, train = training("sft", name), engines.chosen("train")
    plan = TrainingPlan(rows=read_rows(rows, data), cfg=cfg, teacher=None, divergence=None)
    train(plan, Job(base, out, log, load_profile("train", TrainMachine)))


if __name__ == "__main__":
    run(main)
