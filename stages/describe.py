"""Describe: a language model writes the API descriptions that test queries need (paper 3.1, App. D, Table 5)."""

from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import Engines, load, load_profile, seed
from supertiny.core.files import write_jsonl
from supertiny.core.records import read_examples, read_functions
from supertiny.core.stage import run
from supertiny.retrieval.describe import DescribeConfig, DescribeSizes, describer
from supertiny.retrieval.recall import with_call


def main(
    model: Path, functions: Path, expert: Path, test: Path, ood: Path, out: Path, engine: str | None = None
) -> None:
    """Let `model` describe the first queries of `test` and `ood` that need a function; write the lines to `out`.

    `engine` answers for a model of this project, which no server of the profile holds; without it the profile's does.
    """
    cfg, sizes = load("describe", DescribeConfig), load_profile("describe", DescribeSizes)
    chat = engines.get(engine or load_profile("engines", Engines).chat, "chat")
    pool = read_functions(functions)
    asked = with_call(read_examples(test, pool))[: sizes.test or None]
    asked += with_call(read_examples(ood, pool))[: sizes.ood or None]
    writer = describer(expert, pool, chat(model, load_profile("chat", ChatMachine)), cfg, seed())
    described = zip(asked, writer.describe(asked), strict=True)
    write_jsonl(out, ({"id": query.id, "description": text} for query, text in described))


if __name__ == "__main__":
    run(main)
