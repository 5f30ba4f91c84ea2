"""Describer: fine-tune the large model on the API descriptions that Algorithm 1 kept (paper App. D, Table 5)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.retrieval.config import DescribeConfig, DescriberConfig
from supertiny.retrieval.describe import examples_to_show
from supertiny.retrieval.train import read_lessons, train_describer


def main(base: Path, kept: Path, data: Path, out: Path, log: Path) -> None:
    """Train `base` on the `kept` descriptions of queries of the pool; model to `out`, the loss curve to `log`."""
    cfg, asking = load("describer", DescriberConfig), load("describe", DescribeConfig)
    pool = read_functions(data / "functions.json")
    shown = examples_to_show(read_examples(data / "expert.jsonl", pool), pool, asking.num_examples, seed())
    lessons = read_lessons(kept, read_examples(data / "train.jsonl", pool), shown, pool)
    train_describer(Job(base, out, log, load_profile("train", TrainMachine)), lessons, cfg, seed())


if __name__ == "__main__":
    run(main)
