"""Recover: a pruned student learns general instructions from its corrected teacher, step one of two (paper App. I)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.stage import run
from supertiny.distill.divergence import DistillConfig
from supertiny.model.train import TrainMachine
from supertiny.sft.general import read_general
from supertiny.sft.packs import SftConfig


def main(student: Path, teacher: Path, texts: Path, out: Path, log: Path) -> None:
    """Train `student` on what `teacher` says at `texts`; write the model to `out`, the loss curve to `log`."""
    cfg, teaching = load("distill", DistillConfig), load("general", SftConfig)
    recover = engines.get(load_profile("engines", Engines).distill, "recover")
    recover(student, teacher, read_general(texts), out, log, cfg, teaching, load_profile("train", TrainMachine))


if __name__ == "__main__":
    run(main)
