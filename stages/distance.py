"""Distance: how far the students are from their teacher on dev answers, slot by slot (paper Eq. 3-5, Table 7)."""

from pathlib import Path

from supertiny.core.config import load, load_profile
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.distill.distance import distances
from supertiny.distill.divergence import DistillConfig
from supertiny.distill.store import CacheReader
from supertiny.model.train import TrainMachine
from supertiny.sft.packs import read_training_set


def main(
    before: Path, rft: Path, kd: Path, logits: Path, functions: Path, examples: Path, dev: Path, out: Path
) -> None:
    """Compare a student before teaching, after RFT and after KD with the cached teacher on `dev`; write to `out`."""
    cfg, machine = load("distill", DistillConfig), load_profile("train", TrainMachine)
    data = read_training_set(functions, examples, dev)
    with CacheReader(logits) as cache:
        found = distances({"before": before, "rft": rft, "kd": kd}, cache, data, cfg, machine.max_tokens)
    write_json(out, {"loss": cfg.loss, "mu": cfg.mu, "models": found})


if __name__ == "__main__":
    run(main)
