"""Retrieval: recall@k of every retriever on the test queries, in domain and out (paper App. D, Table 5)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import AskChats, ChatMachine
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_json
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.model.encoder import Encoder, load_headed
from supertiny.retrieval.config import DescribeConfig, DescribeSizes, RetrievalConfig
from supertiny.retrieval.describe import describer
from supertiny.retrieval.recall import table, with_call
from supertiny.retrieval.retrievers import ClassifierRetriever


def main(models: Path, data: Path, out: Path) -> None:
    """Rank the functions for both tests in `data`, by queries and by the API descriptions that two models write.

    The large model of the profile describes as it is; the trained describer is a model of this project, which no server
    of the profile holds.
    """
    cfg, machine = load("retrieval", RetrievalConfig), load_profile("chat", ChatMachine)
    sizes = load_profile("sizes.describe", DescribeSizes)
    asks: dict[str, AskChats] = {
        "zero_shot": engines.chosen("chat")(models / "llm", machine),
        "optimized": engines.get("native", "chat")(models / "describer", machine),
    }
    pool = read_functions(data / "functions.json")
    splits = {name: read_examples(data / f"{name}.jsonl", pool) for name in ("test", "ood")}
    asked = [*with_call(splits["test"])[: sizes.test or None], *with_call(splits["ood"])[: sizes.ood or None]]
    written = {}
    for name, ask in asks.items():
        writer = describer(data / "expert.jsonl", pool, ask, load("describe", DescribeConfig), seed())
        written[name] = {query.id: text for query, text in zip(asked, writer.describe(asked), strict=True)}
    retriever = ClassifierRetriever(load_headed(models / "retriever"))
    write_json(out, table(retriever, Encoder(models / "encoder").embed, pool, splits, written, cfg))


if __name__ == "__main__":
    run(main)
