"""Baseline: train the traditional system that the paper replaces, domain classifier, intent-slot models (3.1)."""

from pathlib import Path

from supertiny.baseline.parts import BaselineConfig, BaselineSizes
from supertiny.baseline.train import train
from supertiny.core.config import load, load_profile, seed
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.train import TrainMachine


def main(encoder: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path) -> None:
    """Train all parts on the first answers of `examples`; write them to folder `out`, the curves to `log`."""
    cfg, prompt = load("baseline", BaselineConfig), load("prompt", PromptConfig)
    sizes, machine = load_profile("baseline", BaselineSizes), load_profile("train", TrainMachine)
    pool = read_functions(functions)
    rows = read_examples(examples, pool)[: sizes.examples or None]
    dev_rows = read_examples(dev, pool)[: sizes.dev_examples or None]
    train(encoder, rows, dev_rows, pool, out, log, cfg, machine, prompt.history_turns, seed())


if __name__ == "__main__":
    run(main)
