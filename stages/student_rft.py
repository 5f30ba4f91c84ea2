"""Student RFT: fine-tune a student on the accepted answers alone, without a teacher (paper Eq. 1-2, Table 7)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile
from supertiny.core.machine import Engines
from supertiny.core.stage import run
from supertiny.model.training import TrainMachine
from supertiny.sft.config import SftConfig
from supertiny.sft.training_set import read_training_set


def main(base: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path) -> None:
    """Train student `base` on the labelled `examples`; write the model to `out`, the loss curve to `log`."""
    teaching, machine = load("teaching", SftConfig), load_profile("train", TrainMachine)
    train = engines.get(load_profile("engines", Engines).sft, "sft")
    train(base, read_training_set(functions, examples, dev), out, log, teaching, machine)


if __name__ == "__main__":
    run(main)
