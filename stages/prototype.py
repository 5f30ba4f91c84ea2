"""Prototype: the large model answers the unlabelled training pool by in-context examples (paper 3.1)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_jsonl
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.data.dataset import DatasetConfig
from supertiny.model.encoder import Encoder
from supertiny.prototype.config import PrototypeConfig, PrototypeSizes
from supertiny.prototype.prototype import prototype, row
from supertiny.retrieval.config import RetrievalConfig
from supertiny.retrieval.retrievers import offered


def main(llm: Path, encoder: Path, data: Path, out: Path) -> None:
    """Answer the first queries of the training pool in `data`; write every reply, right or wrong, to `out`."""
    cfg, sizes = load("prototype", PrototypeConfig), load_profile("sizes.prototype", PrototypeSizes)
    chat = engines.chosen("chat")(llm, load_profile("chat", ChatMachine))
    pool = read_functions(data / "functions.json")
    bare = read_examples(data / "train.jsonl", pool)[: sizes.train or None]
    detail, count = load("retrieval", RetrievalConfig).detail, load("dataset", DatasetConfig).num_candidates
    asked = offered(bare, pool, lambda: Encoder(encoder).embed, detail, count)
    model = prototype(encoder, data / "expert.jsonl", pool, chat, cfg, seed())
    write_jsonl(out, map(row, asked, model.answer(asked, "prototype")))


if __name__ == "__main__":
    run(main)
