"""SFT: teach a model to answer with the right call, a base model or a student (paper Eq. 1-2, Table 7's RFT)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.stage import run
from supertiny.model.train import TrainMachine
from supertiny.sft.packs import SftConfig, read_training_set


def main(section: str, base: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path) -> None:
    """Train `base` on the labelled `examples` as `section` of params.yaml says; model to `out`, loss curve to `log`."""
    cfg, machine = load(section, SftConfig), load_profile("train", TrainMachine)
    train = engines.get(load_profile("engines", Engines).sft, "sft")
    train(base, read_training_set(functions, examples, dev), out, log, cfg, machine)


if __name__ == "__main__":
    run(main)
