"""Retrieval: recall@k of every retriever on the test queries, in domain and out (paper App. D, Table 5)."""

from pathlib import Path

from supertiny.core.config import load
from supertiny.core.files import write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.encoder import Encoder, load_headed
from supertiny.retrieval.recall import RetrievalConfig, table
from supertiny.retrieval.retrievers import ClassifierRetriever


def main(
    encoder: Path,
    classifier: Path,
    functions: Path,
    test: Path,
    ood: Path,
    out: Path,
    zero_shot: Path | None = None,
    optimized: Path | None = None,
) -> None:
    """Rank the functions for `test` and `ood`; files of API descriptions, where given, are rows of their own."""
    cfg = load("retrieval", RetrievalConfig)
    pool = read_functions(functions)
    splits = {"test": read_examples(test, pool), "ood": read_examples(ood, pool)}
    given = {"zero_shot": zero_shot, "optimized": optimized}
    written = {variant: path for variant, path in given.items() if path is not None}
    retriever = ClassifierRetriever(load_headed(classifier))
    write_json(out, table(retriever, Encoder(encoder).embed, pool, splits, written, cfg))


if __name__ == "__main__":
    run(main)
