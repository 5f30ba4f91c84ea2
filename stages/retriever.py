"""Retriever: fine-tune the classifier from dialogue, query and context to the function (paper 3.1, App. D)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.config import LabellingConfig, TrainMachine
from supertiny.model.train import Job
from supertiny.retrieval.config import RetrieverSizes
from supertiny.retrieval.train import train_classifier


def main(encoder: Path, rows: Path, data: Path, out: Path, log: Path) -> None:
    """Train `encoder` on the calls of the labelled `rows`; write the model to `out`, the loss curve to `log`."""
    cfg, sizes = load("retriever", LabellingConfig), load_profile("sizes.retriever", RetrieverSizes)
    job = Job(encoder, out, log, load_profile("train", TrainMachine))
    pool = read_functions(data / "functions.json")
    examples, dev = read_examples(rows, pool)[: sizes.examples or None], read_examples(data / "dev.jsonl", pool)
    train_classifier(job, examples, dev, cfg, seed())


if __name__ == "__main__":
    run(main)
