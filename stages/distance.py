"""Distance: how far the students are from their teacher on dev answers, slot by slot (paper Eq. 3-5, Table 7)."""

from pathlib import Path

from supertiny.core.config import load, load_profile
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.distill.config import DistillConfig
from supertiny.distill.distance import distances
from supertiny.distill.store import CacheReader
from supertiny.model.config import TrainMachine
from supertiny.sft.packs import read_training_set


def main(before: Path, rft: Path, kd: Path, logits: Path, rows: Path, data: Path, out: Path) -> None:
    """Compare a student before teaching, after RFT and after KD with the stored teacher on dev; write to `out`."""
    cfg, machine = load("distill", DistillConfig), load_profile("train", TrainMachine)
    with CacheReader(logits) as cache:
        models = {"before": before, "rft": rft, "kd": kd}
        found = distances(models, cache, read_training_set(data, rows), cfg, machine.max_tokens)
    write_json(out, {"loss": cfg.loss, "mu": cfg.mu, "models": found})


if __name__ == "__main__":
    run(main)
