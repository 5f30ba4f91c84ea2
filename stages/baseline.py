"""Baseline: train the traditional system that the paper replaces, domain classifier, intent-slot models (3.1)."""

from pathlib import Path

from supertiny.baseline.config import BaselineConfig, BaselineSizes
from supertiny.baseline.train import train
from supertiny.core.config import load, load_profile, seed
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job


def main(encoder: Path, rows: Path, data: Path, out: Path, log: Path) -> None:
    """Train all parts on the first answers of `rows`; write them to folder `out`, the curves to `log`."""
    cfg, prompt = load("baseline", BaselineConfig), load("prompt", PromptConfig)
    sizes = load_profile("sizes.baseline", BaselineSizes)
    job = Job(encoder, out, log, load_profile("train", TrainMachine))
    pool = read_functions(data / "functions.json")
    examples = read_examples(rows, pool)[: sizes.examples or None]
    dev = read_examples(data / "dev.jsonl", pool)[: sizes.dev_examples or None]
    train(job, examples, dev, pool, cfg, prompt.history_turns, seed())


if __name__ == "__main__":
    run(main)
