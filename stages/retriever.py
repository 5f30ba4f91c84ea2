"""Retriever: fine-tune the classifier from dialogue, query and context to the function (paper 3.1, App. D)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.classifier import LabellingConfig
from supertiny.model.train import TrainMachine
from supertiny.retrieval.classifier import RetrieverSizes, train_classifier


def main(encoder: Path, functions: Path, examples: Path, dev: Path, out: Path, log: Path) -> None:
    """Train `encoder` on the calls of the labelled `examples`; write the model to `out`, the loss curve to `log`."""
    cfg, sizes = load("retriever", LabellingConfig), load_profile("retriever", RetrieverSizes)
    machine = load_profile("train", TrainMachine)
    pool = read_functions(functions)
    rows = read_examples(examples, pool)[: sizes.examples or None]
    train_classifier(encoder, rows, read_examples(dev, pool), out, log, cfg, machine, seed())


if __name__ == "__main__":
    run(main)
