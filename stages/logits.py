"""Logits: the calibrated teacher's distribution at every response token, kept once for all students (App. G)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.config import load, load_profile
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.distill.config import LogitsConfig, LogitsSizes
from supertiny.distill.store import CacheReader, summary
from supertiny.model.config import TrainMachine
from supertiny.sft.packs import read_training_set


def main(teacher: Path, rows: Path, data: Path, out: Path, report: Path) -> None:
    """Write the top-k log-probabilities of `teacher` on `rows` and dev to folder `out`, what they take to `report`."""
    cfg, sizes = load("logits", LogitsConfig), load_profile("sizes.logits", LogitsSizes)
    machine, logits = load_profile("train", TrainMachine), engines.chosen("logits")
    logits(teacher, read_training_set(data, rows), out, cfg, sizes, machine)
    with CacheReader(out) as reader:
        write_json(report, summary(reader))


if __name__ == "__main__":
    run(main)
