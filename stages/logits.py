"""Logits: the calibrated teacher's distribution at every response token, kept once for all students (App. G)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile
from supertiny.core.files import write_json
from supertiny.core.machine import Engines
from supertiny.core.stage import run
from supertiny.distill.cache import CacheReader, LogitsSizes, describe
from supertiny.distill.rows import LogitsConfig
from supertiny.model.training import TrainMachine
from supertiny.sft.training_set import read_training_set


def main(teacher: Path, functions: Path, examples: Path, dev: Path, out: Path, report: Path) -> None:
    """Write the top-k log-probabilities of `teacher` on both sets to folder `out`, what they take to `report`."""
    cfg, sizes = load("logits", LogitsConfig), load_profile("logits", LogitsSizes)
    machine = load_profile("train", TrainMachine)
    logits = engines.get(load_profile("engines", Engines).logits, "logits")
    logits(teacher, read_training_set(functions, examples, dev), out, cfg, sizes, machine)
    with CacheReader(out) as reader:
        write_json(report, describe(reader))


if __name__ == "__main__":
    run(main)
