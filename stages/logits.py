"""Logits: the calibrated teacher's distribution at every response token, kept once for all students (App. G)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import Engines, load, load_profile
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.distill.rows import LogitsConfig
from supertiny.distill.store import CacheReader, LogitsSizes, summary
from supertiny.model.train import TrainMachine
from supertiny.sft.packs import read_training_set


def main(teacher: Path, functions: Path, examples: Path, dev: Path, out: Path, report: Path) -> None:
    """Write the top-k log-probabilities of `teacher` on both sets to folder `out`, what they take to `report`."""
    cfg, sizes = load("logits", LogitsConfig), load_profile("logits", LogitsSizes)
    machine = load_profile("train", TrainMachine)
    logits = engines.get(load_profile("engines", Engines).logits, "logits")
    logits(teacher, read_training_set(functions, examples, dev), out, cfg, sizes, machine)
    with CacheReader(out) as reader:
        write_json(report, summary(reader))


if __name__ == "__main__":
    run(main)
