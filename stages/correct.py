"""Correct: a general teacher learns the general texts before it teaches on them (paper App. I)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.stage import run
from supertiny.model.train import TrainMachine
from supertiny.sft.general import read_general
from supertiny.sft.packs import SftConfig


def main(base: Path, texts: Path, out: Path, log: Path) -> None:
    """Train `base` on the answers of `texts`; write the model to `out`, the loss curve to `log`."""
    cfg, machine = load("general", SftConfig), load_profile("train", TrainMachine)
    correct = engines.get(load_profile("engines", Engines).sft, "correct")
    correct(base, read_general(texts), out, log, cfg, machine)


if __name__ == "__main__":
    run(main)
