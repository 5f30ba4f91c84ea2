"""Distill: teach a student, or a pruned model, its teacher's next-token distribution (paper 3.2, 3.3, Eq. 3-5)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.stage import run
from supertiny.distill.divergence import DistillConfig
from supertiny.model.train import TrainMachine
from supertiny.sft.packs import SftConfig, read_training_set


def main(
    section: str, student: Path, logits: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path
) -> None:
    """Train `student` on the cached teacher `logits` of `examples`, as long as `section` of params.yaml says.

    The model goes to `out`, the loss curve to `log`.
    """
    cfg, teaching = load("distill", DistillConfig), load(section, SftConfig)
    distill = engines.get(load_profile("engines", Engines).distill, "distill")
    data, machine = read_training_set(functions, examples, dev), load_profile("train", TrainMachine)
    distill(student, logits, data, out, log, cfg, teaching, machine)


if __name__ == "__main__":
    run(main)
